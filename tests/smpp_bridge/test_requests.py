"""One bridge at a time reads a connection's requests, whatever the group does meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import pytest
from aiokafka.errors import CommitFailedError, GroupAuthorizationFailedError
from aiokafka.structs import TopicPartition

from runtime.process import CannotRun
from smpp_bridge.adapters import lease, requests
from smpp_bridge.adapters.counts import Counts
from smpp_bridge.adapters.requests import MAX_BACKLOG, Requests
from tests.support.topics import wait_until

PARTITIONS = [TopicPartition(topic, number) for topic in MAX_BACKLOG for number in range(3)]


class FakeConsumer:
    """What the group says is told by the test."""

    def __init__(self, **_: Any) -> None:
        self.assigned: list[TopicPartition] = []
        self.reads = 0
        self.is_member = True
        self.on_read: Callable[[], None] = lambda: None
        self.is_away = False
        self._coordinator = self
        self.failure: Exception | None = None
        self.rebalance: Callable[[], Awaitable[None]] | None = None
        self.commits: list[dict[TopicPartition, int]] = []

    def partitions_for_topic(self, _topic: str) -> Iterable[int]:
        """Three of each."""
        return range(3)

    def assignment(self) -> set[TopicPartition]:
        """As assigned last."""
        return set(self.assigned)

    async def getmany(self, *partitions: TopicPartition, **_: Any) -> dict[TopicPartition, Any]:
        """A record of each, which nobody can read."""
        await asyncio.sleep(0)
        if self.rebalance is not None:
            rebalance, self.rebalance = self.rebalance, None
            await rebalance()
            return {partition: ["of the new assignment"] for partition in self.assigned}
        self.reads += 1
        self.on_read()
        return {partition: ["record"] for partition in partitions}

    def check_errors(self) -> None:
        """As aiokafka tells that it could not join again."""
        if self.failure is not None:
            raise self.failure

    async def committed(self, _partition: TopicPartition) -> int:
        """Something."""
        return 7

    async def commit(self, offsets: dict[TopicPartition, int]) -> None:
        """Refused for those whom the group has lost; while Kafka is away nobody answers."""
        if self.is_away:
            await asyncio.Event().wait()
        if not self.is_member:
            raise CommitFailedError
        self.commits.append(offsets)


class FakeSubmitter:
    """Empty."""

    backlog = 0

    def __init__(self) -> None:
        self.room = asyncio.Event()
        self.forgotten = 0

    def wake(self) -> None:
        """Nothing to do."""

    def forget_waiting(self) -> None:
        """Count."""
        self.forgotten += 1


class Reader:
    """Requests of a connection on a fake consumer."""

    def __init__(self) -> None:
        self.failures: list[BaseException] = []
        self.taken: list[Any] = []
        self.submitter = FakeSubmitter()
        submitter: Any = self.submitter
        publisher: Any = None
        self.requests = Requests(
            bootstrap="127.0.0.1:1",
            connection="a",
            submitter=submitter,
            publisher=publisher,
            counts=Counts(),
            fail=self.failures.append,
        )
        self.consumer = FakeConsumer()
        self.requests._consumer = self.consumer
        self.requests._take = lambda _, record: self.taken.append(record)  # type: ignore[method-assign]

    async def assign(self, partitions: list[TopicPartition]) -> None:
        """As the group coordinator does."""
        await self.requests.on_partitions_revoked(self.consumer.assigned)
        self.consumer.assigned = partitions
        await self.requests.on_partitions_assigned(partitions)

    async def read(self, until: Callable[[], bool]) -> None:
        """Run until something holds."""
        stop = asyncio.Event()
        committing = asyncio.create_task(self.requests.commit_regularly())
        running = asyncio.create_task(self.requests.run(stop))
        await wait_until(until)
        stop.set()
        await running
        committing.cancel()


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


async def test_a_bridge_that_never_had_all_partitions_is_refused_at_once(reader: Reader) -> None:
    """Another was there before."""
    await reader.assign(PARTITIONS[:3])
    assert [type(error) for error in reader.failures] == [CannotRun]


async def test_a_bridge_whose_partitions_another_shares_reads_none_of_them(reader: Reader) -> None:
    """Each has a journal of its own: what one has sent, the other would send again."""
    await reader.assign(PARTITIONS)
    await reader.read(lambda: bool(reader.taken))
    reads = reader.consumer.reads
    await reader.assign(PARTITIONS[:3])
    await reader.read(lambda: bool(reader.failures))
    assert reader.consumer.reads == reads


async def test_a_bridge_whose_partitions_stay_shared_ends_and_says_why(reader: Reader) -> None:
    """Two that were each alone once would share them for ever."""
    await reader.assign(PARTITIONS)
    await reader.assign(PARTITIONS[3:])
    await wait_until(lambda: bool(reader.failures))
    assert "another bridge has it already" in str(reader.failures[0])


async def test_a_bridge_that_meets_its_own_former_membership_goes_on(reader: Reader) -> None:
    """The group forgets that one after the session timeout."""
    await reader.assign(PARTITIONS)
    await reader.assign(PARTITIONS[3:])
    await reader.assign(PARTITIONS)
    await reader.read(lambda: bool(reader.taken))
    assert (reader.requests._ends_at, reader.failures) == (None, [])


async def test_after_a_pause_nothing_is_taken_or_sent_before_the_group_confirms(
    reader: Reader, clock: list[float]
) -> None:
    """While it stood still, another may have read and sent the same requests."""
    await reader.assign(PARTITIONS)
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
    await reader.assign(PARTITIONS)
    await reader.read(lambda: bool(reader.taken))


async def test_without_kafka_the_lease_ends_and_comes_back_with_it(
    reader: Reader, clock: list[float]
) -> None:
    """The group forgets who cannot be heard; nothing that was read meanwhile is lost."""
    await reader.assign(PARTITIONS)
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
    await reader.assign(PARTITIONS)
    await reader.read(lambda: bool(reader.taken))
    reader.taken.clear()
    clock[0] += 60
    reader.consumer.is_away = True
    reads = reader.consumer.reads
    stop = asyncio.Event()
    running = asyncio.create_task(reader.requests.run(stop))
    await wait_until(lambda: reader.consumer.reads > reads)
    reader.consumer.is_away = False
    await reader.assign(PARTITIONS[:3])
    reader.requests.lease.renew(clock[0])
    reads = reader.consumer.reads
    stop.set()
    await running
    assert (reader.taken, reader.consumer.reads) == ([], reads)


async def test_what_waits_is_forgotten_with_the_partitions(reader: Reader) -> None:
    """Another bridge reads it again; sent by both, every customer would see it twice."""
    await reader.assign(PARTITIONS)
    await reader.assign(PARTITIONS[:3])
    assert (reader.submitter.forgotten, reader.requests.may_act()) == (4, False)


async def test_an_idle_bridge_keeps_its_lease(reader: Reader, clock: list[float]) -> None:
    """With nothing new to commit, it commits what it has committed: seven, says the group."""
    await reader.assign(PARTITIONS)
    for _ in range(3):
        clock[0] += 4
        await reader.requests._commit()
        assert reader.requests.may_act()
    assert [set(each.values()) for each in reader.consumer.commits] == [{7}] * 3


async def test_what_is_read_behind_a_rebalance_is_not_lost(reader: Reader) -> None:
    """A read that waits for the new assignment gives its records, and moves on behind them."""
    await reader.assign(PARTITIONS)
    reader.consumer.rebalance = lambda: reader.assign(PARTITIONS)
    await reader.read(lambda: bool(reader.taken))
    assert reader.taken[: len(PARTITIONS)] == ["of the new assignment"] * len(PARTITIONS)


async def test_a_failed_rejoin_ends_the_process(reader: Reader) -> None:
    """Nothing is read then, and reading is where aiokafka tells it: the supervisor starts anew."""
    await reader.assign(PARTITIONS)
    await reader.assign(PARTITIONS[:3])
    reader.consumer.failure = GroupAuthorizationFailedError("g")
    with pytest.raises(GroupAuthorizationFailedError):
        await reader.requests.run(asyncio.Event())


async def test_partitions_are_let_go_although_the_last_commit_fails(reader: Reader) -> None:
    """Old offsets would be taken for those of the next generation."""
    await reader.assign(PARTITIONS)
    await reader.read(lambda: bool(reader.taken))
    epoch = reader.requests._epoch
    reader.requests._due = {PARTITIONS[0]: 9}
    reader.consumer.commit = None  # type: ignore[assignment,method-assign]
    with pytest.raises(TypeError):
        await reader.requests.on_partitions_revoked(PARTITIONS)
    assert (reader.requests._epoch, reader.requests._due) == (epoch + 1, {})
    assert not reader.requests.may_act()
