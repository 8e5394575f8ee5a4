"""Bodies of the logs in files: what a row tells of is there, whatever happens in between."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import duckdb
import pytest

from pipeline.flush import Flush
from pipeline.join.engine import JoinEngine
from pipeline.join.facts import News
from pipeline.storage import log_files, log_rows
from pipeline.storage.log_files import FOLDER
from pipeline.storage.restore import restore
from pipeline.storage.state import State, open_state
from runtime.process import CannotRun
from tests.support.flushes import batches_of
from tests.support.worker import campaign_events

EVENTS = campaign_events(recipients=60, seed=4)
LOGS = ("event_log", "state_log")
PORTIONS = [EVENTS[start : start + 30] for start in range(0, len(EVENTS), 30)]


@pytest.fixture(autouse=True)
def no_small_flushes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every flush is large enough to keep its events as they are."""
    monkeypatch.setattr(log_rows, "SMALL", 0)


class Worker:
    """Engine and database, restored from a folder; nothing waits to be written as Parquet."""

    def __init__(self, folder: Path, at_hand: int = 1_000) -> None:
        self.state = open_state(folder)
        self.engine = JoinEngine(at_hand=at_hand)
        restore(self.state, self.engine)

    def feed(self, number: int) -> None:
        """Join and store a portion."""
        postponed = self.engine.apply(PORTIONS[number])
        facts = self.state.shelf.read(postponed.shelved.values())
        for subject, each in zip(postponed.shelved, facts, strict=True):
            self.engine.fetch(subject, each)
        self.engine.apply_postponed(postponed)
        batches = batches_of(PORTIONS[number], self.state.offsets())
        self.state.commit(Flush(batches, self.engine.take()), 0)

    def close(self) -> None:
        """Give the folder free."""
        self.state.close()


def known(engine: JoinEngine) -> list[News]:
    """Everything at hand, in an order."""
    return sorted(engine.everything(), key=lambda news: news[:2])


def expected(portions: int) -> list[News]:
    """What an engine knows that was never restarted."""
    engine = JoinEngine()
    for portion in PORTIONS[:portions]:
        engine.apply(portion)
    return known(engine)


def files(folder: Path) -> set[str]:
    """Names."""
    return {path.name for path in (folder / FOLDER).iterdir()}


def listed(state: State) -> set[str]:
    """The files that rows tell of."""
    found = set[int]()
    for table in LOGS:
        rows = state.connection.table(table).select("file").fetchall()
        found |= {file for (file,) in rows}
    return {f"{number:06}.bodies" for number in found}


@pytest.mark.parametrize("full_bytes", [1, 4_000, log_files.FULL_BYTES])
def test_a_restart_between_any_two_flushes_knows_everything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, full_bytes: int
) -> None:
    """With a file per flush, per some flushes, or for all."""
    monkeypatch.setattr(log_files, "FULL_BYTES", full_bytes)
    for number in range(len(PORTIONS)):
        with closing(Worker(tmp_path)) as worker:
            assert known(worker.engine) == expected(number)
            worker.feed(number)
            assert listed(worker.state) == files(tmp_path)
    assert (len(files(tmp_path)) == 1) == (full_bytes > 4_000)


def test_what_a_crash_has_left_is_cut_off(tmp_path: Path) -> None:
    """Written and not listed: the next flush writes over it."""
    with closing(Worker(tmp_path)) as worker:
        worker.feed(0)
    (last,) = (tmp_path / FOLDER).iterdir()
    size = last.stat().st_size
    last.write_bytes(last.read_bytes() + b"torn")
    (tmp_path / FOLDER / "000099.bodies").write_bytes(b"a file of a transaction that never was")
    with closing(Worker(tmp_path)) as worker:
        assert last.stat().st_size == size
        assert files(tmp_path) == {last.name}
        worker.feed(1)
    with closing(Worker(tmp_path)) as worker:
        assert known(worker.engine) == expected(2)


def test_a_transaction_that_fails_leaves_nothing_that_counts(tmp_path: Path) -> None:
    """Neither at once, nor after a restart."""
    with closing(Worker(tmp_path)) as worker:
        worker.feed(0)
        before = worker.state.connection.table("event_log").fetchall()
        with pytest.raises(duckdb.Error):
            fail(worker.state)
        assert worker.state.connection.table("event_log").fetchall() == before
        worker.feed(1)
    with closing(Worker(tmp_path)) as worker:
        assert known(worker.engine) == expected(2)


def fail(state: State) -> None:
    """A transaction that ends behind its bodies."""
    flush = Flush(batches_of(PORTIONS[1], {}), JoinEngine().take())
    with state.transaction():
        state.put_log("event_log", log_rows.event_log_rows(flush, 2, waits=True))
        state.connection.execute("FROM no_such_table")


def test_files_go_with_the_people_who_need_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two people at hand need the last flushes only; the file that is written stays."""
    monkeypatch.setattr(log_files, "FULL_BYTES", 1)
    with closing(Worker(tmp_path, at_hand=2)) as worker:
        for number in range(len(PORTIONS)):
            worker.feed(number)
        newest = max(files(tmp_path))
        assert files(tmp_path) == listed(worker.state) | {newest}
        assert len(files(tmp_path)) < len(PORTIONS)


@pytest.mark.parametrize("damage", [b"", b"x"])
def test_a_file_that_lacks_or_changes_what_is_listed_is_said(tmp_path: Path, damage: bytes) -> None:
    """Nothing is guessed: the sentence names the file and the way out."""
    with closing(Worker(tmp_path)) as worker:
        worker.feed(0)
    path = tmp_path / FOLDER / "000000.bodies"
    path.write_bytes(damage * path.stat().st_size)
    with pytest.raises(CannotRun, match=r"000000\.bodies (lacks|is damaged).* --rebuild"):
        Worker(tmp_path)


def test_bodies_in_the_tables_of_layout_7_are_read_on(tmp_path: Path) -> None:
    """Until nobody needs them; what comes new goes into files."""
    with closing(Worker(tmp_path)) as worker:
        worker.feed(0)
        run, columns = worker.state.connection.execute, ("file", "start", "octets", "checksum")
        for table in LOGS:
            names = ", ".join(columns)
            rows = run(f"SELECT rowid, {names} FROM {table}").fetchall()  # noqa: S608 - ours
            for row, *extent in rows:
                body = worker.state.log.body(None, extent)
                run(f"UPDATE {table} SET body = ? WHERE rowid = ?", [body, row])  # noqa: S608
            for name in columns:
                run(f"ALTER TABLE {table} DROP COLUMN {name}")
        run("UPDATE progress SET layout = 7")
    for number in (1, 2):
        with closing(Worker(tmp_path)) as worker:
            assert known(worker.engine) == expected(number)
            worker.feed(number)
    assert files(tmp_path) == {"000000.bodies"}
