"""What one event costs beside many live exposures: it should not matter how many they are.

So many people are assigned and sent a message; then receipts of people drawn at random come in,
are decoded, joined, added up and committed. CPU time of this process, without Kafka.
"""

from __future__ import annotations

import argparse
import gc
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from benchmarks.corpus import Corpus, definition
from pipeline.agents.decode import decode_batch
from pipeline.batch import Delivery, RecordBatch
from pipeline.flush import Flush
from pipeline.join.engine import JoinEngine
from pipeline.storage.state import State, open_state
from schemas.codec import encode
from schemas.events import MessageSubmitted, ReceiptReceived, RecipientAssigned, SubjectEvent
from schemas.topics import MESSAGE_RECEIPT

PEOPLE: Final = (100_000, 1_000_000)
RECEIPTS: Final = 120_000
CAMPAIGN_MS: Final = 11 * 3_600_000
"""Equally long for all: what shall differ is the number of people, not of cohorts."""
_BATCH: Final = 3_000
_AT_ONCE: Final = 50_000
NOW_MS: Final = 1_763_000_000_000


@dataclass(frozen=True, slots=True)
class Kept:
    """A record as the worker looks at it."""

    offset: int
    value: bytes
    timestamp: int = -1


@dataclass(slots=True)
class Live:
    """An engine with many people who wait for their receipts."""

    people: int
    engine: JoinEngine = field(default_factory=JoinEngine)
    waiting: list[bytes] = field(default_factory=list)
    """Receipts to come, drawn evenly from everybody's."""

    def fill(self) -> None:
        """Assign and send; outcomes beyond that are left out."""
        rng, keep = random.Random(5), 1.2 * RECEIPTS / self.people
        self.engine.define(definition(self.people))
        events = self._without_outcomes(
            Corpus(self.people, step_ms=CAMPAIGN_MS // self.people).events(), rng, keep
        )
        while chunk := list(islice(events, _AT_ONCE)):
            self.engine.apply(chunk)
            self.engine.take()
        rng.shuffle(self.waiting)

    def _without_outcomes(
        self, events: Iterator[SubjectEvent], rng: random.Random, keep: float
    ) -> Iterator[SubjectEvent]:
        for event in events:
            if isinstance(event, RecipientAssigned | MessageSubmitted):
                yield event
            elif isinstance(event, ReceiptReceived) and rng.random() < keep:
                self.waiting.append(encode(event))


def measure(people: int, folder: Path) -> float:
    """CPU-microseconds per receipt."""
    live = Live(people)
    live.fill()
    gc.collect()
    gc.freeze()
    state = open_state(folder)
    state.keeps_facts = True
    batches = list(_batches(live.waiting[:RECEIPTS]))
    half = len(batches) // 2
    warm, measured = batches[:half], batches[half:]
    _through(live.engine, state, warm)
    started = time.process_time()
    _through(live.engine, state, measured)
    spent = time.process_time() - started
    state.close()
    gc.unfreeze()
    return spent / sum(len(batch.records) for batch in measured) * 1e6


def _through(engine: JoinEngine, state: State, batches: list[RecordBatch]) -> None:
    decoded = [decode_batch(Delivery(batch, lambda: None), NOW_MS) for batch in batches]
    for each in decoded:
        engine.apply(each.subject_events)
    state.commit(Flush(decoded, engine.take()), NOW_MS)


def _batches(values: list[bytes]) -> Iterator[RecordBatch]:
    for start in range(0, len(values), _BATCH):
        piece = [Kept(start + n, value) for n, value in enumerate(values[start : start + _BATCH])]
        yield RecordBatch(MESSAGE_RECEIPT.name, 0, start, start + len(piece), piece)


def main() -> None:
    """Print microseconds per receipt for each number of people, in turns."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.exposures", description=__doc__)
    parser.add_argument(
        "people", type=int, nargs="*", default=PEOPLE, help="live exposures; 10000000 needs 12 GB"
    )
    parser.add_argument("--runs", type=int, default=2)
    chosen = parser.parse_args()
    for _ in range(chosen.runs):
        for people in chosen.people:
            with TemporaryDirectory(prefix="smslab-exposures-") as folder:
                micro = measure(people, Path(folder))
            print(f"{people:>12,} live: {micro:5.2f} µs/event = {1e6 / micro:,.0f} events/CPU-s")


if __name__ == "__main__":
    main()
