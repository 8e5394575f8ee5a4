"""One partition of people, counted by whoever holds its database: decode → join → commit → tell."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from pipeline.agents.commit import commit
from pipeline.agents.decode import decode
from pipeline.agents.intake import accept, gather, unite
from pipeline.agents.join import join
from pipeline.batch import Delivery, RecordBatch
from pipeline.broker import Offsets
from pipeline.dead_letters import publish_dead_letters
from pipeline.flush import DecodedBatch, Flush
from pipeline.history import StoredHistory
from pipeline.join.engine import JoinEngine
from pipeline.join.horizon import DAY_MS
from pipeline.opening import Log
from pipeline.publish_results import now_ms
from pipeline.settings import WorkerSettings
from pipeline.storage.identity import claim
from pipeline.storage.restore import restore
from pipeline.storage.shard import ShardState, shard_folder
from pipeline.storage.state import UNREADABLE, unreadable
from pipeline.write_facts import FactsWriter
from runtime.kafka import KafkaPublisher
from runtime.process import CannotRun
from schemas.topics import CAMPAIGN_DEFINITION, COHORT_DELTA, JOINED_TOPICS, SUBJECT_PARTITIONS

_QUEUED_BATCHES = 16
GROUPS = 2
"""Of `flush_records`, in all open partitions together: SIGTERM waits for them."""
BEHIND_MS = 2_000
"""A flush costs the same whatever is in it."""
_log = logging.getLogger(__name__)
Stored = Callable[[Flush, float], None]
"""Called after a flush is stored and told, with the seconds that took."""


@dataclass(frozen=True, slots=True)
class Tools:
    """What all partitions of a process share."""

    settings: WorkerSettings
    worker: str
    publisher: KafkaPublisher
    generation: Callable[[], int]
    stored: Stored
    ends: Callable[[], Offsets | None]
    """Of everything in Kafka, as it was asked last; `None` without an answer."""
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Of those who write row-level facts."""


