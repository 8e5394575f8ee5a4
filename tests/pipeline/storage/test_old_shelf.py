"""The shelf of layout 8 becomes ours: everybody is where they were, whatever happens meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing, suppress
from errno import ENOSPC
from itertools import groupby, pairwise
from pathlib import Path

import duckdb
import pytest

from pipeline.storage import old_shelf, shelf, statements
from pipeline.storage.disk import write_at
from pipeline.storage.shelf import FOLDER
from pipeline.storage.state import FILE, State, open_state
from pipeline.storage.statements import LAYOUT
from runtime.process import CannotRun
from tests.support.shelved import Worker, cohorts, expected, files, people
from tests.support.worker import campaign_events, definition

EVENTS = [
    *campaign_events(recipients=60, seed=5),
    *campaign_events(recipients=30, seed=6, campaign_id="c2"),
]
FED = 200
"""So many of them, in pieces, before the database is opened by this version."""
SMALL = 16
"""Places of an old file."""
GONE = 40
"""The first so many places, empty when it is opened."""


Shelved = tuple[dict[str, int], list[bytes], dict[str, list[tuple[str, int, bytes]]], int]


def shelved(state: State) -> Shelved:
    """All that the shelf can say: places, facts, whom a campaign has assigned, the end.

    Rows of people who have left are no matter, they go with their file.
    """
    where = people(state)
    chosen = {
        campaign_id: [
            row
            for found in state.shelf.assigned_to(campaign_id)
            for row in found
            if where.get(row[0]) == row[1]
        ]
        for campaign_id in ("c1", "c2")
    }
    return where, state.shelf.read(where.values()), chosen, state.shelf.end


def make_old(folder: Path, monkeypatch: pytest.MonkeyPatch, per_file: int = SMALL) -> Shelved:
    """A folder as the program of layout 8 left it; what its shelf had."""
    monkeypatch.setattr(old_shelf, "_PER_FILE", per_file)
    with closing(Worker(folder, at_hand=2)) as worker:
        for start in range(0, FED, 50):
            worker.feed(EVENTS[start : start + 50])
        worker.leave(range(GONE))
        before = shelved(worker.state)
        write_old(folder, worker.state, per_file)
    return before


def write_old(folder: Path, state: State, per_file: int) -> None:
    """A row for everybody, so many places a file without names; files that are empty go."""
    run = state.connection.execute
    run("CREATE TABLE shelf (place BIGINT, subject VARCHAR, size BIGINT, campaigns VARCHAR[])")
    emptied = {place for (place,) in run("FROM shelf_emptied").fetchall()}
    last = (state.shelf.end - 1) // per_file
    rows = [
        (board.place + index, subject, names.sizes[index], names.campaigns[names.which[index]])
        for board, names in ((each, state.shelf._names(each)) for each in state.shelf._boards)
        for index, subject in enumerate(names.subjects)
    ]
    facts = state.shelf.read(range(state.shelf.end))
    (folder / FOLDER / "000000.shelf").unlink(missing_ok=True)
    for number, group in groupby(rows, lambda row: row[0] // per_file):
        some = list(group)
        if number != last and emptied.issuperset(row[0] for row in some):
            run("DELETE FROM shelf_emptied WHERE place // ? = ?", [per_file, number])
            continue
        run("BEGIN")
        for row in some:
            run("INSERT INTO shelf VALUES (?, ?, ?, ?)", [*row[:3], list(row[3])])
        run("COMMIT")
        body = b"".join(facts[row[0]] for row in some)
        (folder / FOLDER / f"{number:06}.shelf").write_bytes(body)
    run("DROP TABLE shelf_boards")
    run("UPDATE progress SET layout = 8")


def sizes(folder: Path) -> dict[str, int]:
    """Of the files of the shelf."""
    return {name: (folder / FOLDER / name).stat().st_size for name in files(folder)}


def layout(folder: Path) -> int:
    """As the database says, read without us."""
    with closing(duckdb.connect(folder / FILE)) as connection:
        ((found,),) = connection.execute("SELECT layout FROM progress").fetchall()
        return int(found)


@pytest.mark.parametrize("old_per_file", [SMALL, 10**6])
@pytest.mark.parametrize("per_file", [1, SMALL, 10**6])
def test_a_shelf_of_layout_8_becomes_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, old_per_file: int, per_file: int
) -> None:
    """Several files, those before them gone, or one: same people, places and facts."""
    before = make_old(tmp_path, monkeypatch, old_per_file)
    old = sizes(tmp_path)
    assert (min(old) > "000000.shelf") == (old_per_file == SMALL), "those before are gone"
    assert (len(old) > 3) == (old_per_file == SMALL)
    monkeypatch.setattr(shelf, "PER_FILE", per_file)
    for _ in range(2):
        with closing(Worker(tmp_path, at_hand=2)) as worker:
            check_taken_over(worker, before)
        assert layout(tmp_path) == LAYOUT > 8
        new = sizes(tmp_path)
        assert new.keys() == old.keys()
        assert all(new[name] > old[name] for name in old), "names lie behind the facts"


@pytest.mark.parametrize("per_file", [1, SMALL, 10**6])
def test_what_comes_goes_behind_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, per_file: int
) -> None:
    """Into the last file or the next; the totals are those of nobody on a shelf."""
    make_old(tmp_path, monkeypatch)
    old = files(tmp_path)
    monkeypatch.setattr(shelf, "PER_FILE", per_file)
    for start in range(FED, len(EVENTS), 20):
        with closing(Worker(tmp_path, at_hand=2)) as worker:
            worker.feed(EVENTS[start : start + 20])
            listed = worker.state.shelf._boards
            assert all(a.places.stop == b.place for a, b in pairwise(listed))
            assert all(a.end == b.start for a, b in pairwise(listed) if a.file == b.file)
    assert (max(files(tmp_path)) > max(old)) == (per_file < 10**6)
    with closing(Worker(tmp_path, at_hand=2)) as worker:
        defined = definition("c1"), definition("c2")
        for each in defined:
            worker.define(each)
        assert cohorts(worker.state) == expected(EVENTS, *defined)


def test_a_place_that_the_database_lacks_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Places follow from the first one: with a hole they would be other people's."""
    make_old(tmp_path, monkeypatch)
    with closing(duckdb.connect(tmp_path / FILE)) as connection:
        connection.execute("DELETE FROM shelf WHERE place = (SELECT max(place) - 1 FROM shelf)")
    with pytest.raises(CannotRun, match=r"has other places than .* --rebuild"):
        open_state(tmp_path)
    assert layout(tmp_path) == 8


