"""Millions of live exposures: what an event costs beside them, and how long a restart takes.

Events as they really come (assignments, submits and receipts in order of time) are joined and
committed, a full flush at a time as from a backlog; then the process is killed with SIGKILL and
a new one restores everything. Without Kafka. CPU times of the process; ten million people take
a quarter of an hour and 4 GB of disk.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import fields
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import psutil

from benchmarks.batches import batches_of
from benchmarks.corpus import Corpus, definition
from benchmarks.stages import Kept
from pipeline.batch import Delivery, RecordBatch
from pipeline.flush import DecodedBatch, Flush
from pipeline.join.engine import JoinEngine
from pipeline.settings import WorkerSettings
from pipeline.storage.restore import restore
from pipeline.storage.state import open_state
from runtime.process import rest_garbage_collector
from schemas.codec import encode
from schemas.events import CampaignDefined, SubjectEvent
from schemas.topics import CAMPAIGN_DEFINITION

PEOPLE: Final = 1_000_000
_DEFAULTS: Final[dict[str, Any]] = {field.name: field.default for field in fields(WorkerSettings)}
AT_HAND: Final[int] = _DEFAULTS["people_at_hand"]
CAMPAIGN_MS: Final = 11 * 3_600_000
NOW_MS: Final = 1_763_000_000_000
_FLUSH: Final[int] = _DEFAULTS["flush_records"]
_LOOKS: Final = 10


class Worker:
    """Engine and database of a worker, without Kafka."""

    def __init__(self, folder: Path, at_hand: int) -> None:
        started = time.perf_counter()
        self.state = open_state(folder)
        self.engine = JoinEngine(at_hand=at_hand)
        self.people = restore(self.state, self.engine)
        self.restored_s = time.perf_counter() - started
        self.offsets: Counter[str] = Counter(
            {topic: end for (topic, _), end in self.state.offsets().items()}
        )

    def define(self, definition: CampaignDefined) -> None:
        """Put a definition in force; a restart finds it."""
        records = [Kept(0, encode(definition))]
        batch = RecordBatch(CAMPAIGN_DEFINITION.name, 0, 0, 1, records)
        self.engine.define(definition)
        decoded = DecodedBatch(Delivery(batch, lambda: None), definitions=[definition])
        self.state.commit(Flush([decoded], self.engine.take()), NOW_MS)

    def feed(self, batches: Sequence[DecodedBatch]) -> None:
        """Join and commit one flush."""
        for batch in batches:
            postponed = self.engine.apply(batch.subject_events)
            facts = self.state.shelf.read(postponed.shelved.values())
            for subject, each in zip(postponed.shelved, facts, strict=True):
                self.engine.fetch(subject, each)
            self.engine.apply_postponed(postponed)
        self.state.commit(Flush(batches, self.engine.take()), NOW_MS)


def step_ms(people: int) -> int:
    """Between two assignments: the campaign is equally long, however many they are."""
    return max(1, CAMPAIGN_MS // people)


def fill(worker: Worker, corpus: Corpus) -> Iterator[dict[str, Any]]:
    """Feed everything; a line now and then."""
    people = corpus.recipients
    worker.define(definition(people))
    rest_garbage_collector(0)
    joined = (event for event in corpus.events() if isinstance(event, SubjectEvent))
    shown, spent, count = 0, 0.0, 0
    while chunk := list(islice(joined, _FLUSH)):
        batches = batches_of(chunk, worker.offsets)
        started = time.process_time()
        worker.feed(batches)
        spent, count = spent + time.process_time() - started, count + len(chunk)
        live = len(worker.engine) + worker.engine.shelved
        if live >= people * (shown + 1) / _LOOKS:
            shown += 1
            yield {"live": live, "us_per_event": spent / count * 1e6, **_memory()}
            spent, count = 0.0, 0


def _memory() -> dict[str, float]:
    return {"resident_gb": psutil.Process().memory_info().rss / 1e9}


def _child(*arguments: object) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "benchmarks.restart", *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE)


def _run(people: int, at_hand: int) -> None:
    with TemporaryDirectory(prefix="smslab-restart-") as folder:
        filling = _child("--fill", folder, people, "--at-hand", at_hand)
        assert filling.stdout is not None
        for line in filling.stdout:
            print(line.decode().strip(), flush=True)
            if b"filled" in line:
                os.kill(filling.pid, signal.SIGKILL)
        filling.wait()
        restoring = _child("--restore", folder, people, "--at-hand", at_hand)
        print(restoring.communicate()[0].decode().strip())


def main() -> None:
    """One JSON object a line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.restart", description=__doc__)
    parser.add_argument("people", type=int, nargs="?", default=PEOPLE)
    parser.add_argument("--at-hand", type=int, default=AT_HAND)
    parser.add_argument("--fill", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--restore", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.fill:
        filled = Worker(given.fill, given.at_hand)
        for line in fill(filled, Corpus(given.people, step_ms=step_ms(given.people))):
            print(json.dumps(line), flush=True)
        print('{"filled": true}', flush=True)
        signal.pause()
    elif given.restore:
        worker = Worker(given.restore, given.at_hand)
        found = {"restored": worker.people, "at_hand": len(worker.engine)}
        print(json.dumps({**found, "ready_s": worker.restored_s, **_memory()}))
        worker.state.close()
    else:
        _run(given.people, given.at_hand)


if __name__ == "__main__":
    main()