class Shard:
    """A partition whose database is ours. Make it with `open`, then `run` it until `close`."""

    def __init__(self, partition: int, state: ShardState, engine: JoinEngine, tools: Tools) -> None:
        self.partition = partition
        self.offsets = state.offsets()
        """(topic, partition) → next offset, as stored."""
        self._state = state
        self._engine = engine
        self._tools = tools
        self._taken: dict[tuple[str, int], int] = {}
        self._flushes = 0
        self._database = asyncio.Lock()
        self._history = StoredHistory(state, self._database)
        self._queue: asyncio.Queue[Delivery | None] = asyncio.Queue()
        self._has_room = asyncio.Semaphore(_QUEUED_BATCHES)
        self._telling = asyncio.Lock()
        self._facts = FactsWriter(
            state,
            tools.settings.data,
            self._database,
            now_ms,
            partition=partition,
            turn=tools.turn,
            listed=self._tell,
            is_behind=self._is_behind,
        )
        self.share(SUBJECT_PARTITIONS)

    @classmethod
    def open(cls, partition: int, state: ShardState, tools: Tools, log: Log) -> Shard:
        """Take a partition over: check, restore, say in a delta whose it is now.

        Args:
            partition: Which.
            state: Its database, closed here if that fails.
            tools: Of the process.
            log: Asked after `state` was opened. What was asked before may be behind what the
                last owner has stored since, and look like a log that was cut.

        Raises:
            CannotRun: If its folder belongs to another Kafka, or cannot be read.
        """
        try:
            return cls._opened(partition, state, tools, log)
        except UNREADABLE as error:
            state.close()
            raise unreadable(shard_folder(tools.settings.data, partition), error) from error
        except BaseException:
            state.close()
            raise

    @classmethod
    def _opened(cls, partition: int, state: ShardState, tools: Tools, log: Log) -> Shard:
        identity: dict[str, Any] = {"cluster_id": log.cluster_id, "topic_ids": log.topic_ids}
        claim(state, shard_folder(tools.settings.data, partition), ends=log.ends, **identity)
        _check_beginning(partition, state, tools, log)
        state.keeps_facts = tools.settings.keeps_facts
        state.history_ms = tools.settings.history_days * DAY_MS
        at_hand = max(1, tools.settings.people_at_hand // SUBJECT_PARTITIONS)
        horizon_ms = tools.settings.horizon_days * DAY_MS
        engine = JoinEngine(horizon_ms, at_hand)
        people = restore(state, engine)
        state.commit(Flush(list(_first(partition, state, log)), engine.take()), now_ms())
        fields = {"partition": partition, "people": people}
        _log.info("partition opened", extra={"fields": fields})
        return cls(partition, state, engine, tools)

    @property
    def people(self) -> int:
        """In memory."""
        return len(self._engine)

    @property
    def shelved(self) -> int:
        """Of whom only the name is in memory."""
        return self._engine.shelved

    @property
    def steps(self) -> int:
        """Flushes stored, and portions of long work without a flush."""
        return self._flushes + self._history.portions

    async def put(self, delivery: Delivery) -> None:
        """Hand over a batch of records; waits while many are queued."""
        await self._has_room.acquire()
        self._queue.put_nowait(delivery)

    def share(self, partitions: int) -> None:
        """Say how many partitions are open, which share the time to end."""
        most = self._tools.settings.flush_records
        self._max_records = min(most, max(1, GROUPS * most // partitions))

    def define(self, delivery: Delivery) -> None:
        """Hand over definitions, which are few."""
        self._queue.put_nowait(delivery)

    async def run(self) -> None:
        """Publish what is left from before, then count and write facts until `end`."""
        await self._tell()
        interval_s, ended = float(self._tools.settings.facts_s), asyncio.Event()
        first_s = interval_s * (self.partition + 1) / SUBJECT_PARTITIONS  # not all at once
        writing = asyncio.create_task(self._facts.run(interval_s, ended, first_s=first_s))
        counting = asyncio.create_task(self._count())
        try:
            await asyncio.wait((writing, counting), return_when=asyncio.FIRST_COMPLETED)
        finally:
            ended.set()
            await asyncio.wait((writing,))
            if not counting.done():  # the writer has failed
                counting.cancel()
        writing.result()
        await counting

    async def finish_facts(self) -> None:
        """After `run`: write the rest, if it is little."""
        await self._facts.finish()

    async def _count(self) -> None:
        tools = self._tools
        deliveries = accept(self._deliveries(), dict(self.offsets), tools.generation)
        groups = gather(
            deliveries,
            max_records=lambda: self._max_records,
            max_wait_ms=self._wait_ms,
        )
        decoded = decode(unite(groups), partial(publish_dead_letters, tools.publisher), now_ms)
        joined = join(decoded, self._engine, self._history, self._sweep_until)
        async for _ in commit(joined, self._store):
            pass

    def end(self) -> None:
        """Let `run` end after what it is counting; the rest is read again by the next owner."""
        while not self._queue.empty():
            self._queue.get_nowait()
        self._queue.put_nowait(None)
        for _ in range(_QUEUED_BATCHES):
            self._has_room.release()  # whoever waits in `put` must not wait for ever

    def close(self) -> None:
        """Give the database free, after `run` has ended."""
        self._state.close()
        _log.info("partition closed", extra={"fields": {"partition": self.partition}})

    async def _deliveries(self) -> AsyncIterator[Delivery]:
        while (delivery := await self._queue.get()) is not None:
            batch = delivery.batch
            if batch.topic == CAMPAIGN_DEFINITION.name:  # comes past the group
                current = replace(batch, generation=self._tools.generation())
                yield replace(delivery, batch=current)
            else:
                self._has_room.release()
                self._taken[batch.topic, batch.partition] = batch.next_offset
                yield delivery

    async def _store(self, flush: Flush) -> None:
        started_s = time.perf_counter()
        async with self._database:
            await asyncio.to_thread(self._state.commit, flush, now_ms())
        self.offsets |= {(b.topic, b.partition): b.next_offset for b in flush.ranges}
        await self._tell()
        self._flushes += 1
        self._tools.stored(flush, time.perf_counter() - started_s)

    async def _tell(self) -> None:
        """Return when Kafka has every delta; what is stored but not told is told again."""
        async with self._telling:
            async with self._database:
                waiting = await asyncio.to_thread(self._state.unpublished)
            await asyncio.gather(*(self._publish(value) for _, value in waiting))
            async with self._database:
                for sequence, _ in waiting[-1:]:
                    self._state.published(sequence)

    def _publish(self, value: bytes) -> asyncio.Future[None]:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def done(error: BaseException | None) -> None:
            if not future.done():
                future.set_result(None) if error is None else future.set_exception(error)

        key = str(self.partition).encode()
        self._tools.publisher.put(COHORT_DELTA.name, self.partition, key, value, done)
        return future

    def _wait_ms(self) -> int:
        """Longer while much is unread: nobody waits for what is old already."""
        flush_ms = self._tools.settings.flush_ms
        return max(flush_ms, BEHIND_MS) if self._is_behind() else flush_ms

    def _is_behind(self) -> bool:
        return self._unread() > self._tools.settings.flush_records // SUBJECT_PARTITIONS

    def _unread(self) -> int:
        """Records in Kafka and in the queue, without those on their way to the database."""
        taken = (end - self.offsets.get(place, end) for place, end in self._taken.items())
        return (self._lag() or 0) - sum(max(0, each) for each in taken)

    def _lag(self) -> int | None:
        """Records in Kafka that are not stored. Asked with every delivery."""
        ends = self._tools.ends()
        if ends is None:
            return None
        places = ((topic.name, self.partition) for topic in JOINED_TOPICS)
        stored = self.offsets
        return sum(max(0, ends.get(place, 0) - stored.get(place, 0)) for place in places)

    def _sweep_until(self) -> int | None:
        """As of the worker that is alone."""
        lag = self._lag()
        is_caught_up = lag is not None and lag <= self._tools.settings.flush_records
        return now_ms() if is_caught_up else None


def _check_beginning(partition: int, state: ShardState, tools: Tools, log: Log) -> None:
    """A partition that has been counted before is not begun anew beside.

    Raises:
        CannotRun: If another folder holds what was counted.
    """
    if not state.deltas and log.ends.get((COHORT_DELTA.name, partition), 0):
        raise CannotRun(
            f"SMS_WORKER_DATA == {str(tools.settings.data)!r} has nothing of partition "
            f"{partition}, but {COHORT_DELTA.name} holds what was counted of it. Set "
            "SMS_WORKER_DATA to the folder that all members share; to count again from the "
            "beginning: docs/workers.md."
        )


def _first(partition: int, state: ShardState, log: Log) -> Iterable[DecodedBatch]:
    """Ranges without records: what Kafka has removed before it was read, and where reading begins.

    With a stored position not even the very first record can be missed unnoticed.
    """
    stored = state.offsets()
    for topic in JOINED_TOPICS:
        place = (topic.name, partition)
        first = stored.get(place, 0)
        following = max(first, log.beginnings.get(place, 0))
        if place not in stored or first < following:
            left_ms = log.left_ms.get(place)
            batch = RecordBatch(topic.name, partition, first, following, [], left_ms=left_ms)
            yield DecodedBatch(Delivery(batch, lambda: None))
