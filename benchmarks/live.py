"""The worker process beside many live exposures: events/s must not depend on how many they are.

Before anything is measured, a data folder for each number of people is filled without Kafka: a
campaign of theirs, joined and committed. The offsets stored with it belong to no Kafka and are
deleted, so that a worker with a copy of the folder takes any Kafka for its own and reads it from
its beginning. There another 400,000 people wait, new ones of the same campaign who come after all
the others in event time. `python -m pipeline` restores, reads, joins, adds up and commits; from
its being ready on, the first tenth is left out. The published totals must be those of both kinds
of people. Ten million people take a quarter of an hour and 8 GB of disk.

Of at most `--at-hand` people all is in memory. So while 100,000 and 400,000 more just fit and
nobody goes on the shelf, beside a million somebody does for each who comes; with
`--at-hand 100000` beside both.

Where free memory goes back to a host, a worker would pay for getting it again, and the more, the
more it takes. So from before its start until it is ready, another process holds a reserve
(`--reserve`), which then becomes free while the worker grows.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shutil
import statistics
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from benchmarks.cores import Cores
from benchmarks.corpus import START_MS, Corpus
from benchmarks.exits import exit_code_of
from benchmarks.figures import must_equal
from benchmarks.processes import fresh_broker, wait_until_ready
from benchmarks.progress import Progress, Rates
from benchmarks.reserve import GIB, reserved
from benchmarks.restart import AT_HAND, CAMPAIGN_MS, Worker, fill, step_ms
from benchmarks.topics import publish
from benchmarks.worker import RECIPIENTS, check, follow, started

PEOPLE: Final = (100_000, 1_000_000)
RESERVE_GIB: Final = 5.0
"""Twice what a worker takes for 1.2 million events, half a page each."""
_SEED: Final = 12
"""Another than of those who are live: other subjects, other ids."""
_PAUSE_MS: Final = 3_600_000
"""The last order of those who are live comes an hour after the last assignment."""
_RESTORED_WITHIN_S: Final = 300.0
_STOPPED_WITHIN_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class Live:
    """A folder with people, and what its corpus counted."""

    folder: Path
    corpus: Corpus

    @property
    def people(self) -> int:
        """How many exposures are live."""
        return self.corpus.recipients


@dataclass(frozen=True, slots=True)
class Run:
    """What one worker did."""

    rates: Rates
    resident: int
    """Octets, at the end."""

    def __str__(self) -> str:
        return f"{_shown(self.rates.per_s, self.rates.per_cpu_s)}, {self.resident / 1e9:.2f} GB"


@dataclass(frozen=True, slots=True)
class Backlog:
    """New people whose events wait in a Kafka."""

    bootstrap: str
    corpus: Corpus
    cores: frozenset[int]
    """Of the worker."""
    others: frozenset[int] = frozenset()
    """Of who holds the reserve."""
    reserve_gib: float = RESERVE_GIB

    def measure(self, live: Live, data: Path, at_hand: int) -> Run:
        """A worker on a copy of a folder, from when it is ready until it has read everything.

        Raises:
            WrongTotalError: If it lost or invented something.
        """
        shutil.rmtree(data, ignore_errors=True)
        shutil.copytree(live.folder, data)
        os.sync()  # or the copy would be written while the worker is measured
        with (
            reserved(int(self.reserve_gib * GIB), self.others) as let_go,
            started(self.bootstrap, data, self.cores, at_hand) as (worker, port),
        ):
            wait_until_ready(worker, port, _RESTORED_WITHIN_S)
            let_go()
            progress = Progress(self.corpus.distinct)
            follow(worker, port, progress, before=live.corpus.distinct)
            resident, _ = worker.memory()
            worker.stop(_STOPPED_WITHIN_S)
        check(data, live.corpus, self.corpus)
        return Run(progress.rates(), resident)


def filled(folder: Path, people: int, at_hand: int) -> Live:
    """Fill a folder, in a process of its own, which gives the memory back."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(_fill, folder, people, at_hand).result()


