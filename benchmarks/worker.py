"""The worker on a campaign that waits in Kafka: decoded, joined, added up, committed to DuckDB."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import duckdb

from benchmarks.cores import move
from benchmarks.corpus import CAMPAIGN, Corpus, definition
from benchmarks.figures import (
    Benchmark,
    Figure,
    Measure,
    Setup,
    Values,
    must_equal,
)
from benchmarks.processes import Process, fresh_broker, ready
from benchmarks.progress import EVERY_S, Progress, Rates
from benchmarks.restart import AT_HAND
from benchmarks.topics import publish
from pipeline.rows import Counters
from pipeline.snapshot import SERVE_FILE
from pipeline.storage.reader import ResultsReader
from schemas.events import Event
from smslab.kafka.sockets import free_ports

RECIPIENTS: Final = 400_000
"""With nine in ten sent to: about 1,200,000 events, a dozen transactions."""
_ONE, _ALL = "own core", "all cores shared"
_PER_S, _PER_CPU_S = "events/s", "events/CPU-s"
_COUNTERS: Final = (
    "assigned",
    "accepted",
    "rejected",
    "delivered",
    "failed",
    "clicked",
    "bot_clicked",
    "replied",
    "opted_out",
    "converted",
    "segments",
    "cost_micro",
    "revenue_minor",
)


@contextmanager
def prepare(setup: Setup) -> Iterator[Measure]:
    """One campaign for all runs; every run is a new worker with an empty folder."""
    corpus = Corpus(setup.size(RECIPIENTS))

    def events() -> Iterator[Event]:
        yield definition(corpus.recipients)
        yield from corpus.events()

    with fresh_broker(setup.cores) as (kafka, folder):
        asyncio.run(publish(kafka.bootstrap, events()))
        cores = setup.cores
        layouts = {
            _ONE: (cores.measured, cores.others),
            _ALL: (cores.everything, cores.everything),
        }

        def measure(number: int) -> Values:
            values: dict[str, float] = {}
            for name in sorted(layouts, reverse=number % 2 == 0):
                for_worker, for_broker = layouts[name]
                assert kafka.pid is not None
                move(kafka.pid, for_broker)
                data = folder / "data"
                rates = run_worker(kafka.bootstrap, data, corpus.distinct, for_worker)
                check(data, corpus)
                values[f"{name}, {_PER_S}"] = rates.per_s
                values[f"{name}, {_PER_CPU_S}"] = rates.per_cpu_s
            return values

        yield measure


def run_worker(
    bootstrap: str,
    data: Path,
    total: int,
    cores: frozenset[int],
    progress: Progress | None = None,
) -> Rates:
    """A worker with an empty folder until it has applied `total` events and nothing waits.

    Measured from the first commit after the warm-up to the last one, unless `progress` says
    otherwise.
    """
    shutil.rmtree(data, ignore_errors=True)
    data.mkdir()
    progress = progress or Progress(total)
    with started(bootstrap, data, cores) as (worker, port):
        follow(worker, port, progress)
        worker.stop()
    return progress.rates()


@contextmanager
def started(
    bootstrap: str, data: Path, cores: frozenset[int], at_hand: int = AT_HAND
) -> Iterator[tuple[Process, int]]:
    """A worker that continues what is in a folder, and the port of its health endpoint."""
    port = free_ports(1)[0]
    worker = Process(
        "pipeline",
        cores=cores,
        log=data.with_suffix(".log"),
        SMS_KAFKA=bootstrap,
        SMS_WORKER_DATA=data,
        SMS_WORKER_HEALTH_PORT=port,
        SMS_WORKER_PEOPLE_AT_HAND=at_hand,
    )
    with worker:
        yield worker, port


def follow(worker: Process, port: int, progress: Progress, *, before: int = 0) -> None:
    """Until it has applied the total and nothing waits.

    Args:
        worker: Is measured.
        port: Of its health endpoint.
        progress: Is added to.
        before: Events that its folder held when it began; they belong to no total.
    """
    while not progress.is_complete:
        worker.check()
        time.sleep(EVERY_S)
        applied = ready(port).get("events_applied", before + progress.count)
        progress.see(applied - before, worker.cpu_s())
    _wait_for_lag_0(worker, port)


def _wait_for_lag_0(worker: Process, port: int) -> None:
    """Repeated events at the very end change nothing, but they belong to the total."""
    while ready(port).get("lag") != 0:
        worker.check()
        time.sleep(EVERY_S)


def check(data: Path, *corpora: Corpus) -> None:
    """The published totals are what the corpora say, without the join's own arithmetic."""
    people = sum(corpus.recipients for corpus in corpora)
    distinct = sum(corpus.distinct for corpus in corpora)
    sent = sum(corpus.sent for corpus in corpora)
    expected = sum((corpus.totals for corpus in corpora), Counter[tuple[str, str]]())
    reader = ResultsReader(data / SERVE_FILE)
    info = reader.snapshot_info()
    assert info is not None
    must_equal("events_applied", info.events_applied, distinct)
    must_equal("duplicates_ignored", info.duplicates_ignored, sent - distinct)
    found = totals((c.variant_id, c.counters) for c in reader.cohorts(CAMPAIGN))
    must_equal("totals", found, expected)
    for dimension in definition(people).analyse_by:
        must_equal(f"assigned by {dimension}", _assigned(data, dimension), people)


def totals(cohorts: Iterable[tuple[str, Counters]]) -> Counter[tuple[str, str]]:
    """(variant_id, counter) → sum over the cohorts, without zeros."""
    found: Counter[tuple[str, str]] = Counter()
    for variant_id, counters in cohorts:
        for name in _COUNTERS:
            found[variant_id, name] += getattr(counters, name)
    return +found


def _assigned(data: Path, dimension: str) -> int:
    with duckdb.connect(data / SERVE_FILE, read_only=True) as served:
        row = served.execute(
            "SELECT sum(assigned) FROM cohorts WHERE dimension = ?", [dimension]
        ).fetchone()
    return int(row[0]) if row and row[0] is not None else 0


WORKER: Final = Benchmark(
    "worker",
    "joined, aggregated, committed: `python -m pipeline` on a campaign that waits in Kafka",
    (
        Figure(f"{_ONE}, {_PER_S}", _PER_S, at_least=100_000),
        Figure(f"{_ONE}, {_PER_CPU_S}", _PER_CPU_S),
        Figure(f"{_ALL}, {_PER_S}", _PER_S, at_least=180_000),
        Figure(f"{_ALL}, {_PER_CPU_S}", _PER_CPU_S),
    ),
    prepare,
)
