"""Bounds of what an SMSC may leave unanswered with us."""

from __future__ import annotations

import asyncio

import pytest

from smpp_bridge.protocol import pdu
from smpp_bridge.protocol.constants import CommandStatus, Tag
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