def _fill(folder: Path, people: int, at_hand: int) -> Live:
    worker = Worker(folder, at_hand)
    live = Live(folder, Corpus(people, step_ms=step_ms(people)))
    for line in fill(worker, live.corpus):
        print(json.dumps(line), file=sys.stderr, flush=True)
    must_equal("live", len(worker.engine) + worker.engine.shelved, people)
    worker.state.connection.execute("DELETE FROM offsets")
    worker.state.close()
    return live


def newcomers(people: int) -> Corpus:
    """People of the same campaign who come when all who are live have come."""
    start_ms = START_MS + CAMPAIGN_MS + _PAUSE_MS
    return Corpus(people, seed=_SEED, start_ms=start_ms, step_ms=step_ms(people))


@contextmanager
def waiting(corpus: Corpus, reserve_gib: float = RESERVE_GIB) -> Iterator[tuple[Backlog, Path]]:
    """A Kafka that has the events of a corpus, and a folder of this block.

    Without the campaign's definition: a worker with the folder of others knows it.
    """
    cores = Cores.of_this_machine()
    with fresh_broker(cores) as (kafka, folder):
        asyncio.run(publish(kafka.bootstrap, corpus.events()))
        backlog = Backlog(kafka.bootstrap, corpus, cores.measured, cores.others, reserve_gib)
        yield backlog, folder


def summary(found: Mapping[int, Sequence[Run]]) -> list[str]:
    """Per number of people the medians, and their ratio to those of the first."""
    medians = {
        people: (
            statistics.median(run.rates.per_s for run in runs),
            statistics.median(run.rates.per_cpu_s for run in runs),
        )
        for people, runs in found.items()
    }
    first = next(iter(medians.values()))
    return [
        f"{people:>12,} live, median of {len(found[people])}: {_shown(*median)}; × "
        + " and × ".join(f"{ours / its:.2f}" for ours, its in zip(median, first, strict=True))
        for people, median in medians.items()
    ]


def _shown(per_s: float, per_cpu_s: float) -> str:
    micro = 1e6 / per_cpu_s
    return f"{per_s:,.0f} events/s, {per_cpu_s:,.0f} events/CPU-s ({micro:.2f} µs/event)"


def _measure(
    people: Sequence[int], runs: int, recipients: int, at_hand: int, reserve_gib: float
) -> None:
    """In turns, forwards and backwards."""
    found: defaultdict[int, list[Run]] = defaultdict(list)
    with TemporaryDirectory(prefix="smslab-live-") as name:
        folders = {number: Path(name) / str(number) for number in people}
        lives = [filled(folder, number, at_hand) for number, folder in folders.items()]
        with waiting(newcomers(recipients), reserve_gib) as (backlog, folder):
            for run in range(runs):
                for live in lives[:: -1 if run % 2 else 1]:
                    ended = backlog.measure(live, folder / "data", at_hand)
                    found[live.people].append(ended)
                    print(f"{live.people:>12,} live: {ended}", flush=True)
    print("\n".join(summary(found)))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.live", description=__doc__)
    parser.add_argument(
        "people", type=int, nargs="*", default=PEOPLE, help="live exposures; 10000000 works too"
    )
    parser.add_argument("--runs", type=int, default=3, help="of each; the median counts")
    parser.add_argument("--newcomers", type=int, default=RECIPIENTS, help="people who are measured")
    parser.add_argument("--at-hand", type=int, default=AT_HAND)
    parser.add_argument(
        "--reserve",
        type=float,
        default=RESERVE_GIB,
        metavar="GIB",
        help="memory that is held until the worker is ready (%(default)s GiB; 0: none)",
    )
    return parser


def main(arguments: list[str]) -> int:
    """Run; the exit code."""
    given = _parser().parse_args(arguments)
    measure = partial(
        _measure, given.people, given.runs, given.newcomers, given.at_hand, given.reserve
    )
    return exit_code_of(measure)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
