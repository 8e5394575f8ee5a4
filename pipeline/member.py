"""A member: one of several workers that share the partitions and tell the sink what they count."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from contextlib import AsyncExitStack
from dataclasses import replace
from functools import partial

from pipeline.app import BatchSource, build_app
from pipeline.broker import Broker, Offsets
from pipeline.definitions import DefinitionReader
from pipeline.flush import Flush
from pipeline.metrics import Gauges, WorkerMetrics
from pipeline.opening import Log, ask_log, hold_folder, open_health
from pipeline.publish_results import lags_of, now_ms
from pipeline.roles import MEMBER
from pipeline.rows import Lag
from pipeline.settings import WorkerSettings
from pipeline.shard import Tools
from pipeline.shards import Shards
from pipeline.watchdog import Watchdogs
from runtime.kafka import KafkaPublisher
from runtime.process import garbage_by_the_clock

LOOK_S = 0.25
ASK_S = 1.0
STOP_FAUST_S = 1.2
_log = logging.getLogger(__name__)


class Member:
    """One process of several. Everything it knows is in the databases of its partitions."""

    def __init__(self, settings: WorkerSettings) -> None:
        self._settings = settings
        self._gauges = Gauges()
        self._metrics = WorkerMetrics(self._gauges, now_ms)
        self._shards: Shards | None = None
        self._ends: Offsets | None = None
        self._events_applied = 0
        self._flushes = 0

    def probe(self) -> Mapping[str, object]:
        """Details of `/readyz`."""
        shards = self._shards
        return {
            "ready": shards is not None and shards.is_ready,
            "partitions": shards.partitions if shards else [],
            "lag": self._lag(),
            "events_applied": self._events_applied,
            "flushes": self._flushes,
        }

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop` is set; then store, tell and let the partitions go.

        Raises:
            CannotRun: If the broker, the folder or the port cannot be used.
            Exception: Whatever ended an agent, Faust or a database.
        """
        settings = self._settings
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(open_health(settings, self.probe, self._metrics))
            stack.callback((await asyncio.to_thread(hold_folder, settings)).close)
            broker = await stack.enter_async_context(Broker(settings.kafka, MEMBER.watched))
            log = await ask_log(settings, broker)
            stack.enter_context(garbage_by_the_clock())
            publisher = await stack.enter_async_context(
                KafkaPublisher(settings.kafka, client_id=MEMBER.group)
            )
            definitions = await stack.enter_async_context(DefinitionReader(settings.kafka))
            await self._work(stop, partial(_ask_again, broker, log), broker, publisher, definitions)

    async def _work(
        self,
        stop: asyncio.Event,
        ask: Callable[[], Awaitable[Log | None]],
        broker: Broker,
        publisher: KafkaPublisher,
        definitions: DefinitionReader,
    ) -> None:
        settings = self._settings

        def generation() -> int:
            return source.generation()

        tools = Tools(
            settings,
            f"{socket.gethostname()}:{os.getpid()}",
            publisher,
            generation,
            self._note,
            lambda: self._ends,
        )
        shards = self._shards = Shards(tools, definitions, ask)
        app = build_app(settings, MEMBER, shards.offsets, shards.is_open)
        source = BatchSource(app, MEMBER.topics)
        await self._supervise(
            stop,
            source,
            shards,
            definitions.follow(shards.define),
            shards.follow(source),
            _deal(source, shards),
            self._ask_ends(broker),
            self._watch(source),
        )

    async def _supervise(
        self,
        stop: asyncio.Event,
        source: BatchSource,
        shards: Shards,
        *parts: Coroutine[None, None, None],
    ) -> None:
        """Run until `stop`, or until any part ends, which is always an error."""
        working = {asyncio.create_task(part) for part in parts}
        joining = asyncio.create_task(source.start(), name="faust")
        stopping = asyncio.create_task(stop.wait(), name="stop")
        waiting: set[asyncio.Task[object]] = {*working, joining, stopping}
        while not stopping.done():
            done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()  # raises what ended it
        for task in working:
            task.cancel()
        await asyncio.wait(working)
        await shards.close()
        leaving = asyncio.create_task(source.stop(), name="faust stop")
        await asyncio.wait((leaving,), timeout=STOP_FAUST_S)

    async def _ask_ends(self, broker: Broker) -> None:
        while True:
            self._ends = await broker.ends()
            self._gauges.lags = self._lags()
            await asyncio.sleep(ASK_S)

    async def _watch(self, source: BatchSource) -> None:
        """Look after Faust and the progress.

        Raises:
            StalledError: If records of a partition wait and none of it is stored.
        """
        watchdogs = Watchdogs(self._settings.watchdog_s)
        while True:
            await asyncio.sleep(LOOK_S)
            if (failure := source.failure()) is not None:
                raise failure
            steps = self._shards.steps if self._shards else {}
            watchdogs.check(time.monotonic(), lags=self._waiting(), steps=steps)

    def _note(self, flush: Flush, seconds: float) -> None:
        self._flushes += 1
        self._events_applied += flush.deltas.applied
        self._gauges.people = self._shards.people if self._shards else 0
        self._gauges.shelved = self._shards.shelved if self._shards else 0
        self._metrics.stored(flush, seconds)

    def _lags(self) -> list[Lag]:
        """Of the partitions that are open."""
        if self._shards is None or self._ends is None:
            return []
        mine = {place: end for place, end in self._ends.items() if self._shards.is_open(place[1])}
        joined = {topic.name for topic in MEMBER.topics}
        mine = {place: end for place, end in mine.items() if place[0] in joined}
        return lags_of(self._shards.offsets(), mine)

    def _waiting(self) -> Counter[int] | None:
        """Partition → records that wait; `None` without an answer from Kafka."""
        if self._ends is None:
            return None
        waiting: Counter[int] = Counter()
        for lag in self._lags():
            waiting[lag.partition] += lag.waiting
        return waiting

    def _lag(self) -> int | None:
        """Records that wait in the partitions that are open."""
        waiting = self._waiting()
        return None if waiting is None else waiting.total()


async def _ask_again(broker: Broker, log: Log) -> Log | None:
    """Where partitions begin and end now; `None` without an answer."""
    ends, beginnings = await broker.ends(), await broker.beginnings()
    if ends is None or beginnings is None:
        return None
    left_ms = await broker.left_ms(beginnings)
    return replace(log, ends=ends, beginnings=beginnings, left_ms=left_ms)


async def _deal(source: BatchSource, shards: Shards) -> None:
    async for delivery in source.deliveries():
        await shards.put(delivery)
