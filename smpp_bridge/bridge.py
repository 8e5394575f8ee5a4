"""Runs all connections of one bridge process, and reports how they do."""

from __future__ import annotations

import asyncio
import errno
import uuid
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, Final, Protocol

from runtime.kafka import Done, KafkaPublisher
from runtime.process import CannotRun, ExitCode
from schemas.events import ConnectionReported, Event
from smpp_bridge.adapters.clock import now_ms
from smpp_bridge.adapters.counts import Counts
from smpp_bridge.adapters.journal import Journal
from smpp_bridge.adapters.links import Links
from smpp_bridge.configuration import ConnectionConfig

DAY_MS: Final = 86_400_000
DRAIN_S: Final = 6.0
"""At most; the stack and `docker stop` kill after 8 and 10 s."""
END_S: Final = 0.6
"""At most for each of what follows: the last confirmations, the last offsets, the producer."""
_SUMMED: Final = ("bound", "in_flight", "backlog")


class Part(Protocol):
    """What a bridge process runs."""

    async def start(self) -> None:
        """Before anything runs."""

    def runners(self, stop: asyncio.Event, /) -> list[Coroutine[Any, Any, None]]:
        """What runs until cancelled."""

    def tick(self) -> None:
        """Once a second."""

    async def drain(self, within_s: float) -> None:
        """Stop new work, wait for the answers that are due, say goodbye."""

    async def stop(self) -> None:
        """After everything is durable."""


class Route(Part, Protocol):
    """One connection at work, in gateway or proxy mode."""

    config: ConnectionConfig
    counts: Counts
    links: Links

    @property
    def in_flight(self) -> int:
        """Messages without a durable result."""

    @property
    def backlog(self) -> int:
        """Messages that wait for a window slot."""

    @property
    def learned_per_s(self) -> float:
        """Messages per second that the SMSC takes; 0 if it has not throttled."""

    @property
    def is_lease_held(self) -> bool:
        """Whether it may send."""


class Failure:
    """The first thing that ends the process."""

    def __init__(self, data: object) -> None:
        self._data = data
        self.future: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def __call__(self, error: BaseException) -> None:
        """End the process."""
        if self.future.done():
            return
        if isinstance(error, OSError) and error.errno == errno.ENOSPC:
            error = CannotRun(
                f"SMS_BRIDGE_DATA == {self._data}: the disk is full. Free some space; "
                "nothing is sent before it is noted in the journal.",
                ExitCode.DEPENDENCY_UNREACHABLE,
            )
        self.future.set_exception(error)


class Bridge:
    """The routes and what they share."""

    def __init__(
        self,
        routes: Sequence[Route],
        *,
        publisher: KafkaPublisher,
        journal: Journal,
        failure: Failure,
        others: Sequence[Part] = (),
        report: Callable[[Event, Done], None] | None = None,
    ) -> None:
        self._routes = routes
        self._parts = (*routes, *others)
        self._report = report or publisher.put_event
        self._publisher = publisher
        self._journal = journal
        self._failure = failure
        self._instance = uuid.uuid4().hex[:8]

    async def run(self, stop: asyncio.Event) -> None:
        """Run until `stop`; whatever fails in between ends the process, the supervisor restarts it.

        Raises:
            CannotRun: If the SMSC refuses the credentials, or the disk is full.
        """
        for part in self._parts:
            await part.start()
        runners = [runner for part in self._parts for runner in part.runners(stop)]
        async with _tasks(*runners, self._tick_regularly()) as tasks:
            stopped = asyncio.ensure_future(stop.wait())
            waits: set[asyncio.Future[Any]] = {stopped, self._failure.future, *tasks}
            while not stop.is_set():
                done, _ = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
                for finished in done - {stopped}:
                    finished.result()  # raises what ended it
                    waits.discard(finished)
            end_at = asyncio.get_running_loop().time() + DRAIN_S
            await asyncio.gather(*(part.drain(DRAIN_S) for part in self._parts))
            left_s = max(0, end_at - asyncio.get_running_loop().time())
            # while commits go on: without them the lease ends, and nothing is committed last
            await _within(left_s + END_S, self._publisher.flush())
        await self._end()

    async def _end(self) -> None:
        """What Kafka has confirmed counts; it may be away, and a supervisor does not wait."""
        await asyncio.gather(*(_within(END_S, part.stop()) for part in self._parts))
        if self._publisher.pending:
            raise CannotRun(
                f"Kafka has not confirmed {self._publisher.pending} records, so the SMSC was not "
                "told that we have them; the journal says what becomes of them at the next start.",
                ExitCode.DEPENDENCY_UNREACHABLE,
            )

    def probe(self) -> Mapping[str, object]:
        """Details for the health endpoint; ready when something is bound."""
        connections = {route.config.name: _details(route) for route in self._routes}
        total = {name: sum(each[name] for each in connections.values()) for name in _SUMMED}
        return {
            "ready": total["bound"] > 0,
            **total,
            "publishing": self._publisher.pending,
            "connections": connections,
        }

    async def _tick_regularly(self) -> None:
        while True:
            await asyncio.sleep(1.0)
            try:
                self._journal.turn_day(now_ms() // DAY_MS)
            except OSError as error:
                self._failure(error)
                return
            for part in self._parts:
                part.tick()
            for route in self._routes:
                self._report(_reported(route, self._instance), lambda _error: None)


async def _within(seconds: float, work: Coroutine[Any, Any, None]) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await work


def _details(route: Route) -> dict[str, Any]:
    links, counts = route.links, route.counts
    return {
        "state": links.state,
        "bound": links.bound,
        "in_flight": route.in_flight,
        "backlog": route.backlog,
        "last_error": links.last_error,
        **counts.totals(),
    }


def _reported(route: Route, instance: str) -> ConnectionReported:
    links, counts, name = route.links, route.counts, route.config.name
    return ConnectionReported(
        event_id=f"{name}/{instance}/{now_ms()}",
        occurred_at_ms=now_ms(),
        connection=name,
        instance=instance,
        state=links.state,
        binds=links.size,
        bound=links.bound,
        window=route.config.window * links.size,
        window_in_use=links.window_in_use,
        submits=counts.submits,
        accepted=counts.accepted,
        rejected=counts.rejected,
        receipts=counts.receipts,
        inbound=counts.inbound,
        unknown=counts.unknown,
        reconnects=links.reconnects,
        last_error=links.last_error,
    )


@asynccontextmanager
async def _tasks(*coroutines: Any) -> AsyncIterator[list[asyncio.Task[None]]]:
    """Run coroutines while the block runs; cancelled afterwards."""
    tasks = [asyncio.ensure_future(coroutine) for coroutine in coroutines]
    try:
        yield tasks
    finally:
        for task in tasks:
            task.cancel()
        for task in tasks:
            with suppress(asyncio.CancelledError, Exception):
                await task
