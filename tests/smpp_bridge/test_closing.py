"""The end of a connection, on real sockets."""

from __future__ import annotations

import asyncio
import socket
import ssl

import pytest
import trustme

from smpp_bridge.adapters.closing import end_connection
from smpp_bridge.protocol import pdu
from smpp_bridge.protocol.session import Session
from smpp_bridge.protocol.session_events import Closed
from smpp_bridge.protocol.timers import Timeouts
from tests.support.topics import wait_until

_BIND = pdu.BindTransceiver(system_id=b"shop", password=b"secret")


class Talker(asyncio.Protocol):
    """The side that closes."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self.is_gone = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Connected."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        """Gone."""
        self.is_gone = True


async def talker(*, tls: bool) -> tuple[Talker, socket.socket]:
    """A connection whose other side reads nothing (after the handshake)."""
    found = Talker()
    server_context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    trusting = ssl.create_default_context()
    ca = trustme.CA()
    ca.issue_cert("here.example").configure_cert(server_context)
    ca.configure_trust(trusting)
    server = await asyncio.get_running_loop().create_server(
        lambda: found, "127.0.0.1", 0, ssl=server_context if tls else None
    )

    def connect() -> socket.socket:
        plain = socket.create_connection(server.sockets[0].getsockname())
        return trusting.wrap_socket(plain, server_hostname="here.example") if tls else plain

    peer = await asyncio.to_thread(connect)
    await wait_until(lambda: found.transport is not None)
    server.close()
    return found, peer


@pytest.mark.parametrize("tls", [False, True])
async def test_a_peer_that_does_not_read_is_dropped(*, tls: bool) -> None:
    """The buffer is full and stays full: the socket goes all the same."""
    found, peer = await talker(tls=tls)
    assert found.transport is not None
    for _ in range(2):  # TLS counts what comes after its socket is full
        found.transport.write(bytes(2**24))
    assert found.transport.get_write_buffer_size() > 0
    end_connection(found.transport, within_s=0.2)
    end_connection(found.transport, within_s=0.2)
    assert not found.is_gone
    await wait_until(lambda: found.is_gone)
    peer.close()


async def test_what_was_to_be_said_is_said_first() -> None:
    """A refusal reaches a peer that reads."""
    found, peer = await talker(tls=False)
    assert found.transport is not None
    found.transport.write(bytes(2**22))
    end_connection(found.transport)

    def read_all() -> int:
        return sum(len(data) for data in iter(lambda: peer.recv(2**16), b""))

    assert await asyncio.to_thread(read_all) == 2**22
    peer.close()


@pytest.mark.parametrize("is_bound", [False, True])
async def test_a_dead_peer_is_dropped_at_once(*, is_bound: bool) -> None:
    """Not bound in time, link check not answered: nobody is there to read a goodbye."""
    session = Session("smsc", now=0, timeouts=Timeouts(response_s=1, enquire_link_s=1))
    if is_bound:
        other = Session("esme", now=0)
        other.bind(_BIND)
        session.receive_data(other.data_to_send(), 0)
        session.answer_bind(_BIND, 0)
    for now in (2, 20):
        session.tick(now)
    reason = next(event.reason for event in session.events() if isinstance(event, Closed))
    found, peer = await talker(tls=False)
    assert found.transport is not None
    found.transport.write(bytes(2**25))
    end_connection(found.transport, reason, within_s=3600)
    await wait_until(lambda: found.is_gone)
    peer.close()
