"""One bridge at a time reads a connection's requests, whatever the group does meanwhile."""

from __future__ import annotations

import asyncio
from unittest.mock import AsyncMock

import pytest
from aiokafka.errors import GroupAuthorizationFailedError, InconsistentGroupProtocolError

from runtime.process import CannotRun
from smpp_bridge.adapters import lease, requests
from smpp_bridge.adapters.election import Turn
from smpp_bridge.adapters.lease import Lease
from tests.support.readers import PARTITIONS, FakeConsumer, Reader
from tests.support.topics import wait_until


@pytest.fixture
async def reader(monkeypatch: pytest.MonkeyPatch) -> Reader:
    """One that is patient for a moment."""
    monkeypatch.setattr(requests, "AIOKafkaConsumer", FakeConsumer)
    monkeypatch.setattr(requests, "_PATIENCE_S", 0.05)
    return Reader()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Seconds since the machine was started, moved by the test."""
    now = [1000.0]
    for module in (requests, lease):
        monkeypatch.setattr(module, "boot_s", lambda: now[0])
    return now


async def test_a_bridge_whose_topics_another_has_reads_none_of_them(reader: Reader) -> None:
    """Each has a journal of its own: what one has sent, the other would send again."""
    await reader.elect()
    await reader.read(lambda: bool(reader.taken))
    reads = reader.consumer.reads
    await reader.elect(is_won=False)
    await reader.read(lambda: bool(reader.failures))
    assert reader.consumer.reads == reads


async def test_a_bridge_claims_what_it_had_in_the_generation_in_which_it_had_it(
    reader: Reader,
) -> None:
    """Of two that were each alone once the later one stays."""
    claims = []
    for is_won in (True, False, True, True):
        await reader.elect(is_won=is_won)
        told = reader.election.metadata([]).user_data
        claims.append((reader.consumer.generation, int.from_bytes(told, "big")))
    assert claims == [(1, 1), (2, 1), (3, 3), (4, 4)]


async def test_after_a_pause_nothing_is_taken_or_sent_before_the_group_confirms(
    reader: Reader, clock: list[float]
) -> None:
    """While it stood still, another may have read and sent the same requests."""
    await reader.elect()
    await reader.read(lambda: bool(reader.taken))
    assert reader.requests.may_act()
    reader.taken.clear()
    reader.consumer.is_member = False
    clock[0] += 60
    assert not reader.requests.may_act()
    reads = reader.consumer.reads
    await reader.read(lambda: reader.consumer.reads > reads)
    assert reader.taken == []
    reader.consumer.is_member = True
    await reader.elect()
    await reader.read(lambda: bool(reader.taken))


async def test_without_kafka_the_lease_ends_and_comes_back_with_it(
    reader: Reader, clock: list[float]
) -> None:
    """The group forgets who cannot be heard; nothing that was read meanwhile is lost."""
    await reader.elect()
    reader.consumer.is_away = True
    stop = asyncio.Event()
    tasks = [reader.requests.run(stop), reader.requests.commit_regularly()]
    running = [asyncio.create_task(task) for task in tasks]
    await wait_until(lambda: reader.consumer.reads > 0)
    clock[0] += 60
    assert (reader.requests.may_act(), reader.taken) == (False, [])
    reader.consumer.is_away = False
    reader.requests._committing.cancel()
    await wait_until(lambda: len(reader.taken) >= len(PARTITIONS))
    stop.set()
    running[1].cancel()
    await running[0]


async def test_what_was_read_before_a_rebalance_is_not_taken_after_it(
    reader: Reader, clock: list[float]
) -> None:
    """It is read again by whoever has the partitions then, and this may be another."""
    await reader.elect()
    await reader.read(lambda: bool(reader.taken))
    reader.taken.clear()
    clock[0] += 60
    reader.consumer.is_away = True
    reads = reader.consumer.reads
    stop = asyncio.Event()
    running = asyncio.create_task(reader.requests.run(stop))
    await wait_until(lambda: reader.consumer.reads > reads)
    reader.consumer.is_away = False
    await reader.elect(is_won=False)
    reader.requests.lease.renew(clock[0])
    reads = reader.consumer.reads
    stop.set()
    await running
    assert (reader.taken, reader.consumer.reads) == ([], reads)


async def test_what_waits_is_forgotten_with_the_partitions(reader: Reader) -> None:
    """Another bridge reads it again; sent by both, every customer would see it twice."""
    await reader.lead()
    assert (reader.submitter.forgotten, reader.requests.may_act()) == (2, True)
    await reader.elect(is_won=False)
    assert (reader.submitter.forgotten, reader.requests.may_act()) == (4, False)


async def test_an_idle_bridge_keeps_its_lease(reader: Reader, clock: list[float]) -> None:
    """With nothing new to commit, it commits what it has committed: seven, says the group."""
    await reader.elect()
    for _ in range(3):
        clock[0] += 4
        await reader.requests._commit()
        assert reader.requests.may_act()
    assert [set(each.values()) for each in reader.consumer.commits] == [{7}] * 3


async def test_what_is_read_behind_a_rebalance_is_not_lost(reader: Reader) -> None:
    """A read that waits for the new assignment gives its records, and moves on behind them."""
    await reader.elect()
    reader.consumer.rebalance = reader.elect
    await reader.read(lambda: bool(reader.taken))
    assert reader.taken[: len(PARTITIONS)] == ["of the new assignment"] * len(PARTITIONS)


async def test_a_failed_rejoin_ends_the_process(reader: Reader) -> None:
    """Nothing is read then, and reading is where aiokafka tells it: the supervisor starts anew."""
    await reader.elect()
    await reader.elect(is_won=False)
    reader.consumer.failure = GroupAuthorizationFailedError("g")
    with pytest.raises(GroupAuthorizationFailedError):
        await reader.requests.run(asyncio.Event())


async def test_a_stranger_in_the_group_is_told_in_a_sentence(reader: Reader) -> None:
    """A console consumer with the group's name, or a bridge from before the election."""
    reader.consumer.failure = InconsistentGroupProtocolError()
    with pytest.raises(CannotRun, match="group smslab-bridge-a has a member that is no bridge"):
        await reader.requests.run(asyncio.Event())


