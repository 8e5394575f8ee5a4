"""The proxy's listener and those who have no business there, on real sockets."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from smpp_bridge.adapters import front
from smpp_bridge.adapters.desk import Desk
from smpp_bridge.configuration import Account, ProxyConfig
from smpp_bridge.protocol import pdu
from smpp_bridge.protocol.codec import encode
from smpp_bridge.protocol.timers import Timeouts
from tests.support.esme import Esme, connect
from tests.support.proxy import account
from tests.support.topics import wait_until

LINK_CHECK = encode(pdu.EnquireLink(), 1)


@asynccontextmanager
async def listening(*accounts: Account, **keys: Any) -> AsyncIterator[Desk]:
    """A listener without connections behind it."""
    config = ProxyConfig(host="127.0.0.1", port=0, accounts=accounts or (account(),), **keys)
    desk = Desk(config, is_kafka_away=lambda: False)
    await desk.start()
    ticking = asyncio.ensure_future(desk.tick_regularly())
    try:
        yield desk
    finally:
        ticking.cancel()
        await desk.drain(0.1)


async def esme(
    desk: Desk,
    system_id: str = "shop",
    password: str = "secret",  # noqa: S107 - of a simulated account
    **keys: Any,
) -> Esme:
    """Somebody who was answered, or cut off."""
    bind = pdu.BindTransceiver(system_id=system_id.encode(), password=password.encode())
    found = await connect(desk.listener.port, bind=bind, **keys)
    await wait_until(lambda: found.is_bound or found.refused_with is not None or found.is_closed)
    return found


def socket_that_never_reads(port: int) -> socket.socket:
    """Connected, with little room for answers."""
    found = socket.socket()
    found.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    found.connect(("127.0.0.1", port))
    found.setblocking(False)  # noqa: FBT003 - the socket's own signature
    return found


async def test_silent_strangers_do_not_fill_the_listener() -> None:
    """Connections are bounded; those beyond are closed at once."""
    async with listening(max_connections=2) as desk:
        assert (await esme(desk)).is_bound
        assert (await esme(desk)).is_bound
        third = await esme(desk)
        assert third.is_closed
        assert not third.is_bound


async def test_who_floods_instead_of_binding_is_cut_off() -> None:
    """A few link checks are answered before a bind, a flood of them is not."""
    async with listening() as desk:
        reader, writer = await asyncio.open_connection("127.0.0.1", desk.listener.port)
        writer.write(LINK_CHECK * 3)
        assert len(await reader.readexactly(48)) == 48
        writer.write(LINK_CHECK * 10_000)
        with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
            await reader.readexactly(16 * 10_000)
        writer.close()
        await wait_until(lambda: not desk.listener.connections)


async def test_octets_behind_a_bind_are_the_sessions(monkeypatch: pytest.MonkeyPatch) -> None:
    """The bound is for strangers: an ESME may send much in the segment of its bind."""
    monkeypatch.setattr(front, "MAX_BEFORE_BIND", 60)
    bind = encode(pdu.BindTransceiver(system_id=b"shop", password=b"secret"), 1)
    assert len(bind) < 60
    async with listening() as desk:
        reader, writer = await asyncio.open_connection("127.0.0.1", desk.listener.port)
        writer.write(bind + LINK_CHECK * 1000)
        length = int.from_bytes(await reader.readexactly(4), "big")
        await reader.readexactly(length - 4 + 16 * 1000)
        writer.close()


async def test_strangers_who_never_read_leave_the_listener(monkeypatch: pytest.MonkeyPatch) -> None:
    """Their session ends for want of a bind, and their socket with it, though it is full."""
    monkeypatch.setattr(front, "MAX_BEFORE_BIND", 2**22)
    monkeypatch.setattr(front, "Timeouts", lambda **_: Timeouts(session_init_s=0.5))
    async with listening() as desk:
        strangers = [socket_that_never_reads(desk.listener.port) for _ in range(2)]
        flood = LINK_CHECK * 100_000
        await wait_until(lambda: desk.listener.connections == 2)
        sending = [
            asyncio.ensure_future(asyncio.get_running_loop().sock_sendall(each, flood))
            for each in strangers
        ]
        await wait_until(lambda: not desk.listener.connections)
        assert (await esme(desk)).is_bound
        for task, each in zip(sending, strangers, strict=True):
            task.cancel()
            each.close()


async def test_an_esme_that_stops_reading_leaves_the_listener() -> None:
    """Bound, then dead: its link check expires and its socket goes at once."""
    bind = encode(pdu.BindTransceiver(system_id=b"shop", password=b"secret"), 1)
    async with listening(enquire_link_s=0.2, response_timeout_s=0.5) as desk:
        zombie = socket_that_never_reads(desk.listener.port)
        sending = asyncio.ensure_future(
            asyncio.get_running_loop().sock_sendall(zombie, bind + LINK_CHECK * 500_000)
        )
        await wait_until(lambda: desk.clients["shop"].bound == 1)
        await wait_until(lambda: not desk.listener.connections)
        sending.cancel()
        zombie.close()