def test_a_full_disk_is_a_sentence_and_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With space again it goes on."""
    before = make_old(tmp_path, monkeypatch)

    def full(*_: object) -> None:
        raise OSError(ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(old_shelf, "write_at", full)
        with pytest.raises(CannotRun, match=r"No space left on device.*free space"):
            open_state(tmp_path)
    assert layout(tmp_path) == 8
    with closing(Worker(tmp_path, at_hand=2)) as worker:
        check_taken_over(worker, before)


def test_an_old_file_goes_when_everybody_has_left_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who had left before counts, too."""
    make_old(tmp_path, monkeypatch)
    first, *others = files(tmp_path)
    with closing(Worker(tmp_path, at_hand=2)) as worker:
        there = worker.state.shelf._boards[0].places
        ((had_left,),) = worker.state.connection.execute(
            "SELECT count(*) FROM shelf_emptied WHERE place < ?", [there.stop]
        ).fetchall()
        assert 0 < had_left < len(there)
        worker.leave(there)
        assert first not in files(tmp_path)
        assert files(tmp_path)[: len(others)] == others


@pytest.mark.parametrize("written", [0, 1, 2, None])
def test_a_crash_before_the_transaction_ends_is_harmless(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, written: int | None
) -> None:
    """So many files have their names, the next one a part of them; `None`: all have them.

    The database is still of layout 8, for the program of then and for this one.
    """
    before = make_old(tmp_path, monkeypatch)
    old = sizes(tmp_path)
    with monkeypatch.context() as patch, suppress(Crash):
        patch.setattr(old_shelf, "write_at", crash_after(written))
        with closing(duckdb.connect(tmp_path / FILE)) as connection:
            connection.begin()
            connection.execute(statements.tables())
            old_shelf.write_names(tmp_path, connection)
    longer = [name for name, size in sizes(tmp_path).items() if size > old[name]]
    assert len(longer) == (len(old) if written is None else written + 1)
    assert layout(tmp_path) == 8
    with closing(Worker(tmp_path, at_hand=2)) as worker:
        check_taken_over(worker, before)


@pytest.mark.parametrize("number", [0, -1])
@pytest.mark.parametrize("is_gone", [False, True])
def test_a_short_or_missing_old_file_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, *, is_gone: bool
) -> None:
    """The way out is a rebuild, or to put the file back: nothing has changed."""
    before = make_old(tmp_path, monkeypatch)
    path = tmp_path / FOLDER / files(tmp_path)[number]
    body = path.read_bytes()
    path.unlink() if is_gone else path.write_bytes(body[:-1])
    with pytest.raises(CannotRun, match=rf"{path.name} lacks .* --rebuild"):
        open_state(tmp_path)
    assert layout(tmp_path) == 8
    path.write_bytes(body)
    with closing(Worker(tmp_path, at_hand=2)) as worker:
        check_taken_over(worker, before)


def test_a_shelf_where_nobody_ever_was_becomes_ours(tmp_path: Path) -> None:
    """An empty table, and no folder; so too the databases that never had the table."""
    with closing(open_state(tmp_path)) as state:
        write_old(tmp_path, state, SMALL)
    with closing(Worker(tmp_path, at_hand=2)) as worker:
        assert (worker.people, worker.state.shelf.end) == (0, 0)
        worker.feed(EVENTS)
    with closing(Worker(tmp_path, at_hand=2)) as worker:
        assert worker.people == len({event.subject for event in EVENTS})


class Crash(Exception):  # noqa: N818 - it is no error of ours
    """The process ends here."""


def crash_after(files_written: int | None) -> Callable[[int, bytes, int], None]:
    """A `write_at` that writes half of what comes then, and no more."""
    left = len(EVENTS) if files_written is None else files_written

    def write(file: int, data: bytes, position: int) -> None:
        nonlocal left
        if left == 0:
            write_at(file, data[: len(data) // 2], position)
            raise Crash
        left -= 1
        write_at(file, data, position)

    return write


def check_taken_over(worker: Worker, before: Shelved) -> None:
    """Everything is as it was, in our tables."""
    assert shelved(worker.state) == before
    assert worker.people == len({event.subject for event in EVENTS[:FED]})
    places = worker.engine._absent.places
    assert places.within(range(places.following)) == before[0]
    for campaign_id in ("c1", "c2"):
        assert worker.engine.shelved_of(campaign_id) == len(before[2][campaign_id])
    assert ("shelf",) not in worker.state.connection.execute("SHOW TABLES").fetchall()
