"""The bridge between Kafka and an SMSC on loopback: submits, receipts, and both at once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from benchmarks.bridge_process import (
    PER_CPU_S,
    PER_S,
    Bench,
    check_receipts,
    check_results,
    connection,
    on_one_broker,
    pause,
    requests,
    running_bridge,
    watch_results,
    watch_taken,
)
from benchmarks.figures import Benchmark, Figure, Values
from benchmarks.processes import Process
from benchmarks.progress import Progress
from benchmarks.topics import ends_of, publish
from schemas.topics import MESSAGE_RECEIPT, MESSAGE_SUBMITTED

BINDS: Final = 4
WINDOW: Final = 64
SUBMITS: Final = 100_000
RECEIPTS: Final = 150_000
BOTH: Final = 75_000
_CONNECTION: Final = "bench"


async def _submits(bench: Bench, number: int) -> Values:
    """Requests wait in Kafka; a submit counts when its result is durable."""
    count = bench.setup.size(SUBMITS)
    await publish(bench.kafka.bootstrap, requests(f"s{number}", _CONNECTION, count))
    async with ends_of(bench.kafka.bootstrap, MESSAGE_SUBMITTED) as results:
        with _running(bench, f"submits-{number}") as (bridge, _):
            progress = await watch_results(results, bridge, count)
            bridge.stop()
            await check_results(results, count)
    rates = progress.rates()
    return {f"submits, {PER_S}": rates.per_s, f"submits, {PER_CPU_S}": rates.per_cpu_s}


async def _receipts(bench: Bench, number: int) -> Values:
    """The SMSC always has receipts waiting; one counts when the bridge has answered it."""
    count = bench.setup.size(RECEIPTS)
    async with ends_of(bench.kafka.bootstrap, MESSAGE_RECEIPT) as receipts:
        with _running(bench, f"receipts-{number}") as (bridge, smsc):
            smsc.tell(f"deliver {count}")
            progress = await watch_taken(smsc, bridge, count)
            bridge.stop()
            await check_receipts(receipts, count)
    rates = progress.rates()
    return {f"receipts, {PER_S}": rates.per_s, f"receipts, {PER_CPU_S}": rates.per_cpu_s}


async def _both(bench: Bench, number: int) -> Values:
    """Every submit gets its receipt at once; results and receipts are counted in Kafka."""
    count = bench.setup.size(BOTH)
    await publish(bench.kafka.bootstrap, requests(f"b{number}", _CONNECTION, count))
    submits, taken, together = Progress(count), Progress(count), Progress(2 * count)
    async with (
        ends_of(bench.kafka.bootstrap, MESSAGE_SUBMITTED) as results,
        ends_of(bench.kafka.bootstrap, MESSAGE_RECEIPT) as receipts,
    ):
        with _running(bench, f"both-{number}", "receipts") as (bridge, smsc):
            while not together.is_complete:
                await pause(bridge)
                smsc.tell("count")
                seen, cpu_s = (await results.grown(), smsc.hear()["taken"]), bridge.cpu_s()
                counts = (*seen, sum(seen))
                for progress, found in zip((submits, taken, together), counts, strict=True):
                    progress.see(found, cpu_s)
            bridge.stop()
            await check_results(results, count)
            await check_receipts(receipts, count)
    return {
        f"both at once: submits, {PER_S}": submits.rates().per_s,
        f"both at once: receipts, {PER_S}": taken.rates().per_s,
        f"both at once: sum, {PER_CPU_S}": together.rates().per_cpu_s,
    }


@contextmanager
def _running(bench: Bench, name: str, *arguments: str) -> Iterator[tuple[Process, Process]]:
    """A bound bridge on its own core and its SMSC beside the broker."""
    with bench.peer("benchmarks.bridge_smsc", name, *arguments) as smsc:
        route = connection(smsc.hear()["port"], binds=BINDS, window=WINDOW)
        with running_bridge(bench, name, {"connections": {_CONNECTION: route}}) as (bridge, _):
            yield bridge, smsc


BRIDGE: Final = Benchmark(
    "bridge",
    f"`python -m smpp_bridge` with {BINDS} binds of window {WINDOW} between Kafka and an SMSC",
    (
        Figure(f"submits, {PER_S}", PER_S),
        Figure(f"submits, {PER_CPU_S}", PER_CPU_S),
        Figure(f"receipts, {PER_S}", PER_S),
        Figure(f"receipts, {PER_CPU_S}", PER_CPU_S),
        Figure(f"both at once: submits, {PER_S}", PER_S),
        Figure(f"both at once: receipts, {PER_S}", PER_S),
        Figure(f"both at once: sum, {PER_CPU_S}", PER_CPU_S),
    ),
    on_one_broker(_submits, _receipts, _both),
)
