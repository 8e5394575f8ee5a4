"""Two bridges with a connection each against one bridge with both, on all cores.

One process per connection is how the bridge scales. Broker, SMSCs and this benchmark take
part of the same cores, hence a machine with two of them cannot show a factor of two.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Final

from benchmarks.bridge_process import (
    PER_CPU_S,
    PER_S,
    Bench,
    check_receipts,
    check_results,
    connection,
    pause,
    requests,
    running_bridge,
)
from benchmarks.cores import move
from benchmarks.figures import Figure, Values
from benchmarks.processes import Process
from benchmarks.progress import Progress, Rates
from benchmarks.topics import ends_of, publish
from schemas.topics import MESSAGE_RECEIPT, MESSAGE_SUBMITTED

RECEIPTS: Final = 60_000
SUBMITS: Final = 40_000
"""Of each connection."""
BINDS: Final = 2
_NAMES: Final = ("one", "two")
_KINDS: Final = ("receipts", "submits")
FIGURES: Final = tuple(
    figure
    for kind in _KINDS
    for figure in (
        Figure(f"two processes: {kind}, {PER_S}", PER_S),
        Figure(f"two processes ÷ one: {kind}, {PER_S}", "×", at_least=1.5),
        Figure(f"two processes ÷ one: {kind}, {PER_CPU_S}", "×"),
        Figure(f"{kind}: cores that one process got", "cores"),
        Figure(f"{kind}: cores that two processes got", "cores"),
    )
)


@dataclass(frozen=True, slots=True)
class Running:
    """One or two bridges and an SMSC for each connection."""

    bridges: list[Process]
    smscs: list[Process]

    def cpu_s(self) -> float:
        """Of all bridges."""
        return sum(bridge.cpu_s() for bridge in self.bridges)

    def taken(self) -> int:
        """Receipts that all SMSCs have the answers to."""
        for smsc in self.smscs:
            smsc.tell("count")
        return sum(smsc.hear()["taken"] for smsc in self.smscs)

    def stop(self) -> None:
        """In order."""
        for bridge in self.bridges:
            bridge.stop()


async def two_processes(bench: Bench, number: int) -> Values:
    """One way right after the other, in turns which comes first."""
    values: dict[str, float] = {}
    assert bench.kafka.pid is not None
    move(bench.kafka.pid, bench.setup.cores.everything)
    for kind, measure in (("receipts", _receipts), ("submits", _submits)):
        rates = {
            is_split: await measure(bench, f"{kind}-{number}-{'two' if is_split else 'one'}")
            for is_split in ((True, False) if number % 2 else (False, True))
        }
        two, one = rates[True], rates[False]
        values |= {
            f"two processes: {kind}, {PER_S}": two.per_s,
            f"two processes ÷ one: {kind}, {PER_S}": two.per_s / one.per_s,
            f"two processes ÷ one: {kind}, {PER_CPU_S}": two.per_cpu_s / one.per_cpu_s,
            f"{kind}: cores that one process got": one.cores,
            f"{kind}: cores that two processes got": two.cores,
        }
    move(bench.kafka.pid, bench.setup.cores.others)
    return values


async def _receipts(bench: Bench, name: str) -> Rates:
    count = bench.setup.size(RECEIPTS)
    progress = Progress(2 * count)
    async with ends_of(bench.kafka.bootstrap, MESSAGE_RECEIPT) as receipts:
        with _running(bench, name) as running:
            for smsc in running.smscs:
                smsc.tell(f"deliver {count}")
            await _watch(progress, running, running.taken)
            running.stop()
        await check_receipts(receipts, 2 * count)
    return progress.rates()


async def _submits(bench: Bench, name: str) -> Rates:
    count = bench.setup.size(SUBMITS)
    for each in _NAMES:
        await publish(bench.kafka.bootstrap, requests(f"{name}-{each}", each, count))
    progress = Progress(2 * count)
    async with ends_of(bench.kafka.bootstrap, MESSAGE_SUBMITTED) as results:
        with _running(bench, name) as running:
            while not progress.is_complete:
                await pause(*running.bridges)
                progress.see(await results.grown(), running.cpu_s())
            running.stop()
        await check_results(results, 2 * count)
    return progress.rates()


async def _watch(progress: Progress, running: Running, count: Callable[[], int]) -> None:
    while not progress.is_complete:
        await pause(*running.bridges)
        progress.see(count(), running.cpu_s())


@contextmanager
def _running(bench: Bench, name: str) -> Iterator[Running]:
    """Split by the name's end: a process for each connection, or one for both."""
    everything = bench.setup.cores.everything
    with ExitStack() as stack:
        smscs = [
            stack.enter_context(
                bench.peer("benchmarks.raw_smsc", f"{name}-{each}", cores=everything)
            )
            for each in _NAMES
        ]
        routes = {
            each: connection(smsc.hear()["port"], binds=BINDS)
            for each, smsc in zip(_NAMES, smscs, strict=True)
        }
        groups = [{each: route} for each, route in routes.items()]
        bridges = [
            stack.enter_context(
                running_bridge(bench, f"{name}-{n}", {"connections": group}, everything)
            )[0]
            for n, group in enumerate(groups if name.endswith("two") else [routes])
        ]
        yield Running(bridges, smscs)
