"""Requests of a connection on a consumer that is told what the group does."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from aiokafka.coordinator.protocol import ConsumerProtocolMemberMetadata
from aiokafka.errors import CommitFailedError
from aiokafka.structs import TopicPartition

from smpp_bridge.adapters.counts import Counts
from smpp_bridge.adapters.election import Election, Turn
from smpp_bridge.adapters.offsets import Offsets
from smpp_bridge.adapters.requests import MAX_BACKLOG, Requests
from tests.support.topics import wait_until

PARTITIONS = [TopicPartition(topic, number) for topic in MAX_BACKLOG for number in range(3)]
_NEWER = (2**31 - 1).to_bytes(4, "big")


def _nothing() -> None:
    pass


class FakeConsumer:
    """What the group says is told by the test."""

    def __init__(self, **settings: Any) -> None:
        self.settings = settings
        self.assigned: list[TopicPartition] = []
        self.reads = 0
        self.record = "record"
        self.is_member = True
        self.is_away = False
        self._coordinator = self
        self.generation = 0
        self.failure: Exception | None = None
        self.rebalance: Callable[[], Awaitable[None]] | None = None
        self.commits: list[dict[TopicPartition, int]] = []
        self.asked = 0
        self.on_commit: Callable[[], None] = _nothing
        self.on_stop: Callable[[], Awaitable[None]] | None = None
        self.is_stopped = False
        self.subscribed: tuple[list[str], Any] | None = None

    def subscribe(self, topics: list[str], listener: Any) -> None:
        """Join; what the group says then is told by the test."""
        self.subscribed = topics, listener

    def partitions_for_topic(self, _topic: str) -> Iterable[int]:
        """Three of each, as the group's leader knows."""
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
        return {partition: [self.record] for partition in partitions}

    def check_errors(self) -> None:
        """As aiokafka tells that it could not join again."""
        if self.failure is not None:
            raise self.failure

    async def committed(self, _partition: TopicPartition) -> int:
        """Something."""
        return 7

    async def commit(self, offsets: dict[TopicPartition, int]) -> None:
        """Refused for those whom the group has lost; while Kafka is away nobody answers."""
        self.asked += 1
        if self.is_away:
            await asyncio.Event().wait()
        if not self.is_member:
            raise CommitFailedError
        self.commits.append(offsets)
        self.on_commit()

    async def stop(self) -> None:
        """Leave the group."""
        self.is_stopped = True
        if self.on_stop is not None:
            await self.on_stop()


class FakeSubmitter:
    """Empty."""

    backlog = 0

    def __init__(self) -> None:
        self.room = asyncio.Event()
        self.forgotten = 0
        self.woken = 0

    def wake(self) -> None:
        """Count."""
        self.woken += 1

    def forget_waiting(self) -> None:
        """Count."""
        self.forgotten += 1


async def elect(requests: Requests, *, is_won: bool = True) -> None:
    """Assign all partitions of a `FakeConsumer`, or give them to another member."""
    consumer, election = requests._consumer, requests._election
    await requests.on_partitions_revoked(consumer.assigned)
    consumer.generation += 1
    members = {"this": election.metadata(MAX_BACKLOG)}
    if not is_won:
        members["other"] = ConsumerProtocolMemberMetadata(0, list(MAX_BACKLOG), _NEWER)
    given = election.assign(consumer, members)["this"]
    consumer.assigned = given.partitions()
    election.on_assignment(given)
    await requests.on_partitions_assigned(consumer.assigned)


class Reader:
    """Requests of a connection, and what becomes of them."""

    def __init__(self) -> None:
        self.failures: list[BaseException] = []
        self.had_left: list[bool] = []
        """Of each failure: whether the group was told before."""
        self.taken: list[Any] = []
        self.submitter = FakeSubmitter()
        submitter: Any = self.submitter
        publisher: Any = None
        self.consumer = FakeConsumer()
        self.requests = Requests(
            bootstrap="127.0.0.1:1",
            connection="a",
            submitter=submitter,
            publisher=publisher,
            counts=Counts(),
            turn=Turn("a"),
            fail=self._fail,
        )
        self.settings = self.requests._consumer.settings
        self.election: Election = self.settings["partition_assignment_strategy"][0]
        self.requests._consumer = self.consumer
        self.requests._take = lambda _, record: self.taken.append(record)  # type: ignore[method-assign]

    async def elect(self, *, is_won: bool = True) -> None:
        """As the group coordinator does: this one has all partitions, or another has."""
        await elect(self.requests, is_won=is_won)

    async def lead(self) -> None:
        """Everything is assigned to this one, and confirmed."""
        await self.elect()
        await self.requests._commit()

    def finish(self, offset: int) -> None:
        """What is behind it in the first partition has durable results."""
        offsets = self.requests._offsets[PARTITIONS[0]] = Offsets()
        offsets.begin(offset)
        offsets.finish(offset)

    async def read(self, until: Callable[[], bool]) -> None:
        """Run until something holds."""
        stop = asyncio.Event()
        committing = asyncio.create_task(self.requests.commit_regularly())
        running = asyncio.create_task(self.requests.run(stop))
        await wait_until(until)
        stop.set()
        await running
        committing.cancel()

    def _fail(self, error: BaseException) -> None:
        self.failures.append(error)
        self.had_left.append(self.consumer.is_stopped)
