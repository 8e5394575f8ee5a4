"""Quiet people in files: what a transaction lists is there, whatever a crash has left."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from itertools import groupby
from pathlib import Path

import pytest

from pipeline.join.facts import campaigns_of, decode_facts
from pipeline.storage import log_rows, shelf
from pipeline.storage.shelf import FOLDER
from pipeline.storage.state import State, open_state
from runtime.process import CannotRun
from schemas.events import SubjectEvent
from tests.support.shelved import Worker, cohorts, expected, files, people
from tests.support.worker import campaign_events, definition

EVENTS = list(campaign_events(recipients=60, seed=5))
SUBJECTS = {event.subject for event in EVENTS}
IN_TWO = [*EVENTS, *campaign_events(recipients=30, seed=6, campaign_id="c2")]
"""Half of the people are in a second campaign, too."""
SMALL = 16
"""People per file."""
ALL = 10**9


@pytest.fixture(autouse=True, params=[0, log_rows.SMALL])
def small_files(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """Files that a few people fill in pieces; flushes that keep their events, and small ones."""
    monkeypatch.setattr(shelf, "PER_FILE", SMALL)
    monkeypatch.setattr(shelf, "_TOGETHER", 3)
    monkeypatch.setattr(shelf, "_AT_ONCE", 4)
    monkeypatch.setattr(log_rows, "SMALL", request.param)


def pieces(events: list[SubjectEvent], size: int) -> Iterator[list[SubjectEvent]]:
    """All of them, so many together."""
    for start in range(0, len(events), size):
        yield events[start : start + size]


def test_totals_do_not_depend_on_the_shelf_nor_on_restarts(tmp_path: Path) -> None:
    """Two people at hand, a restart between any two flushes, a definition at the end."""
    for number, piece in enumerate(pieces(EVENTS, 17)):
        with closing(Worker(tmp_path, at_hand=2)) as worker:
            worker.feed(piece)
            assert len(worker.engine) <= 2
            assert number == 0 or worker.people == len({e.subject for e in EVENTS[: number * 17]})
    with closing(Worker(tmp_path, at_hand=2)) as worker:
        worker.define(definition())
        assert cohorts(worker.state) == expected(EVENTS, definition())


def test_people_are_those_who_have_not_left_and_counted_by_campaign(tmp_path: Path) -> None:
    """After every flush and every restart, in every file and board."""
    for piece in pieces(IN_TWO, 40):
        with closing(Worker(tmp_path, at_hand=2)) as worker:
            check_people(worker)
            worker.feed(piece)
            check_people(worker)
            assert worker.engine.shelved == len(people(worker.state))
    assert len(files(tmp_path)) > 2


def check_people(worker: Worker) -> None:
    """What the shelf says is what the engine knows and what the facts say."""
    state, places = worker.state, worker.engine._absent.places
    assert people(state) == places.within(range(places.following))
    assert state.shelf.end == places.following
    for number, boards in groupby(state.shelf._boards, lambda board: board.file):
        starts, ends = zip(*((each.start, each.end) for each in boards), strict=True)
        assert starts == (0, *ends[:-1]), f"file {number} has no holes"
    assigned = Counter[str]()
    for _, where, counts in state.shelf.people():
        facts = map(decode_facts, state.shelf.read(where))
        assert counts == Counter(id_ for each in facts for id_ in campaigns_of(each))
        assigned += counts
    for campaign_id in ("c1", "c2", "c3"):
        assert worker.engine.shelved_of(campaign_id) == assigned[campaign_id]
        rows = [row for found in state.shelf.assigned_to(campaign_id) for row in found]
        here = [place for name, place, _ in rows if places.has(name, place)]
        assert len(here) == assigned[campaign_id]
        assert state.shelf.read(place for _, place, _ in rows) == [facts for _, _, facts in rows]


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
        assert worker.people == len(SUBJECTS)


@pytest.mark.parametrize("step", ["_put", "_forget"])
def test_of_a_transaction_that_fails_nothing_is_there_after_a_restart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """Behind `append`, or behind `leave`, which dropped files that are still listed then."""
    with closing(Worker(tmp_path, at_hand=2)) as worker:
        worker.feed(EVENTS[:150])
        before, end = people(worker.state), worker.state.shelf.end
        names = files(tmp_path)

        def fail(*_: object) -> None:
            raise OSError(step)

        with monkeypatch.context() as patch:
            patch.setattr(worker.state, step, fail)
            with pytest.raises(OSError, match=step):
                worker.leave(range(end))
        assert worker.state.shelf.end > end, "it believes what it wrote: this process must end"
        assert files(tmp_path)[: len(names)] == names
    with closing(Worker(tmp_path, at_hand=2)) as worker:
        assert (people(worker.state), worker.state.shelf.end) == (before, end)
        assert files(tmp_path) == names
        check_people(worker)
        worker.feed(EVENTS[150:])
        worker.define(definition())
        assert cohorts(worker.state) == expected(EVENTS, definition())


@pytest.mark.parametrize("damage", [None, b""])
def test_a_file_that_lacks_what_is_listed_is_said(tmp_path: Path, damage: bytes | None) -> None:
    """Gone or short, nothing is guessed: the sentence names the file and the way out."""
    with closing(Worker(tmp_path, at_hand=2)) as worker:
        worker.feed(EVENTS)
    path = tmp_path / FOLDER / "000000.shelf"
    path.unlink() if damage is None else path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(CannotRun, match=r"000000\.shelf lacks .* --rebuild"):
        open_state(tmp_path)


def test_a_damaged_name_is_said(tmp_path: Path) -> None:
    """In any board, the first octet or the last one."""
    with closing(Worker(tmp_path, at_hand=2)) as worker:
        for piece in pieces(EVENTS[:120], 40):
            worker.feed(piece)
        boards = list(worker.state.shelf._boards)
    assert len({board.file for board in boards}) > 1
    for board in boards:
        path = tmp_path / FOLDER / f"{board.file:06}.shelf"
        whole = path.read_bytes()
        for at in (board.names_start, board.end - 1):
            path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
            with (
                closing(open_state(tmp_path)) as state,
                pytest.raises(CannotRun, match=rf"{path.name} is damaged.* --rebuild"),
            ):
                people(state)
        path.write_bytes(whole)


def test_a_file_goes_when_everybody_of_it_is_at_hand_again(tmp_path: Path) -> None:
    """Disk and tables do not grow for ever; the last file stays, it is still written."""
    with closing(Worker(tmp_path, at_hand=2)) as worker:
        for piece in pieces(EVENTS, 20):
            worker.feed(piece)
        names, end = files(tmp_path), worker.state.shelf.end
        assert len(worker.state.shelf._boards) > len(names) > 2
        worker.engine._at_hand = ALL
        worker.leave(range(end))
        assert files(tmp_path) == names[-1:]
        assert worker.state.shelf.end == end
        listed = worker.state.connection.table("shelf_boards").select("file", "place").fetchall()
        assert {f"{file:06}.shelf" for file, _ in listed} == {names[-1]}
        emptied = worker.state.connection.table("shelf_emptied").aggregate("min(place)").fetchall()
        assert emptied == [(min(place for _, place in listed),)]
    with closing(Worker(tmp_path, at_hand=2)) as worker:
        assert worker.engine.shelved == 0
        assert len(worker.engine) == len(SUBJECTS)
        assert worker.state.shelf.end == end
        worker.store()  # at hand are two again: places after those that were given, not the same
        places = worker.engine._absent.places
        kept = dict(places.within(range(places.following)))
        assert min(kept.values()) == end
    with closing(Worker(tmp_path, at_hand=2)) as worker:
        assert people(worker.state) == kept
        assert worker.people == len(SUBJECTS)


def test_a_board_has_so_many_people_at_most(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many go on the shelf at once; all are there after a restart."""
    monkeypatch.setattr(shelf, "PER_BOARD", 7)
    with closing(Worker(tmp_path, at_hand=0)) as worker:
        worker.feed(EVENTS)
        sizes = [board.people for board in worker.state.shelf._boards]
        assert sizes == [7] * (len(SUBJECTS) // 7) + [len(SUBJECTS) % 7]
        check_people(worker)
    with closing(Worker(tmp_path, at_hand=0)) as worker:
        check_people(worker)


def test_a_last_file_that_is_empty_goes_when_another_one_is_the_last(tmp_path: Path) -> None:
    """Nobody leaves it any more; it must not lie there for ever."""
    with closing(Worker(tmp_path, at_hand=0)) as worker:
        worker.feed(EVENTS)
        assert files(tmp_path) == ["000000.shelf"]
        worker.engine._at_hand = ALL
        worker.leave(range(worker.state.shelf.end))
        assert files(tmp_path) == ["000000.shelf"], "it tells the end"
        worker.engine._at_hand = 0
        worker.store()
        assert files(tmp_path) == ["000001.shelf"]
        assert worker.state.connection.table("shelf_emptied").fetchall() == []
    with closing(Worker(tmp_path, at_hand=0)) as worker:
        check_people(worker)
        assert (worker.people, worker.state.shelf.end) == (len(SUBJECTS), 2 * len(SUBJECTS))


def test_a_file_that_nobody_has_read_since_the_start_goes_too(tmp_path: Path) -> None:
    """Whether it was ever opened does not matter."""
    with closing(Worker(tmp_path, at_hand=0)) as worker:
        for piece in pieces(EVENTS[:100], 50):
            worker.feed(piece)
        first = worker.state.shelf._boards[0].places
        there = [place for place in people(worker.state).values() if place in first]
        assert there
    with closing(open_state(tmp_path)) as state:
        assert [board.file for board in state.shelf._boards] == [0, 1]
        with state.transaction():
            state.shelf.leave(there)
        state.shelf.tidy()
        assert files(tmp_path) == ["000001.shelf"]


@pytest.mark.parametrize("steps", range(1, 12))
def test_who_asks_for_a_campaign_is_not_disturbed_by_files_that_go(
    tmp_path: Path, steps: int
) -> None:
    """Between any two steps all files go but the last: who was there is passed over."""
    with closing(Worker(tmp_path, at_hand=0)) as worker:
        for piece in pieces(EVENTS, 60):
            worker.feed(piece)
        state, end = worker.state, worker.state.shelf.end
        last = state.shelf._boards[-1]
        wanted = {place for step in state.shelf.assigned_to("c1") for _, place, _ in step}
        found = state.shelf.assigned_to("c1")
        before = [next(found) for _ in range(steps)]
        worker.engine._at_hand = ALL
        worker.leave(range(end))
        assert files(tmp_path) == [f"{last.file:06}.shelf"]
        after = {place for step in found for _, place, _ in step}
        assert {state.shelf._board_at(place).file for place in after} <= {last.file}
        assert wanted & set(last.places) <= after | {row[1] for step in before for row in step}
        worker.define(definition())
        assert cohorts(worker.state) == expected(EVENTS, definition())


def test_a_place_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    """Behind the end, before the begin, of a file that is gone."""
    with closing(Worker(tmp_path, at_hand=2)) as worker:
        for piece in pieces(EVENTS, 60):
            worker.feed(piece)
        end = worker.state.shelf.end
        worker.engine._at_hand = ALL
        worker.leave(range(end))
        assert lacks(worker.state, -1)
        assert lacks(worker.state, 0)
        assert not lacks(worker.state, end - 1)
        assert lacks(worker.state, end)


def lacks(state: State, place: int) -> bool:
    """Whether the shelf says that there is no such place."""
    try:
        state.shelf.read([place])
    except KeyError:
        return True
    return False