async def test_a_stranger_is_told_in_a_sentence_to_one_that_is_reading(reader: Reader) -> None:
    """Aiokafka raises it in the read that is waiting."""
    await reader.elect()
    reader.consumer.rebalance = AsyncMock(side_effect=InconsistentGroupProtocolError)
    with pytest.raises(CannotRun, match="has a member that is no bridge"):
        await reader.requests.run(asyncio.Event())


@pytest.mark.parametrize("is_stopped", [False, True])
async def test_one_joins_when_it_is_its_turn(reader: Reader, *, is_stopped: bool) -> None:
    """Not before, and not at all if the process is told to end meanwhile."""
    turn, stop = Turn("another"), asyncio.Event()
    reader.requests._turn = turn
    running = asyncio.create_task(reader.requests.run(stop))
    await asyncio.sleep(0.15)
    assert reader.consumer.subscribed is None
    if not is_stopped:
        turn.won()
        await wait_until(lambda: reader.consumer.subscribed is not None)
    stop.set()
    await running
    joined = (list(requests.MAX_BACKLOG), reader.requests)
    assert reader.consumer.subscribed == (None if is_stopped else joined)


async def test_a_failed_rejoin_ends_the_process_while_records_wait(reader: Reader) -> None:
    """They wait for a lease that never comes."""
    await reader.elect()
    reads = reader.consumer.reads
    running = asyncio.create_task(reader.requests.run(asyncio.Event()))
    await wait_until(lambda: reader.consumer.reads > reads)
    reader.consumer.failure = GroupAuthorizationFailedError("g")
    with pytest.raises(GroupAuthorizationFailedError):
        async with asyncio.timeout(5):
            await running


async def test_records_of_an_earlier_assignment_are_not_taken_in_the_next(
    reader: Reader, clock: list[float]
) -> None:
    """They are read again: taken twice, a finished tail would stand for an unfinished head."""
    await reader.elect()
    reader.consumer.record = "old"
    stop = asyncio.Event()
    running = asyncio.create_task(reader.requests.run(stop))
    await wait_until(lambda: reader.consumer.reads > 0)
    reader.consumer.record = "new"
    await reader.elect()
    reader.requests.lease.renew(clock[0])
    await wait_until(lambda: bool(reader.taken))
    stop.set()
    await running
    assert set(reader.taken) == {"new"}


def test_the_group_waits_longer_than_a_lease_can_last_after_another_has_joined(
    reader: Reader,
) -> None:
    """Until a heartbeat tells of it, a commit renews the lease; then the other one reads."""
    told_within_s = reader.settings["heartbeat_interval_ms"] / 1000
    assert reader.settings["rebalance_timeout_ms"] / 1000 >= told_within_s + requests._LEASE_S + 1
    assert reader.settings["session_timeout_ms"] / 1000 >= requests._LEASE_S + 1


