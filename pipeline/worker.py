"""The worker: Kafka → decode → join → `state.duckdb` → `serve.duckdb`, and its supervision.

As the sink of several workers it reads their deltas instead of events, and has nobody to join.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Coroutine, Mapping
from contextlib import AsyncExitStack
from functools import partial
from typing import Any

from pipeline.agents.commit import commit
from pipeline.agents.decode import decode
from pipeline.agents.intake import accept, gather, unite
from pipeline.agents.join import join
from pipeline.app import BatchSource, build_app
from pipeline.broker import Broker
from pipeline.dead_letters import publish_dead_letters
from pipeline.flush import Flush
from pipeline.history import StoredHistory
from pipeline.join.engine import JoinEngine
from pipeline.join.horizon import DAY_MS
from pipeline.metrics import Gauges, WorkerMetrics
from pipeline.opening import Log, ask_log, hold_folder, open_health
from pipeline.publish_results import ResultsPublisher, now_ms
from pipeline.roles import ROLES, SINK
from pipeline.settings import WorkerSettings
from pipeline.storage.identity import claim
from pipeline.storage.lost import skip_lost
from pipeline.storage.rebuild import begin_rebuild
from pipeline.storage.rebuild_several import begin_rebuild_of_several
from pipeline.storage.restore import restore
from pipeline.storage.results import progress
from pipeline.storage.sink import open_sink
from pipeline.storage.state import UNREADABLE, State, open_state, unreadable
from pipeline.watchdog import Watchdog
from pipeline.write_facts import FactsWriter
from runtime.kafka import KafkaPublisher
from runtime.process import CannotRun, garbage_by_the_clock
from schemas.topics import JOINED_TOPICS

LOOK_S = 0.25
STOP_FAUST_S = 1.2
"""A part of the 3 s in which SIGTERM must end the process."""
PARTIAL_ASSIGNMENT_S = 15.0
"""Longer than two rebalances; then the missing partitions are with somebody else."""
_log = logging.getLogger(__name__)


class Worker:
    """One worker process: opens everything, runs the agents, watches them."""

    def __init__(self, settings: WorkerSettings, *, is_rebuild: bool = False) -> None:
        self._settings = settings
        self._is_rebuild = is_rebuild
        self._role = ROLES[settings.role]
        self._is_sink = self._role is SINK
        self._engine = JoinEngine(settings.horizon_days * DAY_MS, settings.people_at_hand)
        self._database = asyncio.Lock()  # one transaction or snapshot at a time
        self._stored: dict[tuple[str, int], int] = {}
        self._source: BatchSource | None = None
        self._results: ResultsPublisher | None = None
        self._facts: FactsWriter | None = None
        self._history: StoredHistory | None = None
        self._gauges = Gauges()
        self._metrics = WorkerMetrics(self._gauges, now_ms)
        self._events_applied = 0
        self._flushes = 0
        self._last_flush_ms = 0.0

    def probe(self) -> Mapping[str, object]:
        """Details of `/readyz`."""
        return {
            "ready": self._source is not None and bool(self._source.assigned()),
            "lag": self._results.lag if self._results else None,
            "events_applied": self._events_applied,
            "flushes": self._flushes,
            "last_flush_ms": round(self._last_flush_ms, 1),
        }

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop` is set; then flush, publish a last snapshot and leave the group.

        Raises:
            CannotRun: If the broker, the folder or the port cannot be used.
            Exception: Whatever ended an agent, Faust or the database. What was not stored was
                not acknowledged, so the next process reads it again.
        """
        settings = self._settings
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(open_health(settings, self.probe, self._metrics))
            folder = await asyncio.to_thread(hold_folder, settings, is_alone=self._is_rebuild)
            stack.callback(folder.close)
            broker = await stack.enter_async_context(Broker(settings.kafka, self._role.watched))
            if self._is_rebuild and not folder.has_finished_swap:
                await asyncio.to_thread(self._begin_rebuild, await ask_log(settings, broker))
            folder.share()
            state = await asyncio.to_thread(self._open)
            stack.callback(state.close)
            # asked now: a predecessor may have stored more than Kafka had before its file was free
            await asyncio.to_thread(self._restore, state, await ask_log(settings, broker))
            stack.enter_context(garbage_by_the_clock())
            state.keeps_facts = settings.keeps_facts and not self._is_sink
            state.history_ms = settings.history_days * DAY_MS
            self._facts = FactsWriter(
                state, settings.data, self._database, now_ms, is_behind=self._is_behind
            )
            publisher = await stack.enter_async_context(
                KafkaPublisher(settings.kafka, client_id=self._role.group)
            )
            self._results = ResultsPublisher(
                state,
                settings.data,
                database=self._database,
                stored=self._stored,
                ends=broker.ends,
                tell=publisher.publish,
                is_broker_in_memory=settings.is_kafka_in_memory,
                gauges=self._gauges,
            )
            app = build_app(settings, self._role, lambda: self._stored)
            self._source = BatchSource(app, self._role.topics)
            agents = self._agents(self._source, state, publisher)
            await self._supervise(stop, agents)

    def _begin_rebuild(self, log: Log) -> None:
        identity: dict[str, Any] = {"cluster_id": log.cluster_id, "topic_ids": log.topic_ids}
        where = self._settings.data, log.beginnings, log.ends
        if self._is_sink:
            begin_rebuild_of_several(*where, **identity, now_ms=now_ms())
        else:
            begin_rebuild(*where, **identity)

    def _open(self) -> State:
        folder = self._settings.data
        return open_sink(folder) if self._is_sink else open_state(folder)

    def _restore(self, state: State, log: Log) -> None:
        """Check that folder and Kafka belong together; bring the engine back."""
        folder = self._settings.data
        identity: dict[str, Any] = {"cluster_id": log.cluster_id, "topic_ids": log.topic_ids}
        try:
            claim(state, folder, ends=log.ends, **identity)
            if not self._is_sink:  # what it lacks it learns from the deltas
                skip_lost(state, log.beginnings, now_ms(), log.left_ms)
            people = restore(state, self._engine)
        except UNREADABLE as error:
            raise unreadable(folder, error) from error
        if not self._is_sink:  # or the first batch of a partition could start anywhere
            places = {(t.name, number): 0 for t in JOINED_TOPICS for number in range(t.partitions)}
            self._stored.update(places)
        self._stored.update(state.offsets())
        self._events_applied = progress(state).events_applied
        _log.info("state restored", extra={"fields": {"people": people}})

    async def _agents(self, source: BatchSource, state: State, publisher: KafkaPublisher) -> None:
        """Run decode → join → commit as one chain; ends when the source ends."""
        settings = self._settings
        deliveries = accept(source.deliveries(), dict(self._stored), source.generation)
        groups = gather(
            deliveries,
            max_records=lambda: settings.flush_records,
            max_wait_ms=lambda: settings.flush_ms,
        )
        decoded = decode(unite(groups), partial(publish_dead_letters, publisher), now_ms)
        self._history = StoredHistory(state, self._database)
        flushes = join(decoded, self._engine, self._history, self._sweep_until)
        async for flush in commit(flushes, partial(self._store, state)):
            self._flushes += 1
            if self._is_sink:
                await self._learn_from_deltas(state)
            else:
                self._events_applied += flush.deltas.applied
            if self._results is not None:
                self._results.flushed()

    async def _learn_from_deltas(self, state: State) -> None:
        """They say how far the sources were read, and how many events that were."""
        async with self._database:
            self._stored.update(await asyncio.to_thread(state.offsets))
            self._events_applied = (await asyncio.to_thread(progress, state)).events_applied

    def _sweep_until(self) -> int | None:
        """Now, but only when what waits fits into one transaction: old events may be among it."""
        is_known = self._results is not None and self._results.lag is not None
        return now_ms() if is_known and not self._is_behind() else None

    def _is_behind(self) -> bool:
        """As far as Kafka was asked."""
        lag = self._results.lag if self._results else None
        return lag is not None and lag > self._settings.flush_records

    async def _store(self, state: State, flush: Flush) -> None:
        started = time.perf_counter()
        async with self._database:
            await asyncio.to_thread(state.commit, flush, now_ms())
        self._stored |= {(b.topic, b.partition): b.next_offset for b in flush.ranges}
        seconds = time.perf_counter() - started
        self._last_flush_ms = seconds * 1000
        self._gauges.people = len(self._engine)
        self._gauges.shelved = self._engine.shelved
        self._metrics.stored(flush, seconds)

    async def _supervise(self, stop: asyncio.Event, agents: Coroutine[None, None, None]) -> None:
        """Run until `stop`, or until any part ends, which is always an error."""
        assert self._source is not None
        assert self._results is not None
        assert self._facts is not None
        stored_all = asyncio.Event()
        working = asyncio.create_task(agents, name="agents")
        publishing = asyncio.create_task(
            self._results.run(self._settings.snapshot_ms, stored_all), name="results"
        )
        writing = asyncio.create_task(self._facts.run(self._settings.facts_s, stop), name="facts")
        watching = asyncio.create_task(self._watch(), name="watch")
        joining = asyncio.create_task(self._source.start(), name="faust")
        stopping = asyncio.create_task(stop.wait(), name="stop")
        waiting = {working, publishing, writing, watching, joining, stopping}
        while not stopping.done():
            done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()  # raises what ended it
        watching.cancel()
        self._source.end()
        await working
        await writing
        await self._facts.finish()
        stored_all.set()
        leaving = asyncio.create_task(self._source.stop(), name="faust stop")
        await publishing
        await asyncio.wait((leaving,), timeout=STOP_FAUST_S)

    async def _watch(self) -> None:
        """Look after Faust, the assignment and the progress.

        Raises:
            StalledError: If records wait and none is stored.
            CannotRun: If another worker of the group holds some of the partitions.
        """
        assert self._source is not None
        assert self._results is not None
        watchdog = Watchdog(self._settings.watchdog_s, time.monotonic())
        whole_at = time.monotonic()
        own = {topic.name for topic in self._role.topics}
        while True:
            await asyncio.sleep(LOOK_S)
            if (failure := self._source.failure()) is not None:
                raise failure
            now = time.monotonic()
            steps = self._flushes + (self._history.portions if self._history else 0)
            watchdog.check(now, lag=self._results.lag_of(own), steps=steps)
            assigned = self._source.assigned()
            if not assigned or assigned >= self._role.partitions:
                whole_at = now
            if now - whole_at > PARTIAL_ASSIGNMENT_S:
                raise CannotRun(
                    f"another worker of group {self._role.group} reads some of the partitions. "
                    "Stop it: one worker reads them all."
                )
