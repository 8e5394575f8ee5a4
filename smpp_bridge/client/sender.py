"""What a client asks of an SMSC: to send a message."""

from __future__ import annotations

import itertools
import time

from smpp_bridge.client.errors import NotAnswered, SubmitRefused
from smpp_bridge.client.link import BlockingLink
from smpp_bridge.client.results import destination_of, source_of
from smpp_bridge.protocol import pdu
from smpp_bridge.protocol.constants import CommandStatus
from smpp_bridge.protocol.long_messages import messages_of
from smpp_bridge.protocol.text import Encoding


class Sender:
    """The requests of an ESME that transmits, one call each."""

    def __init__(self, link: BlockingLink, timeout_s: float) -> None:
        self._link = link
        self._timeout_s = timeout_s
        self._references = itertools.count(time.time_ns() & 0xFF)

    def submit_sm(
        self,
        *,
        source_addr: str,
        dest_addr: str,
        short_message: str,
        wants_receipt: bool = True,
        encoding: Encoding | None = None,
    ) -> list[str]:
        """Send a text in as many parts as it needs; returns the SMSC's id of each part.

        Raises:
            SubmitRefused: If the SMSC refuses a part.
            NotAnswered: If a part stays unanswered; it may have been sent.
            ConnectionLost: If the connection ends before the answers.
            ValueError: If an address or the text does not fit into SMPP, or we are a receiver.
        """
        template = pdu.SubmitSm(
            **source_of(source_addr),  # type: ignore[arg-type] # fields by name
            **destination_of(dest_addr),  # type: ignore[arg-type]
            registered_delivery=int(wants_receipt),
        )
        parts = messages_of(
            template, short_message, reference=next(self._references), encoding=encoding
        )
        return self._message_ids(self._link.ask(parts))

    def _message_ids(self, answers: list[pdu.Pdu | None]) -> list[str]:
        ids = [
            answer.message_id.decode("latin-1")
            for answer in answers
            if isinstance(answer, pdu.SubmitSmResp) and answer.command_status == CommandStatus.ROK
        ]
        for answer in answers:
            if answer is not None and answer.command_status != CommandStatus.ROK:
                raise SubmitRefused(answer.command_status, ids)
        if None in answers:
            raise NotAnswered(f"submit_sm was not answered within {self._timeout_s:g} s.")
        return ids
