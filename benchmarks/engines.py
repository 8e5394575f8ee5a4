"""Other stream processors beside ours: same topic, same broker, same codec, same run.

The comparison is uneven on purpose: the others count per key, keep their state as their
documentation says and stop there; `worker` joins, adds up, keeps every fact and commits to DuckDB.
"""

from __future__ import annotations

import asyncio
import math
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.corpus import Corpus, definition
from benchmarks.figures import Benchmark, Figure, Measure, Setup, Values, must_equal
from benchmarks.foreign_environment import NotInstalledError, python_of
from benchmarks.processes import Process, fresh_broker
from benchmarks.topics import publish
from benchmarks.worker import run_worker
from pipeline.snapshot import SERVE_FILE
from pipeline.storage.reader import ResultsReader
from schemas.events import Event

EVENTS: Final = 150_000
_ALL_PER_RECIPIENT: Final = 0.9
"""Nine in ten are not held out and have one submit result each."""
_WORKER: Final = "worker: joined, committed"
_THEIRS: Final = {
    "stock-count": "stock Faust, keyed count",
    "quixstreams": "quixstreams, keyed count",
    "bytewax": "bytewax, keyed count",
}
_FOREIGN: Final = ("quixstreams", "bytewax")
_WAYS: Final = {"batch-count": "batch transport, keyed count", **_THEIRS}
ALL: Final = {_WORKER: _WORKER, **_WAYS}
"""Way → its name in the figures."""
_PER_S, _PER_CPU_S = "events/s", "events/CPU-s"
_UNITS: Final = (_PER_S, _PER_CPU_S)


@dataclass(frozen=True, slots=True)
class Topic:
    """What everybody reads."""

    bootstrap: str
    folder: Path
    setup: Setup
    events: int
    checksum: int
    recipients: int


@contextmanager
def prepare(setup: Setup) -> Iterator[Measure]:
    """One topic of submit results for all runs; everybody reads it to the end, one by one."""
    corpus = Corpus(round(setup.size(EVENTS) / _ALL_PER_RECIPIENT))
    checksum = 0

    def counted() -> Iterator[Event]:
        nonlocal checksum
        yield definition(corpus.recipients)
        for event in corpus.submits():
            checksum += event.latency_ms or 0
            yield event

    interpreters = pythons()
    with fresh_broker(setup.cores) as (kafka, folder):
        events = asyncio.run(publish(kafka.bootstrap, counted())) - 1
        topic = Topic(kafka.bootstrap, folder, setup, events, checksum, corpus.recipients)

        def measure(number: int) -> Values:
            rates: dict[str, Values] = {}
            for way in ALL if number % 2 == 0 else reversed(ALL):
                rates[way] = _rates(topic, way, number, interpreters)
            return values_of(rates)

        yield measure


def pythons() -> Mapping[str, Path | None]:
    """Engine → its interpreter; `None` where it cannot be had, and a sentence that says so."""
    found: dict[str, Path | None] = {}
    for engine in _FOREIGN:
        try:
            found[engine] = python_of(engine)
        except NotInstalledError as error:
            print(f"engines: not measured, {error}", file=sys.stderr)
            found[engine] = None
    return found


def _rates(topic: Topic, way: str, number: int, pythons: Mapping[str, Path | None]) -> Values:
    if way == _WORKER:
        return _worker(topic)
    if way in pythons and pythons[way] is None:
        return dict.fromkeys(_UNITS, math.nan)
    folder = topic.folder / f"{way}-{number}"
    folder.mkdir()
    reader = Process(
        "benchmarks.foreign_engines" if way in pythons else "benchmarks.transport_reader",
        way,
        topic.bootstrap,
        str(topic.events),
        str(folder),
        cores=topic.setup.cores.measured,
        log=topic.folder / f"{way}.log",
        python=pythons.get(way),
    )
    with reader:
        found: Mapping[str, float] = reader.hear()
    expected = {"count": topic.events, "checksum": topic.checksum}
    must_equal(way, {name: found[name] for name in expected}, expected)
    spent = dict(zip(_UNITS, (found["wall_s"], found["cpu_s"]), strict=True))
    return {unit: found["measured"] / seconds for unit, seconds in spent.items()}


def _worker(topic: Topic) -> Values:
    data = topic.folder / "data"
    rates = run_worker(topic.bootstrap, data, topic.events, topic.setup.cores.measured)
    reader = ResultsReader(data / SERVE_FILE)
    info = reader.snapshot_info()
    assert info is not None
    must_equal("worker", info.events_applied, topic.events)
    return dict(zip(_UNITS, (rates.per_s, rates.per_cpu_s), strict=True))


def values_of(rates: Mapping[str, Values]) -> Values:
    """The figures: everybody's rates, and ours divided by theirs."""
    values = {f"{ALL[way]}, {unit}": rates[way][unit] for way in ALL for unit in _UNITS}
    for way, ours, theirs in _pairs():
        for unit in _UNITS:
            values[_times(ours, theirs, unit)] = rates[way[0]][unit] / rates[way[1]][unit]
    return values


def _pairs() -> Iterator[tuple[tuple[str, str], str, str]]:
    for theirs in _THEIRS:
        for ours, name in ((_WORKER, "worker"), ("batch-count", "batch count")):
            yield (ours, theirs), name, theirs.removesuffix("-count")


def _times(ours: str, theirs: str, unit: str) -> str:
    return f"{ours} ÷ {theirs}, {unit}"


ENGINES: Final = Benchmark(
    "engines",
    "the worker and its transport beside stock Faust, quixstreams and bytewax with a keyed count",
    (
        *(Figure(f"{name}, {unit}", unit) for name in ALL.values() for unit in _UNITS),
        *(
            Figure(_times(ours, theirs, unit), "×")
            for _, ours, theirs in _pairs()
            for unit in _UNITS
        ),
    ),
    prepare,
)
