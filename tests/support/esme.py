"""A small ESME for tests of the SMSC side, on the protocol core."""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass, field

from smpp_bridge.protocol import constants, pdu
from smpp_bridge.protocol.constants import CommandStatus
from smpp_bridge.protocol.session import Session
from smpp_bridge.protocol.session_events import Answered, BindRefused, Bound, Received
from smpp_bridge.protocol.text import encode_text

WINDOW = 1000


@dataclass
class Esme(asyncio.Protocol):
    """What came, and how deliver_sm is answered: with `status` and `tlvs`, or not at all (None)."""

    status: int | None = CommandStatus.ROK
    answers: list[tuple[object, int, bytes]] = field(default_factory=list)
    responses: list[pdu.MessageResp] = field(default_factory=list)
    delivered: list[pdu.DeliverSm | pdu.DataSm] = field(default_factory=list)
    is_bound: bool = False
    bind: pdu.Bind = field(
        default_factory=lambda: pdu.BindTransceiver(system_id=b"shop", password=b"secret")
    )
    refused_with: int | None = None
    is_closed: bool = False
    tlvs: pdu.Tlvs = ()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Connected: bind."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.session = Session("esme", now=0, window=WINDOW)
        self.session.bind(self.bind)
        self.flush()

    def data_received(self, data: bytes) -> None:
        """Octets of the SMSC."""
        self.session.receive_data(data, 0)
        for event in self.session.events():
            match event:
                case Bound():
                    self.is_bound = True
                case BindRefused(status):
                    self.refused_with = status
                case Received(pdu.DeliverSm() | pdu.DataSm() as request):
                    self.delivered.append(request)
                    if self.status is not None:
                        self.session.respond(request, self.status, tlvs=self.tlvs)
                case Answered(context, pdu.MessageResp() as response):
                    self.responses.append(response)
                    self.answers.append((context, response.command_status, response.message_id))
                case _:
                    pass
        self.flush()

    def connection_lost(self, exc: Exception | None) -> None:
        """The SMSC side has closed."""
        self.is_closed = True
        self.is_bound = False

    def send(self, request: pdu.SubmitSm | pdu.DataSm, context: object) -> None:
        """Send one PDU as it is."""
        self.session.send(request, context, 0)
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


async def connect(
    port: int,
    *,
    status: int | None = CommandStatus.ROK,
    bind: pdu.Bind | None = None,
    tls: ssl.SSLContext | None = None,
    server_name: str | None = None,
) -> Esme:
    """A connected ESME that is about to be bound."""
    esme = Esme(status) if bind is None else Esme(status, bind=bind)
    await asyncio.get_running_loop().create_connection(
        lambda: esme, "127.0.0.1", port, ssl=tls, server_hostname=server_name
    )
    return esme
