"""Two workers that share the partitions, and their sink, beside one worker on the same backlog."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Final

from benchmarks.cores import move
from benchmarks.corpus import Corpus, definition
from benchmarks.figures import Benchmark, Figure, Measure, Setup, Values
from benchmarks.processes import Process, fresh_broker, ready
from benchmarks.progress import EVERY_S, Progress, Rates
from benchmarks.topics import publish
from benchmarks.worker import check, run_worker
from smslab.kafka.sockets import free_ports

RECIPIENTS: Final = 480_000
"""One worker alone keeps all of them at hand."""
_MEASURED: Final = (0.2, 0.9)
"""Shares of the total between which is measured: on all sides as much is on its way at the end as
at the beginning, everything is open, and nobody has run out of work."""
MEMBERS: Final = 2
_SHARED_FROM_THE_START: Final = {"group_initial_rebalance_delay_ms": "3000"}
"""Kafka's own default. Without it the first member opens everything, only to give half away."""
_PER_S, _PER_CPU_S = "events/s", "events/CPU-s"
_ONE, _SEVERAL = "one worker", f"{MEMBERS} members and a sink"
_BEHIND = "the sink is done after the members"
_RATES: Final = tuple(
    figure
    for unit in (_PER_S, _PER_CPU_S)
    for figure in (
        Figure(f"{_ONE}, {unit}", unit),
        Figure(f"{_SEVERAL}, {unit}", unit, at_least=180_000 if unit == _PER_S else None),
        Figure(f"{_SEVERAL} ÷ {_ONE}, {unit}", "×"),
    )
)
FIGURES: Final = (
    *_RATES,
    *(Figure(f"cores that {name} got", "cores") for name in (_ONE, _SEVERAL)),
    Figure(_BEHIND, "s"),
)


@contextmanager
def prepare(setup: Setup) -> Iterator[Measure]:
    """Every run has a broker of its own: its topic of deltas belongs to one folder."""

    def measure(number: int) -> Values:
        corpus, everything = Corpus(setup.size(RECIPIENTS)), setup.cores.everything
        events = chain([definition(corpus.recipients)], corpus.events())
        with fresh_broker(setup.cores, **_SHARED_FROM_THE_START) as (kafka, folder):
            assert kafka.pid is not None
            asyncio.run(publish(kafka.bootstrap, events))
            move(kafka.pid, everything)
            found = {}
            for name in (_ONE, _SEVERAL)[:: 1 if number % 2 else -1]:
                run = _run_one if name == _ONE else _run_several
                data = folder / name.replace(" ", "-")
                found[name] = run(kafka.bootstrap, data, corpus.distinct, everything)
                check(data, corpus)
        return _values(found)

    yield measure


@dataclass(frozen=True, slots=True)
class Run:
    """What was seen of one run."""

    rates: Rates
    sink_s: float = 0.0
    """How much later than the members the sink has everything."""


def _run_one(bootstrap: str, data: Path, total: int, cores: frozenset[int]) -> Run:
    return Run(run_worker(bootstrap, data, total, cores, Progress(total, *_MEASURED)))


def _run_several(bootstrap: str, data: Path, total: int, cores: frozenset[int]) -> Run:
    """From empty folders until the sink has applied `total` events and nothing waits.

    Measured by what the members have stored and told the sink.
    """
    data.mkdir()
    ports = free_ports(1 + MEMBERS)
    counted, applied = Progress(total, *_MEASURED), Progress(total)
    with ExitStack() as stack:
        workers = [
            stack.enter_context(_started(bootstrap, data, port, role, cores))
            for port, role in zip(ports, ["sink", *["member"] * MEMBERS], strict=True)
        ]
        while not applied.is_complete or any(ready(port).get("lag") != 0 for port in ports):
            for worker in workers:
                worker.check()
            cpu_s = sum(worker.cpu_s() for worker in workers)
            by_sink, *by_members = (ready(port).get("events_applied", 0) for port in ports)
            counted.see(sum(by_members), cpu_s)
            applied.see(by_sink, cpu_s)
            time.sleep(EVERY_S)
        for worker in reversed(workers):
            worker.stop()
    return Run(counted.rates(), applied.looks[-1].at_s - counted.looks[-1].at_s)


def _started(bootstrap: str, data: Path, port: int, role: str, cores: frozenset[int]) -> Process:
    return Process(
        "pipeline",
        cores=cores,
        log=data.with_suffix(f".{port}.log"),
        SMS_KAFKA=bootstrap,
        SMS_WORKER_DATA=data,
        SMS_WORKER_ROLE=role,
        SMS_WORKER_HEALTH_PORT=port,
    )


def _values(found: Mapping[str, Run]) -> Values:
    values: dict[str, float] = {}
    for unit in (_PER_S, _PER_CPU_S):
        rates = {
            name: run.rates.per_s if unit == _PER_S else run.rates.per_cpu_s
            for name, run in found.items()
        }
        values |= {f"{name}, {unit}": rate for name, rate in rates.items()}
        values[f"{_SEVERAL} ÷ {_ONE}, {unit}"] = rates[_SEVERAL] / rates[_ONE]
    values |= {f"cores that {name} got": run.rates.cores for name, run in found.items()}
    return values | {_BEHIND: found[_SEVERAL].sink_s}


SEVERAL: Final = Benchmark(
    "several",
    "two members and their sink against one worker, on a campaign that waits in Kafka",
    FIGURES,
    prepare,
)
