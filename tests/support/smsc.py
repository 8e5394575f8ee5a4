"""A small scripted SMSC for bridge tests, on the protocol core."""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

from smpp_bridge.protocol import pdu
from smpp_bridge.protocol.constants import CommandStatus
from smpp_bridge.protocol.session import Session
from smpp_bridge.protocol.session_events import Answered, BindRequested, Received


@dataclass
class Smsc:
    """What the operator saw and how it answers. `answer` gives (status, id) or None for silence."""

    password: bytes = b"secret"
    answer: Callable[[Any], tuple[int, bytes] | None] | None = None
    submitted: list[Any] = field(default_factory=list)
    acknowledged: list[tuple[object, int]] = field(default_factory=list)
    responses: list[pdu.Pdu] = field(default_factory=list)
    peers: list[Peer] = field(default_factory=list)
    port: int = 0
    held: list[tuple[Peer, Any]] = field(default_factory=list)

    def answer_for(self, request: pdu.SubmitSm | pdu.DataSm) -> tuple[int, bytes] | None:
        """The configured answer; by default acceptance with a running id."""
        if self.answer is not None:
            return self.answer(request)
        return CommandStatus.ROK, b"id-%d" % len(self.submitted)

    def deliver(self, request: pdu.DeliverSm | pdu.DataSm, context: object) -> None:
        """Send a deliver_sm on the newest link."""
        peer = next(peer for peer in reversed(self.peers) if peer.session.is_bound)
        peer.session.send(request, context, 0, is_strict=False)
        peer.flush()

    @property
    def is_bound(self) -> bool:
        """Whether an ESME is bound."""
        return any(peer.session.is_bound for peer in self.peers)


class Peer(asyncio.Protocol):
    """One connection."""

    def __init__(self, smsc: Smsc) -> None:
        self._smsc = smsc
        self.session = Session("smsc", now=0, window=10_000)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """An ESME connected."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._smsc.peers.append(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """It is gone."""
        self.session.disconnected("gone")

    def data_received(self, data: bytes) -> None:
        """Octets of the ESME."""
        self.session.receive_data(data, 0)
        for event in self.session.events():
            if isinstance(event, BindRequested):
                right = event.request.password == self._smsc.password
                status = CommandStatus.ROK if right else CommandStatus.RINVPASWD
                self.session.answer_bind(event.request, status, b"operator")
            elif isinstance(event, Received):
                assert isinstance(event.request, (pdu.SubmitSm, pdu.DataSm))
                self._smsc.submitted.append(event.request)
                self.answer(event.request)
            elif isinstance(event, Answered):
                self._smsc.responses.append(event.response)
                self._smsc.acknowledged.append((event.context, event.response.command_status))
        self.flush()

    def answer(self, request: pdu.SubmitSm | pdu.DataSm) -> None:
        """Answer a submit_sm, or hold it."""
        found = self._smsc.answer_for(request)
        if found is None:
            self._smsc.held.append((self, request))
            return
        self.session.respond(request, found[0], found[1])

    def reset(self) -> None:
        """Drop the connection with an RST."""
        raw = self._transport.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._transport.abort()

    def flush(self) -> None:
        """Write what the session wants to send."""
        data = self.session.data_to_send()
        if data and not self._transport.is_closing():
            self._transport.write(data)
        if self.session.is_closed:
            self._transport.close()


S = TypeVar("S", bound=Smsc)


@asynccontextmanager
async def run_smsc(
    smsc: S, *, tls: ssl.SSLContext | None = None, peer: Callable[[S], Peer] | None = None
) -> AsyncIterator[S]:
    """Listen on a free port while the block runs."""
    server = await asyncio.get_running_loop().create_server(
        lambda: (peer or Peer)(smsc), "127.0.0.1", 0, ssl=tls
    )
    smsc.port = server.sockets[0].getsockname()[1]
    try:
        yield smsc
    finally:
        server.close()
        for each in smsc.peers:
            each._transport.abort()
        await asyncio.sleep(0)
