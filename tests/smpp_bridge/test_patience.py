"""Of two bridges with the same connection one stays and reads, whatever the other does."""

from __future__ import annotations

import asyncio

import pytest

from runtime.process import CannotRun
from smpp_bridge.adapters import requests
from smpp_bridge.adapters.patience import Patience
from tests.support.readers import FakeConsumer, Reader
from tests.support.topics import wait_until


@pytest.fixture
async def reader(monkeypatch: pytest.MonkeyPatch) -> Reader:
    """One that is patient for a moment."""
    monkeypatch.setattr(requests, "AIOKafkaConsumer", FakeConsumer)
    monkeypatch.setattr(requests, "_PATIENCE_S", 0.05)
    monkeypatch.setattr(requests, "_LEAVE_S", 0.05)
    return Reader()


async def test_a_bridge_that_never_had_the_topics_is_refused_at_once(reader: Reader) -> None:
    """Another was there before."""
    await reader.elect(is_won=False)
    await wait_until(lambda: bool(reader.failures))
    assert [type(error) for error in reader.failures] == [CannotRun]


async def test_a_bridge_whose_topics_another_keeps_ends_and_says_why(reader: Reader) -> None:
    """It stood still for so long that another took over."""
    await reader.elect()
    await reader.elect(is_won=False)
    await wait_until(lambda: bool(reader.failures))
    assert "another bridge has it already" in str(reader.failures[0])


async def test_a_bridge_that_meets_its_own_former_membership_goes_on(reader: Reader) -> None:
    """The group forgets that one after the session timeout."""
    await reader.elect()
    await reader.elect(is_won=False)
    await reader.elect()
    await asyncio.sleep(0.2)
    await reader.read(lambda: bool(reader.taken))
    assert reader.failures == []


@pytest.mark.parametrize("was_sole", [True, False])
async def test_who_gives_up_leaves_the_group_before_it_ends(
    reader: Reader, *, was_sole: bool
) -> None:
    """The group would keep its place for the session timeout."""
    if was_sole:
        await reader.elect()
    await reader.elect(is_won=False)
    await wait_until(lambda: bool(reader.failures))
    assert reader.had_left == [True]


async def test_who_gives_up_does_not_wait_for_kafka_to_end(reader: Reader) -> None:
    """The goodbye is a courtesy."""
    reader.consumer.on_stop = asyncio.Event().wait  # type: ignore[assignment]
    await reader.elect(is_won=False)
    await wait_until(lambda: bool(reader.failures), timeout_s=5)


async def test_who_leaves_takes_nothing_that_is_assigned_to_it_meanwhile(reader: Reader) -> None:
    """It would send under a lease that the group forgets in the same moment."""
    could_act: list[bool] = []

    async def assigned_once_more() -> None:
        await reader.elect()
        await reader.requests._commit()
        could_act.append(reader.requests.may_act())

    reader.consumer.on_stop = assigned_once_more
    reader.consumer.failure = RuntimeError("the consumer is closed")
    await reader.elect(is_won=False)
    await reader.read(lambda: bool(reader.failures))
    assert (could_act, len(reader.failures), reader.taken) == ([False], 1, [])


async def test_rebalances_do_not_make_patience_longer(reader: Reader) -> None:
    """Another that is started again and again would silence this one for ever."""
    await reader.elect()
    for _ in range(100):
        await reader.elect(is_won=False)
        await asyncio.sleep(0.01)
    assert len(reader.failures) == 1


async def test_patience_that_has_ended_begins_anew() -> None:
    """What was waited for before has come."""
    given_up: list[bool] = []
    patience, loop = Patience(1, lambda: given_up.append(True)), asyncio.get_running_loop()
    patience.begin()
    await asyncio.sleep(0.01)
    patience.end()
    before = loop.time()
    patience.begin()
    after = loop.time()
    await asyncio.sleep(0.01)
    patience.begin()
    assert patience._ends_at is not None
    assert before + 1 <= patience._ends_at.when() <= after + 1
    await wait_until(lambda: bool(given_up))
