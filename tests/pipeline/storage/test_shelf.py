"""Quiet people in files: what a transaction lists is there, whatever a crash has left."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import duckdb
import pytest

from pipeline.flush import Flush
from pipeline.join.cohorts import VECTOR
from pipeline.join.deltas import Deltas
from pipeline.join.engine import JoinEngine
from pipeline.storage import log_rows, shelf
from pipeline.storage.restore import restore
from pipeline.storage.shelf import FOLDER
from pipeline.storage.state import State, open_state
from runtime.process import CannotRun
from schemas.events import SubjectEvent
from tests.support.flushes import batches_of
from tests.support.worker import campaign_events, definition

EVENTS = list(campaign_events(recipients=60, seed=5))
KEY = ("campaign_id", "variant_id", "cohort_start_ms", "cohort_width_ms", "dimension", "value")
SMALL = 16
"""Places per file."""


@pytest.fixture(autouse=True, params=[0, log_rows.SMALL])
def small_files(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """Files that a few people fill in pieces; flushes that keep their events, and small ones."""
    monkeypatch.setattr(shelf, "PER_FILE", SMALL)
    monkeypatch.setattr(shelf, "_TOGETHER", 3)
    monkeypatch.setattr(log_rows, "SMALL", request.param)


class Worker:
    """Engine and database, without Kafka."""

    def __init__(self, folder: Path, at_hand: int) -> None:
        self.state = open_state(folder)
        self.engine = JoinEngine(at_hand=at_hand)
        self.people = restore(self.state, self.engine)

    def close(self) -> None:
        """Leave everything as a SIGKILL after the last flush would."""
        self.state.close()

    def feed(self, events: Sequence[SubjectEvent]) -> Deltas:
        """One flush."""
        postponed = self.engine.apply(events)
        self.recall(postponed.shelved)
        self.engine.apply_postponed(postponed)
        return self.store(events)

    def recall(self, places: dict[str, int]) -> None:
        """Fetch people from the shelf."""
        for subject, facts in zip(places, self.state.shelf.read(places.values()), strict=True):
            self.engine.fetch(subject, facts)

    def store(self, events: Sequence[SubjectEvent] = ()) -> Deltas:
        """Commit what there is; `events` were applied."""
        deltas = self.engine.take()
        self.state.commit(Flush(batches_of(events, self.state.offsets()), deltas), 0)
        return deltas


def portions(size: int) -> Iterator[list[SubjectEvent]]:
    """All events, so many together."""
    for start in range(0, len(EVENTS), size):
        yield EVENTS[start : start + size]


def cohorts(state: State) -> dict[tuple[object, ...], list[int]]:
    """What is stored, zeros left out."""
    columns = [duckdb.ColumnExpression(name) for name in (*KEY, *VECTOR)]
    rows = state.connection.table("cohorts").select(*columns).fetchall()
    return {row[:6]: [int(n) for n in row[6:]] for row in rows if any(row[6:])}


def test_totals_do_not_depend_on_the_shelf_nor_on_restarts(tmp_path: Path) -> None:
    """Two people at hand, a restart between any two flushes, a definition at the end."""
    for number, portion in enumerate(portions(17)):
        with closing(Worker(tmp_path / "shelf", at_hand=2)) as worker:
            worker.feed(portion)
            assert len(worker.engine) <= 2
            assert number == 0 or worker.people == len({e.subject for e in EVENTS[: number * 17]})
    with closing(Worker(tmp_path / "shelf", at_hand=2)) as worker:
        before = worker.engine.define(definition())
        for found in worker.state.shelf.assigned_to(definition().campaign_id):
            worker.engine.revise(before, found)
        worker.store()
        stored = cohorts(worker.state)
    direct = JoinEngine()
    direct.define(definition())
    direct.apply(EVENTS)
    assert stored == {k: list(v) for k, v in direct.take().cohorts.items() if any(v)}


def test_what_a_crash_has_left_is_cut_off(tmp_path: Path) -> None:
    """Written and not listed: the same places are given again."""
    with closing(Worker(tmp_path, at_hand=2)) as worker:
        worker.feed(EVENTS[:20])
        size = max((tmp_path / FOLDER).iterdir()).stat().st_size
    last = max((tmp_path / FOLDER).iterdir())
    last.write_bytes(last.read_bytes() + b"torn")
    (tmp_path / FOLDER / "000099.shelf").write_bytes(b"a file of a transaction that never was")
    with closing(Worker(tmp_path, at_hand=2)) as worker:
        assert last.stat().st_size == size
        assert not (tmp_path / FOLDER / "000099.shelf").exists()
        worker.feed(EVENTS[20:])
    with closing(Worker(tmp_path, at_hand=2)) as worker:
        assert worker.people == len({event.subject for event in EVENTS})


def test_a_file_that_lacks_what_is_listed_is_said(tmp_path: Path) -> None:
    """Nothing is guessed: the sentence names the file and the way out."""
    with closing(Worker(tmp_path, at_hand=2)) as worker:
        worker.feed(EVENTS)
    (tmp_path / FOLDER / "000000.shelf").write_bytes(b"")
    with pytest.raises(CannotRun, match=r"000000\.shelf lacks .* --rebuild"):
        open_state(tmp_path)


def test_a_file_goes_when_everybody_of_it_is_at_hand_again(tmp_path: Path) -> None:
    """Disk and tables do not grow for ever; the last file stays, it is still written."""
    with closing(Worker(tmp_path, at_hand=2)) as worker:
        worker.feed(EVENTS)
        files = sorted(path.name for path in (tmp_path / FOLDER).iterdir())
        found = dict(zip(*_rows(worker.state), strict=True))
        worker.engine._at_hand = 10**9
        worker.recall(found)
        worker.store()
        assert sorted(path.name for path in (tmp_path / FOLDER).iterdir()) == files[-1:]
        listed = worker.state.connection.table("shelf_portions").select("file", "place").fetchall()
        assert {f"{file:06}.shelf" for file, _ in listed} == {files[-1]}
        emptied = worker.state.connection.table("shelf_emptied").aggregate("min(place)").fetchall()
        assert emptied == [(min(place for _, place in listed),)]
    with closing(Worker(tmp_path, at_hand=2)) as worker:
        assert worker.engine.shelved == 0
        assert len(worker.engine) == len({event.subject for event in EVENTS})
        worker.store()  # at hand are two again: places after those that were given, not the same
        places = worker.engine._absent.places
        kept = {name: places.find([name])[name] for name in places._of}
    with closing(Worker(tmp_path, at_hand=2)) as worker:
        assert dict(zip(*_rows(worker.state), strict=True)) == kept
        assert worker.people == len({event.subject for event in EVENTS})


def _rows(state: State) -> tuple[list[str], list[int]]:
    subjects: list[str] = []
    places: list[int] = []
    for names, where, _ in state.shelf.people():
        subjects += names
        places += where
    return subjects, places
