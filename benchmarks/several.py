"""Two workers that share the partitions, and their sink, beside one worker on the same backlog."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Final

from benchmarks.cores import move
from benchmarks.corpus import Corpus, definition
from benchmarks.figures import Benchmark, Figure, Measure, Setup, Values
from benchmarks.processes import Process, fresh_broker, ready, wait_until_ready
from benchmarks.progress import EVERY_S, Progress, Rates
from benchmarks.topics import empty, publish
from benchmarks.worker import check, run_worker
from schemas.topics import COHORT_DELTA
from smslab.kafka.sockets import free_ports

RECIPIENTS: Final = 1_000_000
"""Three million events: the longer, the less start and end count."""
_AT_HAND: Final = 2 * RECIPIENTS
"""All people: what the shelf costs, `benchmarks.live` shows."""
MEMBERS: Final = 2
_SHARED_FROM_THE_START: Final = {"group_initial_rebalance_delay_ms": "3000"}
"""Kafka's own default. Without it the first member opens everything, only to give half away."""
_PER_S, _PER_CPU_S = "events/s", "events/CPU-s"
_ONE, _SEVERAL = "one worker", f"{MEMBERS} members and a sink"
_PINNED = f"{MEMBERS} members, a core each, and a sink"
FIGURES: Final = tuple(
    figure
    for unit in (_PER_S, _PER_CPU_S)
    for figure in (
        Figure(f"{_ONE}, {unit}", unit),
        Figure(f"{_SEVERAL}, {unit}", unit, at_least=180_000 if unit == _PER_S else None),
        Figure(f"{_PINNED}, {unit}", unit),
        Figure(f"{_SEVERAL} ÷ {_ONE}, {unit}", "×"),
        Figure(f"{_PINNED} ÷ {_SEVERAL}, {unit}", "×"),
    )
) + tuple(Figure(f"cores that {name} got", "cores") for name in (_ONE, _SEVERAL, _PINNED))


@contextmanager
def prepare(setup: Setup) -> Iterator[Measure]:
    """Every run has a broker of its own."""

    def measure(number: int) -> Values:
        corpus, everything = Corpus(setup.size(RECIPIENTS)), setup.cores.everything
        events = chain([definition(corpus.recipients)], corpus.events())
        with fresh_broker(setup.cores, **_SHARED_FROM_THE_START) as (kafka, folder):
            assert kafka.pid is not None
            asyncio.run(publish(kafka.bootstrap, events))
            move(kafka.pid, everything)
            rates = {}
            for name in (_ONE, _SEVERAL, _PINNED)[:: 1 if number % 2 else -1]:
                asyncio.run(empty(kafka.bootstrap, COHORT_DELTA))  # the last folder's
                data = folder / name.replace(" ", "-")
                rates[name] = _RUNS[name](kafka.bootstrap, data, corpus.distinct, everything)
                check(data, corpus)
        return _values(rates)

    yield measure


def _run_several(
    bootstrap: str, data: Path, total: int, cores: frozenset[int], *, is_pinned: bool = False
) -> Rates:
    """From empty folders until the sink has applied `total` events and nothing waits.

    Measured from when every partition is open. Pinned, each member has one of the cores, which
    the others may use, too.
    """
    data.mkdir()
    roles = ["sink", *["member"] * MEMBERS]
    own = [frozenset({core}) for core in sorted(cores)][:MEMBERS] if is_pinned else []
    theirs = [cores, *own] if len(own) == MEMBERS else [cores] * len(roles)
    ports, progress = free_ports(len(roles)), Progress(total, warm_up=0)
    with ExitStack() as stack:
        workers = [
            stack.enter_context(
                Process(
                    "pipeline",
                    cores=mine,
                    log=data.with_suffix(f".{port}.log"),
                    SMS_KAFKA=bootstrap,
                    SMS_WORKER_DATA=data,
                    SMS_WORKER_ROLE=role,
                    SMS_WORKER_HEALTH_PORT=port,
                    SMS_WORKER_PEOPLE_AT_HAND=_AT_HAND,
                )
            )
            for role, port, mine in zip(roles, ports, theirs, strict=True)
        ]
        for worker, port in zip(workers, ports, strict=True):
            wait_until_ready(worker, port)
        while not progress.is_complete or any(ready(port).get("lag") != 0 for port in ports):
            for worker in workers:
                worker.check()
            applied = ready(ports[0]).get("events_applied", progress.count)
            progress.see(applied, sum(worker.cpu_s() for worker in workers))
            time.sleep(EVERY_S)
        for worker in reversed(workers):
            worker.stop()
    return progress.rates()


def _values(rates: dict[str, Rates]) -> Values:
    values: dict[str, float] = {}
    for unit in (_PER_S, _PER_CPU_S):
        found = {n: r.per_s if unit == _PER_S else r.per_cpu_s for n, r in rates.items()}
        values |= {f"{name}, {unit}": value for name, value in found.items()}
        for name, other in ((_SEVERAL, _ONE), (_PINNED, _SEVERAL)):
            values[f"{name} ÷ {other}, {unit}"] = found[name] / found[other]
    return values | {f"cores that {name} got": rate.cores for name, rate in rates.items()}


_RUNS: Final[dict[str, Callable[..., Rates]]] = {
    _ONE: partial(run_worker, from_ready=True, at_hand=_AT_HAND),
    _SEVERAL: _run_several,
    _PINNED: partial(_run_several, is_pinned=True),
}
SEVERAL: Final = Benchmark(
    "several",
    "two members and their sink against one worker, on a campaign that waits in Kafka",
    FIGURES,
    prepare,
)
