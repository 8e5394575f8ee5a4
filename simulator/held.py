"""What an operator holds: the state of every message, for query_sm, cancel_sm and replace_sm."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, Literal

from smpp_bridge.protocol import pdu
from smpp_bridge.protocol.constants import CommandStatus
from smpp_bridge.protocol.message_states import STATES

MAX_HELD: Final = 50_000
"""Messages that are remembered; the oldest are forgotten."""
State = Literal["ENROUTE", "DELIVERED", "UNDELIVERABLE", "DELETED"]
Answer = tuple[CommandStatus, dict[str, Any]]
"""command_status and the fields of the answer."""


@dataclass(slots=True)
class Message:
    """One message. `final_s`: when its state became final, Unix seconds."""

    source_addr: bytes
    destination_addr: bytes
    text: bytes
    state: State = "ENROUTE"
    final_s: float | None = None


class Held:
    """Messages by id. `may_replace`: whether a text can still be changed on its way."""

    def __init__(self, *, may_replace: bool, size: int = MAX_HELD) -> None:
        self._may_replace = may_replace
        self._size = size
        self._messages: OrderedDict[bytes, Message] = OrderedDict()

    def accept(self, message_id: bytes, request: pdu.SubmitSm | pdu.DataSm) -> None:
        """Hold an accepted message."""
        text = request.short_message if isinstance(request, pdu.SubmitSm) else b""
        self._messages[message_id] = Message(request.source_addr, request.destination_addr, text)
        if len(self._messages) > self._size:
            self._messages.popitem(last=False)

    def get(self, message_id: bytes) -> Message | None:
        """What is held under an id."""
        return self._messages.get(message_id)

    def finish(self, message_id: bytes, state: State, now_s: float) -> bool:
        """Give a message its final state; `False` when it was taken back before."""
        message = self._messages.get(message_id)
        if message is None:
            return True  # forgotten
        if message.state == "ENROUTE":
            message.state, message.final_s = state, now_s
        return message.state != "DELETED"

    def manage(self, request: pdu.QuerySm | pdu.CancelSm | pdu.ReplaceSm, now_s: float) -> Answer:
        """Answer a request about a message; one of another sender is as unknown as none."""
        if isinstance(request, pdu.CancelSm):
            return self._cancel(request, now_s)
        message = self._find(request)
        if message is None:
            return CommandStatus.RINVMSGID, {}
        if isinstance(request, pdu.QuerySm):
            return CommandStatus.ROK, _told(request.message_id, message)
        if message.state != "ENROUTE" or not self._may_replace:
            return CommandStatus.RREPLACEFAIL, {}
        message.text = request.short_message
        return CommandStatus.ROK, {}

    def _find(self, request: pdu.QuerySm | pdu.CancelSm | pdu.ReplaceSm) -> Message | None:
        message = self._messages.get(request.message_id)
        is_theirs = message is not None and message.source_addr == request.source_addr
        return message if is_theirs else None

    def _cancel(self, request: pdu.CancelSm, now_s: float) -> Answer:
        """By id, or without one all from a source to a destination (SMPP 3.4 §4.9)."""
        if request.message_id and self._find(request) is None:
            return CommandStatus.RINVMSGID, {}
        found = [message for message in self._meant(request) if message.state == "ENROUTE"]
        for message in found:
            message.state, message.final_s = "DELETED", now_s
        return (CommandStatus.ROK if found else CommandStatus.RCANCELFAIL), {}

    def _meant(self, request: pdu.CancelSm) -> Iterator[Message]:
        if request.message_id:
            yield self._messages[request.message_id]
            return
        for message in self._messages.values():
            pair = (message.source_addr, message.destination_addr)
            if pair == (request.source_addr, request.destination_addr):
                yield message


def _told(message_id: bytes, message: Message) -> dict[str, Any]:
    date = b""
    if message.final_s is not None:  # absolute time in UTC, §7.1.1
        date = time.strftime("%y%m%d%H%M%S000+", time.gmtime(message.final_s)).encode()
    return {
        "message_id": message_id,
        "final_date": date,
        "message_state": STATES.index(message.state),
    }