async def test_who_loses_partitions_sends_no_more_and_waits_no_longer_than_its_lease(
    reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A commit beside or behind the rejoin could end the new membership, or take offsets back."""
    monkeypatch.setattr(requests, "_COMMIT_S", 0.01)
    reader.requests.lease = Lease(0.5)
    await reader.lead()
    reader.finish(7)
    reader.consumer.is_away = True
    forgotten, asked = reader.submitter.forgotten, reader.consumer.asked
    revoking = asyncio.create_task(reader.requests.on_partitions_revoked(PARTITIONS))
    committing = asyncio.create_task(reader.requests.commit_regularly())
    await asyncio.sleep(0)
    assert not reader.requests.may_act()
    async with asyncio.timeout(5):
        await revoking
    committing.cancel()
    assert (reader.consumer.asked, reader.submitter.forgotten) == (asked + 1, forgotten + 1)


async def test_the_last_commit_takes_the_place_of_one_that_waits(reader: Reader) -> None:
    """Tried again in another generation, that one would take back offsets."""
    reader.requests.lease = Lease(0.5)
    await reader.lead()
    reader.finish(7)
    reader.consumer.is_away = True
    committing = asyncio.create_task(reader.requests.commit_regularly())
    await wait_until(lambda: reader.consumer.asked > 1)
    reader.consumer.is_away = False
    await reader.requests.on_partitions_revoked(PARTITIONS)
    committing.cancel()
    assert reader.requests._committing.cancelled()
    assert reader.consumer.commits[-1] == {PARTITIONS[0]: 8}


async def test_without_a_lease_nothing_is_committed_any_more(
    reader: Reader, clock: list[float]
) -> None:
    """The group may be empty, and takes from anybody what is long outdated."""
    for end in (lambda: reader.requests.on_partitions_revoked(PARTITIONS), reader.requests.stop):
        await reader.lead()
        reader.finish(7)
        commits = len(reader.consumer.commits)
        clock[0] += 60
        await end()
        assert len(reader.consumer.commits) == commits


async def test_what_is_due_is_committed_at_the_end(reader: Reader) -> None:
    """Else the next process reads it again, and looks it up in the journal."""
    for end in (lambda: reader.requests.on_partitions_revoked(PARTITIONS), reader.requests.stop):
        await reader.lead()
        reader.finish(7)
        await end()
        assert reader.consumer.commits[-1] == {PARTITIONS[0]: 8}
    assert (reader.consumer.is_stopped, reader.requests.may_act()) == (True, False)


async def test_a_stopped_reader_leaves_no_commit_behind(reader: Reader) -> None:
    """It would be sent when the group is empty."""
    await reader.lead()
    reader.finish(7)
    reader.consumer.is_away = True
    committing = asyncio.create_task(reader.requests.commit_regularly())
    await wait_until(lambda: reader.consumer.asked > 1)
    committing.cancel()
    reader.consumer.is_away = False
    await reader.requests.stop()
    assert reader.requests._committing.done()


async def test_a_refused_commit_ends_a_lease_that_seems_fresh(reader: Reader) -> None:
    """The group has given the partitions to another."""
    await reader.lead()
    assert reader.requests.may_act()
    reader.finish(7)
    reader.consumer.is_member = False
    await reader.requests._commit()
    assert not reader.requests.may_act()


async def test_a_lease_counts_from_the_question(reader: Reader, clock: list[float]) -> None:
    """How long the answer was on its way nobody knows."""
    await reader.elect()

    def answer_comes_late() -> None:
        clock[0] += 60

    reader.consumer.on_commit = answer_comes_late
    await reader.requests._commit()
    assert not reader.requests.may_act()


async def test_what_is_committed_is_not_committed_again(reader: Reader) -> None:
    """While the lease is young, nothing is asked for nothing."""
    await reader.lead()
    reader.finish(7)
    for _ in range(3):
        await reader.requests._commit()
    assert [each for each in reader.consumer.commits if each == {PARTITIONS[0]: 8}] != []
    assert len(reader.consumer.commits) == 2


async def test_what_waits_goes_out_with_the_lease(reader: Reader) -> None:
    """Nobody else wakes the submitter then."""
    await reader.elect()
    woken = reader.submitter.woken
    await reader.requests._commit()
    assert reader.submitter.woken == woken + 1


async def test_partitions_are_let_go_although_the_last_commit_fails(reader: Reader) -> None:
    """Old offsets would be taken for those of the next generation."""
    await reader.elect()
    await reader.read(lambda: bool(reader.taken))
    epoch = reader.requests._epoch
    reader.requests._due = {PARTITIONS[0]: 9}
    reader.consumer.commit = None  # type: ignore[assignment,method-assign]
    with pytest.raises(TypeError):
        await reader.requests.on_partitions_revoked(PARTITIONS)
    assert (reader.requests._epoch, reader.requests._due) == (epoch + 1, {})
    assert not reader.requests.may_act()
