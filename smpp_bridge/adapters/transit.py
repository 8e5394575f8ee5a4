"""One message of an ESME on its way to the SMSC."""

from __future__ import annotations

from typing import Final

from schemas.events import MessageSubmitted
from smpp_bridge.adapters.deliveries import Client
from smpp_bridge.adapters.front import Front
from smpp_bridge.protocol.constants import CommandStatus
from smpp_bridge.protocol.pdu import DataSm, MessageResp, Pdu, SubmitSm, Tlvs
from smpp_bridge.protocol.session import octets_of
from smpp_bridge.protocol.sizes import TLV_OVERHEAD

MAX_ANSWER: Final = 2048
"""Octets of an SMSC's answer that are kept for the ESME while Kafka does not have the result. The
longest that SMPP knows are an id of 65 and a text of 256; `max_pending` of these are 20 MB."""
_GONE: Final = SubmitSm()
"""In the place of an answered request: sessions keep 4096 for late answers, 64 KiB each."""


class Transit:
    """The request, whose it is, and the event that it will become."""

    __slots__ = ("client", "event", "front", "is_settled", "octets", "request", "waits_until")

    def __init__(
        self, front: Front, client: Client, request: SubmitSm | DataSm, event: MessageSubmitted
    ) -> None:
        self.front = front
        self.client = client
        self.request = request
        self.event = event
        self.octets = octets_of(request)
        self.waits_until = 0.0
        self.is_settled = False

    def refuse(self, status: CommandStatus) -> None:
        """It was not sent: its ESME tries again."""
        self.client.refuse(self.front, self.request, status)

    def answer(self, status: int, *, message_id: bytes = b"", tlvs: Tlvs = ()) -> None:
        """Tell its ESME what became of it."""
        self.front.respond(self.request, status, message_id=message_id, tlvs=tlvs)
        self.request = _GONE


def id_of(response: Pdu) -> bytes:
    """What the SMSC calls the message; empty in an answer that cannot say."""
    return response.message_id if isinstance(response, MessageResp) else b""


def cut_answer(response: Pdu) -> tuple[bytes, Tlvs]:
    """The id and those TLVs of an answer that fit into `MAX_ANSWER`."""
    message_id = id_of(response)
    if len(message_id) > MAX_ANSWER:
        message_id = b""  # a piece of it may be the id of another message
    room, kept = MAX_ANSWER - len(message_id), []
    for tag, value in response.tlvs:
        octets = TLV_OVERHEAD + len(value)
        if octets <= room:
            room -= octets
            kept.append((tag, value))
    return message_id, tuple(kept)
