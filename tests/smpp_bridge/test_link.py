"""Bounds of what an SMSC may leave unanswered with us."""

from __future__ import annotations

import asyncio

import pytest

from smpp_bridge.adapters.link import MAX_UNWRITTEN
from smpp_bridge.adapters.links import Links
from smpp_bridge.protocol import pdu
from smpp_bridge.protocol.constants import CommandStatus, Tag
from smpp_bridge.protocol.session_events import Closed
from tests.support.chaos import Chaos, ChaosPeer
from tests.support.links import Owner, config_for, kept_link
from tests.support.smsc import Smsc, run_smsc
from tests.support.topics import wait_until

ONE_READ = 256 * 1024
"""asyncio's largest read: by so much a bound may be passed."""


def reply(number: int, payload: int = 0) -> pdu.DeliverSm:
    """An MO, with a message_payload of some size."""
    tlvs = ((Tag.MESSAGE_PAYLOAD, bytes(payload)),) if payload else ()
    return pdu.DeliverSm(source_addr=b"8613800000001", short_message=b"%d" % number, tlvs=tlvs)


@pytest.mark.parametrize(
    ("bounds", "payload", "count"),
    [
        ({"max_unacknowledged": 100}, 0, 9000),
        ({"max_unacknowledged_bytes": 500_000}, 60_000, 100),
    ],
)
async def test_unanswered_requests_are_bounded_and_none_is_lost(
    bounds: dict[str, int], payload: int, count: int
) -> None:
    """Above the bound the socket rests; when answers go out, it is read to the end."""
    owner = Owner()
    async with (
        run_smsc(Smsc()) as smsc,
        kept_link(config_for(smsc.port, **bounds), owner) as keeper,
    ):
        await wait_until(lambda: smsc.is_bound)
        for number in range(count):
            smsc.deliver(reply(number, payload), number)
        link = keeper.link
        assert link is not None
        await wait_until(lambda: not link.is_reading)
        await asyncio.sleep(0.05)
        held = len(owner.received)
        overshoot = ONE_READ // (60 + payload) + 1
        limit = bounds.get("max_unacknowledged") or 500_000 // (60 + payload)
        assert held <= limit + overshoot < count
        assert smsc.acknowledged == []
        owner.answers_with = CommandStatus.ROK
        for request in list(owner.received):
            link.respond(request, CommandStatus.ROK)
        await wait_until(lambda: len(smsc.acknowledged) == count)
        assert (link.unacknowledged_bytes, link.unacknowledged) == (0, 0)
    bodies = [int(request.short_message) for request in owner.received]  # type: ignore[attr-defined]
    assert bodies == list(range(count))


async def test_while_the_socket_rests_nothing_expires_and_the_link_is_not_dead() -> None:
    """The answer may lie unread in the socket: no verdict before it has been read."""
    owner = Owner()
    smsc = Smsc(answer=lambda _: None)
    async with (
        run_smsc(smsc),
        kept_link(config_for(smsc.port, max_unacknowledged=10), owner) as keeper,
    ):
        await wait_until(lambda: smsc.is_bound)
        link = keeper.link
        assert link is not None
        link.session.send(pdu.SubmitSm(), "work", link.now())
        link.flush()
        for number in range(20):
            smsc.deliver(reply(number), number)
        await wait_until(lambda: not link.is_reading)
        link.now = lambda: 1e9  # type: ignore[method-assign]
        link.tick()
        assert link.session.is_bound
        assert len(link.session.window) == 1


async def test_a_full_link_may_refuse_instead_of_resting() -> None:
    """As configured: RMSGQFUL beyond the bound, counted beyond the life of the link."""
    owner = Owner()
    smsc = Smsc()
    async with (
        run_smsc(smsc),
        kept_link(
            config_for(smsc.port, max_unacknowledged=10, when_full="refuse"), owner
        ) as keeper,
    ):
        await wait_until(lambda: smsc.is_bound)
        for number in range(30):
            smsc.deliver(reply(number), number)
        await wait_until(lambda: len(smsc.acknowledged) == 20)
        assert keeper.refused_full == 20
        smsc.peers[0]._transport.abort()
        await wait_until(lambda: keeper.link is None)
        assert keeper.refused_full == 20
    assert [request.short_message for request in owner.received] == [  # type: ignore[attr-defined]
        b"%d" % number for number in range(10)
    ]
    assert sorted(smsc.acknowledged) == [
        (number, CommandStatus.RMSGQFUL) for number in range(10, 30)
    ]


