"""Whom the proxy's port does not serve: each counted with its reason, none in the others' way."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterator
from ipaddress import ip_network
from pathlib import Path

import pytest
import trustme

from smpp_bridge import admission, guessing
from smpp_bridge.adapters import front, listener
from smpp_bridge.adapters.desk import Desk
from smpp_bridge.configuration import Tls
from smpp_bridge.protocol import pdu
from smpp_bridge.protocol.codec import encode
from smpp_bridge.protocol.constants import CommandStatus
from smpp_bridge.protocol.timers import Timeouts
from tests.smpp_bridge.test_proxy_strangers import LINK_CHECK, esme, listening
from tests.support.esme import connect
from tests.support.proxy import account
from tests.support.topics import wait_until

NAME = "proxy.example"


_sockets: list[socket.socket] = []


@pytest.fixture(autouse=True)
def strangers() -> Iterator[None]:
    """Stay connected until the test ends."""
    yield
    while _sockets:
        _sockets.pop().close()


async def raw(desk: Desk, data: bytes) -> socket.socket:
    """Somebody who sends octets."""
    found = socket.create_connection(("127.0.0.1", desk.listener.port))
    found.sendall(data)
    _sockets.append(found)
    return found


async def is_cut_off(stranger: socket.socket) -> bool:
    """Whether the proxy has closed it, without a word."""
    stranger.setblocking(False)  # noqa: FBT003 - the socket's own signature
    try:
        return await asyncio.get_running_loop().sock_recv(stranger, 1) == b""
    except ConnectionError:
        return True


async def wrong_password(desk: Desk) -> None:
    """Or a wrong account."""
    await esme(desk, password="wrong")
    await esme(desk, "nobody")


async def elsewhere(desk: Desk) -> None:
    """The right password from an address that is not allowed."""
    await esme(desk, "far")


async def wrong_kind(desk: Desk) -> None:
    """A kind of bind that the account may not use, and one bind too many."""
    await connect(desk.listener.port, bind=pdu.BindReceiver(system_id=b"one", password=b"secret"))
    await esme(desk, "one")
    await esme(desk, "one")


async def something_else(desk: Desk) -> None:
    """A submit_sm before the bind; after it any other thing, which is the same stranger."""
    submit = encode(pdu.SubmitSm(destination_addr=b"8613800000001"), 1)
    await raw(desk, submit * 2 + b"\0\0\0\x10" + b"\0\0\x77\x77" + b"\0" * 8)
    await raw(desk, b"\0\0\0\x10" + b"\0\0\x77\x77" + b"\0" * 8)


async def no_smpp(desk: Desk) -> None:
    """A browser."""
    await raw(desk, b"GET / HTTP/1.1\r\n\r\n")


async def flood(desk: Desk) -> None:
    """Link checks without end."""
    await raw(desk, LINK_CHECK * 1000)


async def silence(desk: Desk) -> None:
    """Connects and says nothing."""
    await raw(desk, b"")


@pytest.mark.parametrize(
    ("come", "reason", "number"),
    [
        (wrong_password, "credentials", 2),
        (elsewhere, "address", 1),
        (wrong_kind, "bind", 2),
        (something_else, "not_bind", 2),
        (no_smpp, "garbage", 1),
        (flood, "flood", 1),
        (silence, "timeout", 1),
    ],
)
async def test_every_stranger_is_counted_once_with_its_reason(
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    come: Callable[[Desk], Awaitable[None]],
    reason: str,
    number: int,
) -> None:
    """And logged without the password, the account it tried, or what it sent."""
    monkeypatch.setattr(front, "Timeouts", lambda **_: Timeouts(session_init_s=1.5))
    accounts = (
        account(),
        account("far", allow=(ip_network("10.0.0.0/8"),)),
        account("one", binds=("transceiver",), max_binds=1),
    )
    async with listening(*accounts) as desk:
        await come(desk)
        await wait_until(lambda: sum(desk.listener.refused.values()) >= number)
        assert (await esme(desk)).is_bound
        await wait_until(lambda: all(each.session.is_bound for each in desk._fronts))
        assert desk.listener.refused == {reason: number}
    shown = repr([vars(record) for record in caplog.records])
    assert not any(word in shown for word in ("wrong", "nobody", "8613800000001", "GET"))


async def test_one_connection_too_many_is_counted() -> None:
    """Whoever holds the others."""
    async with listening(max_connections=1) as desk:
        assert (await esme(desk)).is_bound
        assert (await esme(desk)).is_closed
        assert desk.listener.refused == {"connections": 1}


async def test_strangers_who_hold_all_connections_give_way() -> None:
    """The oldest first: whoever binds at once gets in, and keeps its place."""
    async with listening(max_connections=3) as desk:
        regular = await esme(desk)
        silent = [await raw(desk, b"") for _ in range(2)]
        await wait_until(lambda: desk.listener.connections == 3)
        assert (await esme(desk)).is_bound
        assert await is_cut_off(silent[0])
        assert desk.listener.connections == 3
        assert (await esme(desk)).is_bound
        assert await is_cut_off(silent[1])
        assert regular.is_bound
        assert (await esme(desk)).is_closed
        assert desk.listener.refused == {"connections": 3}


async def test_who_gives_way_is_counted_once() -> None:
    """Also who waits for the answer to a wrong password."""
    wrong = pdu.BindTransceiver(system_id=b"shop", password=b"wrong")
    async with listening(max_connections=1) as desk:
        guess = await connect(desk.listener.port, bind=wrong)
        await wait_until(lambda: desk.listener.refused["credentials"] == 1)
        assert (await esme(desk)).is_bound
        await wait_until(lambda: guess.is_closed)
        assert guess.refused_with is None
        assert desk.listener.refused == {"credentials": 1}


async def test_a_crowd_that_comes_at_once_leaves_no_more_than_fit() -> None:
    """Each takes the place of one that was there before it; none is let in twice."""
    async with listening(max_connections=3) as desk:
        await asyncio.gather(*(raw(desk, b"") for _ in range(20)))
        await wait_until(lambda: desk.listener.refused["connections"] == 17)
        assert desk.listener.connections == 3
        assert len(desk._fronts) == 3
        assert (await esme(desk)).is_bound


ELSEWHERE = account("far", allow=(ip_network("10.0.0.0/8"),))
HERE = account(allow=(ip_network("127.0.0.0/8"),))


async def test_an_address_that_no_account_allows_is_not_listened_to() -> None:
    """It takes no place and no time; with an account that allows any, everybody is heard."""
    async with listening(ELSEWHERE) as desk:
        assert await is_cut_off(await raw(desk, b""))
        assert desk.listener.refused == {"address": 1}
        assert desk.listener.connections == 0
    async with listening(ELSEWHERE, HERE) as desk:
        assert (await esme(desk)).is_bound
        assert (await esme(desk, "far")).refused_with == CommandStatus.RBINDFAIL
    async with listening(ELSEWHERE, account()) as desk:
        assert (await esme(desk)).is_bound


@pytest.fixture
def papers(tmp_path: Path) -> tuple[Tls, ssl.SSLContext]:
    """Of the listener, and a client that trusts it."""
    ca = trustme.CA()
    paper = ca.issue_cert(NAME)
    tls = Tls(cert=str(tmp_path / "cert.pem"), key=str(tmp_path / "key.pem"))
    paper.cert_chain_pems[0].write_to_path(str(tls.cert))
    paper.private_key_pem.write_to_path(str(tls.key))
    trusting = ssl.create_default_context()
    ca.configure_trust(trusting)
    return tls, trusting


async def test_a_handshake_takes_a_place_and_ends_in_time(
    monkeypatch: pytest.MonkeyPatch, papers: tuple[Tls, ssl.SSLContext]
) -> None:
    """Silent, half of one, plain SMPP: none of them holds the listener for long."""
    monkeypatch.setattr(listener, "HANDSHAKE_S", 0.5)
    tls, trusting = papers
    async with listening(tls=tls, max_connections=2) as desk:
        first, second = [await raw(desk, d) for d in (b"", b"\x16\x03\x01\x02\x00\x01")]
        await wait_until(lambda: desk.listener.connections == 2)
        third = await raw(desk, b"")
        assert await is_cut_off(first)
        assert desk.listener.connections == 2
        for each in (second, third):
            assert await is_cut_off(each)
        await wait_until(lambda: not desk.listener.connections)
        assert desk.listener.refused == {"connections": 1, "timeout": 2}
        await raw(desk, encode(pdu.BindTransceiver(system_id=b"shop", password=b"secret"), 1))
        (await raw(desk, b"")).close()
        await wait_until(lambda: desk.listener.refused["tls"] == 2)
        assert (await esme(desk, tls=trusting, server_name=NAME)).is_bound
        assert desk.listener.connections == 1


async def test_octets_behind_a_handshake_are_the_sessions(
    papers: tuple[Tls, ssl.SSLContext],
) -> None:
    """A client that writes its bind with the end of its handshake, and one that leaves then."""
    tls, trusting = papers
    async with listening(tls=tls) as desk:
        for _ in range(20):
            bound = await esme(desk, tls=trusting, server_name=NAME)
            assert bound.is_bound
            bound.drop()
        await wait_until(lambda: not desk.listener.connections)
        assert not desk.listener.refused


async def test_a_stop_does_not_wait_for_handshakes(papers: tuple[Tls, ssl.SSLContext]) -> None:
    """They are dropped with the listener."""
    async with listening(tls=papers[0]) as desk:
        await raw(desk, b"")
        await wait_until(lambda: desk.listener.connections == 1)
        desk.listener.close()
        await wait_until(lambda: not desk.listener.connections)
        assert not desk.listener.refused


async def test_a_stop_does_not_wait_for_strangers() -> None:
    """Who is not bound is owed nothing."""
    async with listening() as desk:
        await raw(desk, b"")
        await wait_until(lambda: desk.listener.connections == 1)
        async with asyncio.timeout(20):
            await desk.drain(60)
        await wait_until(lambda: not desk.listener.connections)


async def test_who_guesses_is_answered_ever_later_and_then_not_listened_to(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each answer says the same; an account that was bound here before is not locked out."""
    for module in (admission, guessing):
        monkeypatch.setattr(module, "LONGEST_S", 1.0)
    async with listening(account(), account("other"), max_connections=100) as desk:
        loop = asyncio.get_running_loop()
        regular = await esme(desk, "other")
        took = []
        for name in ("shop", "nobody", "shop"):
            began_at = loop.time()
            guess = await esme(desk, name, "wrong")
            assert guess.refused_with == CommandStatus.RINVPASWD
            took.append(loop.time() - began_at)
        assert took[0] >= 0.24
        assert took[1] >= 0.49
        assert took[2] >= 0.99
        guesses = [
            await connect(desk.listener.port, bind=pdu.BindTransceiver(system_id=b"shop"))
            for _ in range(20)
        ]
        await wait_until(lambda: desk.listener.refused["guessing"] == 3)
        right = pdu.BindTransceiver(system_id=b"shop", password=b"secret")
        late = await connect(desk.listener.port, bind=right)
        await wait_until(lambda: desk.listener.refused["guessing"] == 4)
        assert desk.listener.refused["credentials"] == 20
        regular.drop()
        assert (await esme(desk, "other")).is_bound
        await wait_until(lambda: late.refused_with is not None)
        assert late.refused_with == CommandStatus.RINVPASWD
        await wait_until(lambda: all(each.is_closed for each in guesses))
