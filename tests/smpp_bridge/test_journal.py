"""The journal and the offsets: what is known after a crash."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smpp_bridge.adapters.journal import KEPT_DAYS, Answer, Journal, JournalInUse, part_key
from smpp_bridge.adapters.offsets import Offsets


def test_notes_survive_the_process(tmp_path: Path) -> None:
    """What was written is known to the next process."""
    journal = Journal(tmp_path, day=5)
    journal.note(part_key("m1/1"), "attempted")
    journal.note(part_key("m2/1"), "attempted")
    journal.note(part_key("m2/1"), "answered", Answer("accepted", 0, "id-2"))
    journal.note(part_key("m3/1"), "attempted")
    journal.note(part_key("m3/1"), "done")
    journal.note(part_key("m4/1"), "attempted")
    journal.note(part_key("m4/1"), "released")
    journal.close()
    after = Journal(tmp_path, day=5)
    kinds = {
        name: after.fate(part_key(f"{name}/1")).kind for name in ("m1", "m2", "m3", "m4", "m5")
    }
    assert kinds == {
        "m1": "attempted",
        "m2": "answered",
        "m3": "done",
        "m4": "new",
        "m5": "new",
    }
    assert after.fate(part_key("m2/1")).answer == Answer("accepted", 0, "id-2")


def test_a_torn_record_is_cut_off_and_the_file_goes_on(tmp_path: Path) -> None:
    """A crash in the middle of a write costs only what was never acted on."""
    journal = Journal(tmp_path, day=5)
    journal.note(part_key("m1/1"), "attempted")
    journal.note(part_key("m2/1"), "answered", Answer("accepted", 0, "id-2"))
    journal.close()
    path = tmp_path / "5.journal"
    path.write_bytes(path.read_bytes()[:-1])
    again = Journal(tmp_path, day=5)
    assert again.fate(part_key("m2/1")).kind == "new"
    again.note(part_key("m3/1"), "done")
    again.close()
    last = Journal(tmp_path, day=5)
    assert (last.fate(part_key("m1/1")).kind, last.fate(part_key("m3/1")).kind) == (
        "attempted",
        "done",
    )


def test_the_next_day_remembers_and_old_days_are_forgotten(tmp_path: Path) -> None:
    """Days are kept as long as requests can be read again, and no longer."""
    journal = Journal(tmp_path, day=5)
    journal.note(part_key("m1/1"), "done")
    journal.turn_day(6)
    assert journal.fate(part_key("m1/1")).kind == "done"
    journal.turn_day(5 + KEPT_DAYS)
    assert journal.fate(part_key("m1/1")).kind == "new"
    assert sorted(path.stem for path in tmp_path.glob("*.journal")) == ["6", str(5 + KEPT_DAYS)]


def test_a_step_back_never_commits_beyond_what_is_unfinished() -> None:
    """After a rebalance reading begins again lower: what was finished above is not the front."""
    offsets = Offsets()
    for offset in (100, 101):
        offsets.begin(offset)
    for offset in range(50, 102):
        offsets.begin(offset)
    offsets.finish(100)
    offsets.finish(101)
    assert offsets.committable() is None
    for offset in range(50, 100):
        offsets.finish(offset)
    assert offsets.committable() == 102


def test_two_processes_never_share_a_journal(tmp_path: Path) -> None:
    """Both would send the same messages; the lock goes with the process that holds it."""
    first = Journal(tmp_path, day=5)
    with pytest.raises(JournalInUse, match="another bridge"):
        Journal(tmp_path, day=5)
    first.close()
    Journal(tmp_path, day=5).close()


@given(st.permutations(range(8)))
def test_only_the_contiguous_front_is_committed(order: list[int]) -> None:
    """An offset is committable when every earlier one is finished, in whatever order."""
    offsets = Offsets()
    for offset in range(8):
        offsets.begin(offset)
    finished: set[int] = set()
    front = 0
    for offset in order:
        offsets.finish(offset)
        finished.add(offset)
        committable = offsets.committable()
        front = front if committable is None else committable
        assert front == next(n for n in range(9) if n not in finished)