class Unreading(ChaosPeer):
    """Reads nothing after the bind, as a stopped process whose kernel still acknowledges."""

    def flush(self) -> None:
        """Answer the bind and read no more."""
        super().flush()
        if self.session.is_bound and not self._transport.is_closing():
            self._transport.pause_reading()  # type: ignore[attr-defined]


async def test_a_dead_link_is_left_although_its_peer_reads_nothing() -> None:
    """What lies unwritten would hold the socket, and with it the next attempt, for ever."""
    config = {"response_timeout_s": 0.6, "enquire_link_s": 0.3, "window": 1000}
    payload = ((Tag.MESSAGE_PAYLOAD, b"x" * 60_000),)
    async with (
        run_smsc(Chaos(), peer=Unreading) as smsc,
        kept_link(config_for(smsc.port, **config), Owner()) as keeper,
    ):
        await wait_until(lambda: keeper.link is not None and keeper.link.session.is_bound)
        link = keeper.link
        assert link is not None
        while link.can_submit():
            link.session.send(pdu.SubmitSm(tlvs=payload), "work", link.now())
            link.flush()
        assert not link._is_writable
        await wait_until(lambda: len(smsc.peers) > 1)


async def test_a_peer_that_never_reads_its_answers_is_left() -> None:
    """The socket rests because they pile up; there the timers of the session rest, too."""
    owner = Owner()
    async with (
        run_smsc(Chaos(), peer=Unreading) as smsc,
        kept_link(config_for(smsc.port, response_timeout_s=0.6), owner) as keeper,
    ):
        await wait_until(lambda: keeper.link is not None and keeper.link.session.is_bound)
        link = keeper.link
        assert link is not None
        assert link._transport is not None
        link._transport.get_write_buffer_size = lambda: 2 * MAX_UNWRITTEN  # type: ignore[method-assign]
        link.flush()
        assert not link.is_reading
        await wait_until(lambda: len(smsc.peers) > 1)
    assert "the peer does not read" in next(e.reason for e in owner.events if isinstance(e, Closed))


async def test_after_the_goodbye_no_link_binds_again() -> None:
    """Another connection of the process may drain for seconds; the next process wants the bind."""
    async with run_smsc(Smsc()) as smsc:
        links = Links(
            config_for(smsc.port, binds=2),
            on_event=lambda *_: None,
            on_ready=lambda: None,
            refused=pytest.fail,
        )
        running = [asyncio.ensure_future(runner) for runner in links.runners()]
        await wait_until(lambda: links.bound == 2)
        await links.drain(5)
        async with asyncio.timeout(20):
            await asyncio.gather(*running)
        assert (links.bound, len(smsc.peers), smsc.is_bound) == (0, 2, False)


class HangsUp(ChaosPeer):
    """The second connection is closed before its bind is answered."""

    def data_received(self, data: bytes) -> None:
        """Octets of the ESME."""
        if self._smsc.peers.index(self) == 1:
            self._transport.abort()
        else:
            super().data_received(data)


async def test_a_link_is_careful_until_one_has_proved_itself() -> None:
    """A connection that never came to a bind has not shown that the window may be used again."""
    owner = Owner()
    async with (
        run_smsc(Chaos(answer=lambda _: None), peer=HangsUp) as smsc,
        kept_link(config_for(smsc.port, window=10), owner) as keeper,
    ):
        await wait_until(lambda: smsc.is_bound)
        link = keeper.link
        assert link is not None
        for number in range(10):
            link.session.send(pdu.SubmitSm(), number, link.now())
        link.flush()
        await wait_until(lambda: len(smsc.submitted) == 10)
        smsc.peers[0].reset()
        await wait_until(lambda: len(smsc.peers) == 3 and smsc.is_bound)
        third = keeper.link
        assert third is not None
        await wait_until(third.can_submit)
        third.session.send(pdu.SubmitSm(), "one", third.now())
        assert not third.can_submit()
