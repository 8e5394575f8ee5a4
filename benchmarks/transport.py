"""The batch transport against stock Faust: same topic, same broker, same codec, same run."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from benchmarks.cores import Cores
from benchmarks.corpus import Corpus
from benchmarks.figures import Benchmark, Figure, Measure, Setup, Values, must_equal
from benchmarks.processes import Process, fresh_broker
from benchmarks.topics import publish
from schemas.events import MessageSubmitted

EVENTS: Final = 300_000
_ALL_PER_RECIPIENT: Final = 0.9
"""Nine in ten are not held out and have one submit result each."""
_BATCH, _STOCK, _TIMES = "batch transport", "stock Faust", "batch / stock"
_PER_S, _PER_CPU_S = "events/s", "events/CPU-s"


@contextmanager
def prepare(setup: Setup) -> Iterator[Measure]:
    """One topic for all runs; every run reads it to the end in both ways, one after the other."""
    corpus = Corpus(round(setup.size(EVENTS) / _ALL_PER_RECIPIENT))
    checksum = 0

    def counted() -> Iterator[MessageSubmitted]:
        nonlocal checksum
        for event in corpus.submits():
            checksum += event.latency_ms or 0
            yield event

    with fresh_broker(setup.cores) as (kafka, folder):
        (folder / "reader").mkdir()
        events = asyncio.run(publish(kafka.bootstrap, counted()))
        expected = {"count": events, "checksum": checksum}

        def measure(number: int) -> Values:
            ways = ("batch", "stock") if number % 2 == 0 else ("stock", "batch")
            rates: dict[str, float] = {}
            for way in ways:
                found = _read(way, kafka.bootstrap, events, folder, setup.cores)
                must_equal(way, {name: found[name] for name in expected}, expected)
                rates |= _rates(way, found)
            for unit in (_PER_S, _PER_CPU_S):
                rates[f"{_TIMES}, {unit}"] = rates[f"{_BATCH}, {unit}"] / rates[f"{_STOCK}, {unit}"]
            return rates

        yield measure


def _read(way: str, bootstrap: str, events: int, folder: Path, cores: Cores) -> Mapping[str, float]:
    reader = Process(
        "benchmarks.transport_reader",
        way,
        bootstrap,
        str(events),
        str(folder / "reader"),
        cores=cores.measured,
        log=folder / f"{way}.log",
    )
    with reader:
        found: Mapping[str, float] = reader.hear()
    return found


def _rates(way: str, found: Mapping[str, float]) -> Values:
    name = {"batch": _BATCH, "stock": _STOCK}[way]
    return {
        f"{name}, {_PER_S}": found["measured"] / found["wall_s"],
        f"{name}, {_PER_CPU_S}": found["measured"] / found["cpu_s"],
    }


TRANSPORT: Final = Benchmark(
    "transport",
    "the worker's batch transport against stock Faust: fetch, hand over, decode",
    (
        Figure(f"{_BATCH}, {_PER_S}", _PER_S),
        Figure(f"{_BATCH}, {_PER_CPU_S}", _PER_CPU_S),
        Figure(f"{_STOCK}, {_PER_S}", _PER_S),
        Figure(f"{_STOCK}, {_PER_CPU_S}", _PER_CPU_S),
        Figure(f"{_TIMES}, {_PER_S}", "×"),
        Figure(f"{_TIMES}, {_PER_CPU_S}", "×", at_least=25),
    ),
    prepare,
)
