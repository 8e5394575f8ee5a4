"""The consumer process of `transport`: reads one topic to its end, in one of two ways.

`batch` is the worker's transport, one Faust event per fetched record list; `stock` is Faust as it
comes, `async for event in stream`. Both decode with the same codec and add up the same field.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import sys
import time
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import faust

from benchmarks.figures import WARM_UP
from pipeline.app import BatchSource, build_app
from pipeline.roles import ALONE
from pipeline.settings import WorkerSettings
from schemas.codec import decoder_for
from schemas.events import MessageSubmitted
from schemas.topics import MESSAGE_SUBMITTED

_SLOWEST_PER_S: Final = 500
"""Stock Faust reads thousands a second; slower than this something hangs."""
_START_S: Final = 60.0


@dataclass(slots=True)
class Meter:
    """Counts, and measures from the end of the warm-up to the last event."""

    total: int
    count: int = 0
    checksum: int = 0
    _decode: Callable[[bytes], Any] = decoder_for(MESSAGE_SUBMITTED.name).decode
    _start: tuple[int, float, float] | None = None
    finished: asyncio.Future[dict[str, float]] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )

    def take(self, value: bytes) -> None:
        """Decode one record and count it."""
        event: MessageSubmitted = self._decode(value)
        self.count += 1
        self.checksum += event.latency_ms or 0

    def look(self) -> None:
        """Start or end the measurement when it is time."""
        if self._start is None and self.count >= self.total * WARM_UP:
            self._start = self.count, time.perf_counter(), _cpu_s()
        if self.count >= self.total and not self.finished.done():
            assert self._start is not None
            count, at_s, cpu_s = self._start
            self.finished.set_result(
                {
                    "count": self.count,
                    "checksum": self.checksum,
                    "measured": self.count - count,
                    "wall_s": time.perf_counter() - at_s,
                    "cpu_s": _cpu_s() - cpu_s,
                }
            )

    def note_end(self, reading: asyncio.Future[None]) -> None:
        """Reading in batches never returns, stock Faust reads elsewhere: only errors matter."""
        if not reading.cancelled() and (error := reading.exception()) is not None:
            self.finished.set_exception(error)


async def read_batches(bootstrap: str, folder: Path, meter: Meter) -> None:
    """The worker's way, with its settings and through its queue."""
    settings = WorkerSettings(kafka=bootstrap, data=folder)
    source = BatchSource(build_app(settings, ALONE, dict), ALONE.topics)
    await source.start()
    async for delivery in source.deliveries():
        for record in delivery.batch.records:
            assert record.value is not None
            meter.take(record.value)
        delivery.ack()
        meter.look()


async def read_stock(bootstrap: str, folder: Path, meter: Meter) -> None:
    """Faust's way: its defaults, but for what it needs to run beside others without tables."""
    app = faust.App(
        f"bench-{uuid.uuid4().hex}",
        broker=f"kafka://{bootstrap}",
        autodiscover=False,
        consumer_auto_offset_reset="earliest",
        datadir=str(folder / "faust"),
        store="memory://",
        topic_allow_declare=False,
        topic_disable_leader=True,
        web_enabled=False,
        worker_redirect_stdouts=False,
    )
    topic = app.topic(MESSAGE_SUBMITTED.name, key_serializer="raw", value_serializer="raw")

    async def read(stream: Any) -> None:
        async for value in stream:
            meter.take(value)
            meter.look()

    app.agent(topic, name="read")(read)
    await app.start()


_WAYS: Final[dict[str, Callable[[str, Path, Meter], Awaitable[None]]]] = {
    "batch": read_batches,
    "stock": read_stock,
}


async def main(way: str, bootstrap: str, events: int, folder: Path) -> None:
    """Read, print what was measured as JSON, and end without the libraries' farewells."""
    meter = Meter(events)
    reading = asyncio.ensure_future(_WAYS[way](bootstrap, folder, meter))
    reading.add_done_callback(meter.note_end)
    async with asyncio.timeout(_START_S + events / _SLOWEST_PER_S):
        found = await meter.finished
    print(json.dumps(found), flush=True)
    os._exit(0)


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3]), Path(sys.argv[4])))
