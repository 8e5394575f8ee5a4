"""A small ESME for tests of the SMSC side, on the protocol core."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from smpp_bridge.protocol import constants, pdu
from smpp_bridge.protocol.constants import CommandStatus
from smpp_bridge.protocol.session import Session
from smpp_bridge.protocol.session_events import Answered, Bound, Received
from smpp_bridge.protocol.text import encode_text

WINDOW = 1000


@dataclass
class Esme(asyncio.Protocol):
    """What came, and how deliver_sm is answered: with `status`, or not at all (None)."""

    status: int | None = CommandStatus.ROK
    answers: list[tuple[object, int, bytes]] = field(default_factory=list)
    delivered: list[pdu.DeliverSm] = field(default_factory=list)
    is_bound: bool = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Connected: bind."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.session = Session("esme", now=0, window=WINDOW)
        self.session.bind(pdu.BindTransceiver(system_id=b"shop", password=b"secret"))
        self.flush()

    def data_received(self, data: bytes) -> None:
        """Octets of the SMSC."""
        self.session.receive_data(data, 0)
        for event in self.session.events():
            match event:
                case Bound():
                    self.is_bound = True
                case Received(pdu.DeliverSm() as request):
                    self.delivered.append(request)
                    if self.status is not None:
                        self.session.respond(request, self.status)
                case Answered(context, pdu.SubmitSmResp() as response):
                    self.answers.append((context, response.command_status, response.message_id))
                case _:
                    pass
        self.flush()

    def submit(self, msisdn: str, text: str, *, reference: int = 0) -> int:
        """Send a text, in as many parts as it needs; returns their number."""
        encoded = encode_text(text, reference=reference)
        for part in encoded.parts:
            request = pdu.SubmitSm(
                source_addr=b"10690001",
                destination_addr=msisdn.encode(),
                esm_class=constants.ESM_UDHI if encoded.has_udh else 0,
                data_coding=encoded.data_coding,
                short_message=part,
            )
            self.session.send(request, msisdn, 0)
        self.flush()
        return len(encoded.parts)

    def flush(self) -> None:
        """Write what the session wants to send."""
        data = self.session.data_to_send()
        if data and not self.transport.is_closing():
            self.transport.write(data)

    def drop(self) -> None:
        """Vanish without unbind."""
        self.transport.abort()


async def connect(port: int, *, status: int | None = CommandStatus.ROK) -> Esme:
    """A connected ESME that is about to be bound."""
    _, esme = await asyncio.get_running_loop().create_connection(
        lambda: Esme(status), "127.0.0.1", port
    )
    return esme
