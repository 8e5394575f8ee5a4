"""The consumer process of `transport` and `engines`: reads one topic to its end, in some way.

`batch` is the worker's transport, one Faust event per fetched record list; `stock` is Faust as it
comes, `async for event in stream`. Both decode with the same codec and add up the same field.
`batch-count` and `stock-count` also count per key, in a dict and in a Faust table.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
import traceback
import uuid
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Final

import faust

from benchmarks.meter import TOPIC, Meter
from pipeline.app import BatchSource, build_app
from pipeline.roles import ALONE
from pipeline.settings import WorkerSettings

_SLOWEST_PER_S: Final = 500
"""Stock Faust reads thousands a second; slower than this something hangs."""
_START_S: Final = 60.0
_LOOK_S: Final = 0.02


async def read_batches(
    bootstrap: str, folder: Path, meter: Meter, *, is_counted: bool = False
) -> None:
    """The worker's way, with its settings and through its queue."""
    settings = WorkerSettings(kafka=bootstrap, data=folder)
    role = replace(ALONE, group=f"bench-{uuid.uuid4().hex}")  # no trace of who read before
    source = BatchSource(build_app(settings, role, dict), [TOPIC])
    counts: defaultdict[bytes | None, int] = defaultdict(int)
    await source.start()
    async for delivery in source.deliveries():
        for record in delivery.batch.records:
            assert record.value is not None
            meter.take(record.value)
            if is_counted:
                counts[record.key] += 1  # type: ignore[attr-defined]  # `Record` has what we need
        delivery.ack()
        meter.look()


async def read_stock(bootstrap: str, folder: Path, meter: Meter, *, is_counted: bool) -> None:
    """Faust's way: its defaults, but for what it needs to run beside others."""
    app = faust.App(
        f"bench-{uuid.uuid4().hex}",
        broker=f"kafka://{bootstrap}",
        autodiscover=False,
        consumer_auto_offset_reset="earliest",
        datadir=str(folder / "faust"),
        store="memory://",
        topic_allow_declare=is_counted,
        topic_disable_leader=True,
        web_enabled=False,
        worker_redirect_stdouts=False,
    )
    topic = app.topic(TOPIC.name, key_serializer="raw", value_serializer="raw")

    async def read(stream: Any) -> None:
        async for value in stream:
            meter.take(value)
            meter.look()

    async def count(stream: Any) -> None:
        async for key, value in stream.items():
            meter.take(value)
            counts[key.decode()] += 1
            meter.look()

    if is_counted:
        counts = app.Table("counts", default=int, partitions=TOPIC.partitions)
    app.agent(topic, name="read")(count if is_counted else read)
    await app.start()


_WAYS: Final[dict[str, Callable[[str, Path, Meter], Awaitable[None]]]] = {
    "batch": partial(read_batches, is_counted=False),
    "stock": partial(read_stock, is_counted=False),
    "batch-count": partial(read_batches, is_counted=True),
    "stock-count": partial(read_stock, is_counted=True),
}


async def main(way: str, bootstrap: str, events: int, folder: Path) -> None:
    """Read, print what was measured as JSON, and end without the libraries' farewells."""
    try:
        print(json.dumps(await _measured(way, bootstrap, events, folder)), flush=True)
    except BaseException:  # noqa: BLE001 - Faust does not end by being cancelled
        traceback.print_exc()
        sys.stderr.flush()
        os._exit(1)
    os._exit(0)


async def _measured(way: str, bootstrap: str, events: int, folder: Path) -> Mapping[str, float]:
    meter = Meter(events)
    reading = asyncio.ensure_future(_WAYS[way](bootstrap, folder, meter))
    deadline = time.monotonic() + _START_S + events / _SLOWEST_PER_S
    while meter.found is None:
        if reading.done():  # in batches it never returns, stock Faust reads elsewhere
            reading.result()
        if time.monotonic() > deadline:
            raise TimeoutError(f"{way}: {meter.count} of {events} events read")
        await asyncio.sleep(_LOOK_S)
    return meter.found


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3]), Path(sys.argv[4])))
