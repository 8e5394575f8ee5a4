"""How old the published results are: from a producer's timestamp to a reader of `serve.duckdb`."""

from __future__ import annotations

import asyncio
import statistics
import time
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from benchmarks.cores import on
from benchmarks.corpus import Corpus, definition
from benchmarks.figures import WARM_UP, Benchmark, Figure, Measure, Setup, Values, must_equal
from benchmarks.processes import Process, fresh_broker, wait_until_ready
from benchmarks.topics import publish, publish_paced, timestamps
from benchmarks.worker import check
from pipeline.snapshot import SERVE_FILE
from pipeline.storage.reader import Generation, ResultsReader
from schemas.topics import CAMPAIGN_DEFINITION, JOINED_TOPICS
from smslab.kafka.apache import ApacheKafka
from smslab.kafka.sockets import free_ports

RATE: Final = 5000
EVENTS: Final = 150_000
_PER_RECIPIENT: Final = 3.0
_LOOK_S: Final = 0.01
_WITHIN_S: Final = 60.0
"""For the last events, once all are published."""
_JOINED: Final = frozenset(topic.name for topic in JOINED_TOPICS)
_NAME: Final = f"wire to reader at {RATE:,} events/s"
FIGURES: Final = (
    Figure(f"{_NAME}: p50, s", "s", at_most=1),
    Figure(f"{_NAME}: p99, s", "s", at_most=3),
    Figure(f"{_NAME}: longest, s", "s"),
    Figure(f"{_NAME}: published, events/s", "events/s"),
    Figure(f"{_NAME}: snapshots/s", "1/s"),
    Figure(f"{_NAME}: worker's share of a core", "1"),
)
Place = tuple[str, int]
"""Topic and partition."""


@dataclass(slots=True)
class Sightings:
    """What a reader saw and when: a snapshot holds the records before its positions."""

    reader: ResultsReader
    at_s: list[float] = field(default_factory=list)
    positions: list[Mapping[Place, int]] = field(default_factory=list)
    _generation: Generation | None = None

    def look(self) -> None:
        """Read the positions of a new snapshot; it is seen when they are read."""
        if self.reader.generation() == self._generation:
            return
        with self.reader.snapshot() as snapshot:
            if snapshot is None:
                return
            rows = snapshot.lags()
            self._generation = snapshot.generation
        self.positions.append({(row.topic, row.partition): row.next_offset for row in rows})
        self.at_s.append(time.time())

    def forget(self) -> None:
        """Begin anew."""
        self.at_s, self.positions = [], []

    def seen(self) -> int:
        """Records of the joined topics that the newest snapshot holds."""
        newest = self.positions[-1].items() if self.positions else ()
        return sum(position for (topic, _), position in newest if topic in _JOINED)

    def latencies_s(self, place: Place, stamps: Sequence[float]) -> list[float]:
        """Per record of a partition, in order of offsets: from its timestamp to its sighting."""
        ends = [positions.get(place, 0) for positions in self.positions]
        return [self.at_s[bisect_right(ends, offset)] - at for offset, at in enumerate(stamps)]


@contextmanager
def prepare(setup: Setup) -> Iterator[Measure]:
    """Every run has a broker of its own: a worker counts all that its topics hold."""

    def measure(_: int) -> Values:
        corpus = Corpus(round(setup.size(EVENTS) / _PER_RECIPIENT))
        with fresh_broker(setup.cores) as (kafka, folder), on(setup.cores.others):
            data = folder / "data"
            data.mkdir()
            return asyncio.run(_run(kafka, data, corpus, setup))

    yield measure


async def _run(kafka: ApacheKafka, data: Path, corpus: Corpus, setup: Setup) -> Values:
    events, port = list(corpus.events()), free_ports(1)[0]
    await publish(kafka.bootstrap, [definition(corpus.recipients)])
    worker = Process(
        "pipeline",
        cores=setup.cores.measured,
        log=data.with_suffix(".log"),
        SMS_KAFKA=kafka.bootstrap,
        SMS_WORKER_DATA=data,
        SMS_WORKER_HEALTH_PORT=port,
    )
    sightings, total = Sightings(ResultsReader(data / SERVE_FILE)), len(events)
    with worker:
        await asyncio.to_thread(_wait_for_definition, worker, port, sightings)
        started_s, cpu_s = time.time(), worker.cpu_s()
        publishing = asyncio.ensure_future(publish_paced(kafka.bootstrap, events, RATE))
        await _watch(sightings, worker, publishing, total)
        wall_s, cpu_s = time.time() - started_s, worker.cpu_s() - cpu_s
        worker.stop()
    check(data, corpus)
    found = await timestamps(kafka.bootstrap, JOINED_TOPICS)
    must_equal("records", sum(map(len, found.values())), len(events))
    return _values(sightings, found, cpu_s / wall_s, len(sightings.at_s) / wall_s)


def _wait_for_definition(worker: Process, port: int, sightings: Sightings) -> None:
    """Until a snapshot holds the campaign: what is imported late is there, too."""
    wait_until_ready(worker, port)
    while not sightings.positions or sightings.positions[-1][CAMPAIGN_DEFINITION.name, 0] == 0:
        worker.check()
        sightings.look()
        time.sleep(_LOOK_S)
    sightings.forget()


async def _watch(
    sightings: Sightings, worker: Process, publishing: asyncio.Future[None], total: int
) -> None:
    """Look until a snapshot holds everything."""
    ended_s: float | None = None
    while sightings.seen() < total:
        worker.check()
        if publishing.done():
            publishing.result()
            ended_s = ended_s or time.monotonic()
            if time.monotonic() - ended_s > _WITHIN_S:
                must_equal("records seen by the reader", sightings.seen(), total)
        await asyncio.to_thread(sightings.look)
        await asyncio.sleep(_LOOK_S)
    await publishing


def _values(
    sightings: Sightings, stamps: Mapping[Place, Sequence[float]], share: float, rate: float
) -> Values:
    both = sorted(
        (at, latency)
        for place, each in stamps.items()
        for at, latency in zip(each, sightings.latencies_s(place, each), strict=True)
    )
    warm = both[round(len(both) * WARM_UP) :]
    latencies = [latency for _, latency in warm]
    percentiles = statistics.quantiles(latencies, n=100, method="inclusive")
    span_s = warm[-1][0] - warm[0][0]
    pace = len(warm) / span_s if span_s else 0.0
    values = (percentiles[49], percentiles[98], max(latencies), pace, rate, share)
    return dict(zip((figure.name for figure in FIGURES), values, strict=True))


FRESHNESS: Final = Benchmark(
    "freshness",
    f"`python -m pipeline` at {RATE:,} events/s: from a producer's timestamp to a reader",
    FIGURES,
    prepare,
)
