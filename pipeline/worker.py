"""The worker: Kafka → decode → join → `state.duckdb` → `serve.duckdb`, and its supervision."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Coroutine, Mapping
from contextlib import AsyncExitStack
from functools import partial
from typing import Any

import duckdb

from pipeline.agents.commit import commit
from pipeline.agents.decode import decode
from pipeline.agents.intake import accept, gather
from pipeline.agents.join import join
from pipeline.app import GROUP, READ_TOPICS, BatchSource, build_app
from pipeline.broker import START_TIMEOUT_S, Broker, Offsets
from pipeline.dead_letters import publish_dead_letters
from pipeline.flush import Flush
from pipeline.history import StoredHistory
from pipeline.join.engine import JoinEngine
from pipeline.join.horizon import DAY_MS
from pipeline.metrics import Gauges, WorkerMetrics
from pipeline.publish_results import ResultsPublisher, now_ms
from pipeline.settings import WorkerSettings
from pipeline.storage.identity import claim
from pipeline.storage.lost import skip_lost
from pipeline.storage.rebuild import begin_rebuild
from pipeline.storage.restore import restore
from pipeline.storage.results import progress
from pipeline.storage.state import State, open_state, unreadable
from pipeline.watchdog import Watchdog
from pipeline.write_facts import FactsWriter
from runtime.health import serve_health
from runtime.kafka import KafkaPublisher, kafka_unreachable
from runtime.metrics import metrics_route
from runtime.process import CannotRun, ExitCode, port_in_use, rest_garbage_collector
from runtime.topics import TopicError, ensure_topics

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
            await self._open_health(stack)
            broker = await stack.enter_async_context(Broker(settings.kafka, READ_TOPICS))
            state = await self._open(broker)
            rest_garbage_collector(200_000, 20, 100)  # docs/performance.md
            stack.callback(state.close)
            state.keeps_facts = settings.keeps_facts
            self._facts = FactsWriter(state, settings.data, self._database, now_ms)
            publisher = await stack.enter_async_context(
                KafkaPublisher(settings.kafka, client_id=GROUP)
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
            self._source = BatchSource(build_app(settings, lambda: self._stored))
            agents = self._agents(self._source, state, publisher)
            await self._supervise(stop, agents, broker)

    async def _open_health(self, stack: AsyncExitStack) -> None:
        host, port = self._settings.health_host, self._settings.health_port
        try:
            routes = [metrics_route(self._metrics.registry)]
            serving = serve_health(host, port, self.probe, routes=routes)
            port = await stack.enter_async_context(serving)
        except OSError as error:
            raise port_in_use("SMS_WORKER_HEALTH_PORT", host, port) from error
        _log.info("health endpoint", extra={"fields": {"host": host, "port": port}})

    async def _open(self, broker: Broker) -> State:
        """Check that folder and Kafka belong together; bring the engine back."""
        settings = self._settings
        topic_ids: Mapping[str, str] = {}
        if not settings.is_kafka_in_memory:  # which knows no admin requests
            try:
                await ensure_topics(settings.kafka)
            except TopicError as error:
                raise CannotRun(str(error), ExitCode.DEPENDENCY_UNREACHABLE) from error
            topic_ids = await broker.topic_ids()
        ends, beginnings = await broker.ends(START_TIMEOUT_S), await broker.beginnings()
        if ends is None or beginnings is None:
            raise CannotRun(kafka_unreachable(settings.kafka), ExitCode.DEPENDENCY_UNREACHABLE)
        identity: dict[str, Any] = {
            "cluster_id": await broker.cluster_id(),
            "topic_ids": topic_ids,
        }
        return await asyncio.to_thread(self._restore, beginnings, ends, identity)

    def _restore(self, beginnings: Offsets, ends: Offsets, identity: dict[str, Any]) -> State:
        folder = self._settings.data
        if self._is_rebuild:
            begin_rebuild(folder, beginnings, ends, **identity)
        state = open_state(folder)
        try:
            claim(state, folder, ends=ends, **identity)
            skip_lost(state, beginnings, now_ms())
            people = restore(state, self._engine)
        except duckdb.Error as error:
            raise unreadable(folder, error) from error
        self._stored.update(state.offsets())
        self._events_applied = progress(state).events_applied
        _log.info("state restored", extra={"fields": {"people": people}})
        return state

    async def _agents(self, source: BatchSource, state: State, publisher: KafkaPublisher) -> None:
        """Run decode → join → commit as one chain; ends when the source ends."""
        settings = self._settings
        deliveries = accept(source.deliveries(), dict(self._stored), source.generation)
        groups = gather(
            deliveries, max_records=settings.flush_records, max_wait_ms=settings.flush_ms
        )
        decoded = decode(groups, partial(publish_dead_letters, publisher), now_ms)
        self._history = StoredHistory(state, self._database)
        flushes = join(decoded, self._engine, self._history, self._sweep_until)
        async for flush in commit(flushes, partial(self._store, state)):
            self._flushes += 1
            self._events_applied += flush.deltas.applied

    def _sweep_until(self) -> int | None:
        """Now, but only when what waits fits into one transaction: old events may be among it."""
        lag = self._results.lag if self._results else None
        is_caught_up = lag is not None and lag <= self._settings.flush_records
        return now_ms() if is_caught_up else None

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

    async def _supervise(
        self, stop: asyncio.Event, agents: Coroutine[None, None, None], broker: Broker
    ) -> None:
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
        watching = asyncio.create_task(self._watch(broker), name="watch")
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

    async def _watch(self, broker: Broker) -> None:
        """Look after Faust, the assignment and the progress.

        Raises:
            StalledError: If records wait and none is stored.
            CannotRun: If another worker of the group holds some of the partitions.
        """
        assert self._source is not None
        assert self._results is not None
        watchdog = Watchdog(self._settings.watchdog_s, time.monotonic())
        whole_at = time.monotonic()
        while True:
            await asyncio.sleep(LOOK_S)
            if (failure := self._source.failure()) is not None:
                raise failure
            now = time.monotonic()
            steps = self._flushes + (self._history.portions if self._history else 0)
            watchdog.check(now, lag=self._results.lag, steps=steps)
            assigned = self._source.assigned()
            if not assigned or assigned >= broker.partitions:
                whole_at = now
            if now - whole_at > PARTIAL_ASSIGNMENT_S:
                raise CannotRun(
                    f"another worker of group {GROUP} reads some of the partitions. "
                    "Stop it: one worker reads them all."
                )
