"""One message of an ESME on its way to the SMSC."""

from __future__ import annotations

from typing import Final

from schemas.events import MessageSubmitted
from smpp_bridge.adapters.deliveries import Client
from smpp_bridge.adapters.front import Front
from smpp_bridge.protocol.constants import CommandStatus
from smpp_bridge.protocol.pdu import DataSm, SubmitSm, Tlvs
from smpp_bridge.protocol.session import octets_of

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
