"""Millions of live exposures: what an event costs beside them, and how long a restart takes.

Events as they really come (assignments, submits and receipts in order of time) are joined and
committed, a flush of 20,000 at a time; then the process is killed with SIGKILL and a new one
restores everything. Without Kafka. CPU times of the process; ten million people take half an hour
and 10 GB of disk.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import fields
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import psutil

from benchmarks.corpus import Corpus, definition
from benchmarks.exposures import Kept
from pipeline.batch import Delivery, RecordBatch
from pipeline.flush import DecodedBatch, Flush
from pipeline.join.engine import JoinEngine
from pipeline.settings import WorkerSettings
from pipeline.storage.restore import restore
from pipeline.storage.state import open_state
from runtime.process import rest_garbage_collector
from schemas.events import SubjectEvent
from schemas.topics import JOINED_TOPICS, MESSAGE_RECEIPT

PEOPLE: Final = 1_000_000
AT_HAND: Final[int] = next(f.default for f in fields(WorkerSettings) if f.name == "people_at_hand")
CAMPAIGN_MS: Final = 11 * 3_600_000
NOW_MS: Final = 1_763_000_000_000
_FLUSH: Final = 20_000
_LOOKS: Final = 10
_TURNS: Final = {topic.event: turn for turn, topic in enumerate(JOINED_TOPICS)}


class Worker:
    """Engine and database of a worker, without Kafka."""

    def __init__(self, folder: Path, at_hand: int) -> None:
        started = time.perf_counter()
        self.state = open_state(folder)
        self.engine = JoinEngine(at_hand=at_hand)
        self.people = restore(self.state, self.engine)
        self.restored_s = time.perf_counter() - started
        self._offset = sum(self.state.offsets().values())

    def feed(self, events: list[SubjectEvent]) -> None:
        """Join and commit one flush, topic by topic as the worker does."""
        events.sort(key=lambda event: _TURNS[type(event)])
        _, places = self.engine.forgotten(events)
        facts = self.state.shelf.read(places.values())
        for subject, each in zip(places, facts, strict=True):
            self.engine.fetch(subject, each)
        self.engine.apply(events)
        kept = [Kept(self._offset, b"")]
        batch = RecordBatch(MESSAGE_RECEIPT.name, 0, self._offset, self._offset + 1, kept)
        flush = Flush([DecodedBatch(Delivery(batch, lambda: None))], self.engine.take())
        self.state.commit(flush, NOW_MS)
        self._offset += 1


def fill(folder: Path, people: int, at_hand: int) -> Iterator[dict[str, Any]]:
    """Feed everything; a line now and then."""
    worker = Worker(folder, at_hand)
    worker.engine.define(definition(people))
    rest_garbage_collector(0)
    step_ms = max(1, CAMPAIGN_MS // people)
    events = Corpus(people, step_ms=step_ms).events()
    joined = (event for event in events if isinstance(event, SubjectEvent))
    shown, spent, count = 0, 0.0, 0
    while chunk := list(islice(joined, _FLUSH)):
        started = time.process_time()
        worker.feed(chunk)
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
        for line in fill(given.fill, given.people, given.at_hand):
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
