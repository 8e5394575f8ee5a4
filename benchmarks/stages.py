"""Where the worker's time goes: its stages one after the other in this process, without Kafka.

The same events as `benchmarks.worker`, handed over in the pieces in which Kafka gives a backlog.
CPU time of this process per stage, so figures hold on a busy machine too; what is missing is
fetching (about 3 µs an event) and everything that happens beside the events.
"""

from __future__ import annotations

import argparse
import cProfile
import gc
import pstats
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from benchmarks.corpus import Corpus, definition
from pipeline.agents.decode import decode_batch
from pipeline.batch import Delivery, RecordBatch
from pipeline.flush import Flush
from pipeline.join.engine import JoinEngine
from pipeline.storage.state import open_state
from schemas.codec import encode
from schemas.subject import partition_of
from schemas.topics import topic_of

FETCHED: Final = 3_000
"""Records per partition and fetch: 1 MiB of events."""
COMMITTED: Final = 100_000
NOW_MS: Final = 1_763_000_000_000


@dataclass(frozen=True, slots=True)
class Kept:
    """A record as the worker looks at it."""

    offset: int
    value: bytes
    timestamp: int = -1


def backlog(corpus: Corpus) -> list[RecordBatch]:
    """All events as fetches give them: the partitions in turn, a piece of each."""
    logs: defaultdict[tuple[str, int], list[Kept]] = defaultdict(list)
    for event in corpus.events():
        log = logs[topic_of(event).name, partition_of(event.subject)]
        log.append(Kept(len(log), encode(event)))
    longest = max(map(len, logs.values()))
    return [
        RecordBatch(topic, partition, start, start + len(piece), piece)
        for start in range(0, longest, FETCHED)
        for (topic, partition), log in logs.items()
        if (piece := log[start : start + FETCHED])
    ]


class Clock:
    """CPU-seconds per stage."""

    def __init__(self) -> None:
        self.spent: defaultdict[str, float] = defaultdict(float)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Count what the block uses."""
        started = time.process_time()
        yield
        self.spent[name] += time.process_time() - started


def run(batches: Sequence[RecordBatch], recipients: int, folder: Path, committed: int) -> Clock:
    """Decode, join, commit everything."""
    clock, engine, state = Clock(), JoinEngine(), open_state(folder)
    state.keeps_facts = True
    engine.define(definition(recipients))
    for group in _groups(batches, committed):
        with clock.stage("decode"):
            decoded = [decode_batch(Delivery(batch, lambda: None), NOW_MS) for batch in group]
        with clock.stage("apply"):
            for each in decoded:
                engine.apply(each.subject_events)
        with clock.stage("take"):
            flush = Flush(decoded, engine.take())
        with clock.stage("commit"):
            state.commit(flush, NOW_MS)
    state.close()
    return clock


def _groups(batches: Sequence[RecordBatch], committed: int) -> Iterator[list[RecordBatch]]:
    group: list[RecordBatch] = []
    for batch in batches:
        group.append(batch)
        if sum(len(each.records) for each in group) >= committed:
            yield group
            group = []
    if group:
        yield group


def main() -> None:
    """Print microseconds per event and stage."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.stages", description=__doc__)
    parser.add_argument("--recipients", type=int, default=100_000)
    parser.add_argument("--committed", type=int, default=COMMITTED, help="events per transaction")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--profile", action="store_true", help="cProfile the last run")
    chosen = parser.parse_args()
    corpus = Corpus(chosen.recipients)
    batches = backlog(corpus)
    gc.freeze()
    for number in range(chosen.runs):
        profile = cProfile.Profile() if chosen.profile and number == chosen.runs - 1 else None
        with TemporaryDirectory(prefix="smslab-stages-") as folder:
            if profile:
                profile.enable()
            spent = run(batches, chosen.recipients, Path(folder), chosen.committed).spent
            if profile:
                profile.disable()
                pstats.Stats(profile).sort_stats("tottime").print_stats(35)
        each = {name: seconds / corpus.sent * 1e6 for name, seconds in spent.items()}
        shown = "  ".join(f"{name} {micro:5.2f}" for name, micro in each.items())
        total = sum(each.values())
        print(f"µs/event: {shown}  sum {total:5.2f}  = {1e6 / total:,.0f} events/CPU-s")


if __name__ == "__main__":
    main()
