"""Two bridges with a connection each against one bridge with both, on all cores.

One process per connection is how the bridge scales. Broker, SMSCs and this benchmark take
part of the same cores, hence a machine with two of them cannot show a factor of two.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import chain
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
    assert bench.kafka.pid is not None
    move(bench.kafka.pid, bench.setup.cores.everything)
    ways = (True, False) if number % 2 else (False, True)
    rates = {is_split: await _rates(bench, number, is_split=is_split) for is_split in ways}
    move(bench.kafka.pid, bench.setup.cores.others)
    values: dict[str, float] = {}
    for kind in _KINDS:
        two, one = rates[True][kind], rates[False][kind]
        values |= {
            f"two processes: {kind}, {PER_S}": two.per_s,
            f"two processes ÷ one: {kind}, {PER_S}": two.per_s / one.per_s,
            f"two processes ÷ one: {kind}, {PER_CPU_S}": two.per_cpu_s / one.per_cpu_s,
            f"{kind}: cores that one process got": one.cores,
            f"{kind}: cores that two processes got": two.cores,
        }
    return values


async def _rates(bench: Bench, number: int, *, is_split: bool) -> dict[str, Rates]:
    """The requests wait in Kafka; when they are done, the SMSCs deliver."""
    name = f"{'two' if is_split else 'one'}-{number}"
    submits, receipts = bench.setup.size(SUBMITS), bench.setup.size(RECEIPTS)
    mixed = zip(*(requests(f"{name}-{each}", each, submits) for each in _NAMES), strict=True)
    await publish(bench.kafka.bootstrap, chain.from_iterable(mixed))
    async with (
        ends_of(bench.kafka.bootstrap, MESSAGE_SUBMITTED) as results,
        ends_of(bench.kafka.bootstrap, MESSAGE_RECEIPT) as reports,
    ):
        sent, taken = Progress(2 * submits), Progress(2 * receipts)
        with _running(bench, name, is_split=is_split) as running:
            while not sent.is_complete:
                await pause(*running.bridges)
                sent.see(await results.grown(), running.cpu_s())
            for smsc in running.smscs:
                smsc.tell(f"deliver {receipts}")
            while not taken.is_complete:
                await pause(*running.bridges)
                taken.see(running.taken(), running.cpu_s())
            running.stop()
        await check_results(results, 2 * submits)
        await check_receipts(reports, 2 * receipts)
    return {"receipts": taken.rates(), "submits": sent.rates()}


@contextmanager
def _running(bench: Bench, name: str, *, is_split: bool) -> Iterator[Running]:
    """A process for each connection, or one for both."""
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
            for n, group in enumerate(groups if is_split else [routes])
        ]
        yield Running(bridges, smscs)
