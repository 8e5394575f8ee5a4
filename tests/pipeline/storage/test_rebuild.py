"""A rebuild keeps what Kafka cannot give back, and refuses what it could not count again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pipeline.rows import Verdict
from pipeline.storage.identity import claim
from pipeline.storage.lost import skip_lost
from pipeline.storage.rebuild import BESIDE, FACTS, begin_rebuild, goal_of, reach_goal
from pipeline.storage.results import gaps, progress, record_snapshot, verdicts
from pipeline.storage.state import FILE, open_state
from runtime.process import CannotRun
from tests.pipeline.storage.test_state import TOPIC, flush

KAFKA: dict[str, Any] = {"cluster_id": "one", "topic_ids": {TOPIC: "id-1"}}
START = {(TOPIC, 0): 0, (TOPIC, 1): 0}
END = {(TOPIC, 0): 10, (TOPIC, 1): 0}
VERDICT = Verdict(
    campaign_id="c",
    decided_at_ms=1,
    verdict="ship",
    variant_id="A",
    reason="r",
    evidence={},
    plan_hash="h",
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder whose worker has read ten records, reached a verdict and written facts."""
    state = open_state(tmp_path)
    claim(state, tmp_path, ends=END, **KAFKA)
    state.commit(flush(0, 10), 1)
    record_snapshot(state, [VERDICT])
    state.close()
    (tmp_path / FACTS).mkdir()
    return tmp_path


def test_it_starts_at_the_beginning_with_the_history(folder: Path) -> None:
    """No offset, no count; verdicts and the number of the snapshot go on; the old is beside."""
    begin_rebuild(folder, START, END, **KAFKA)
    state = open_state(folder)
    assert state.offsets() == {}
    assert progress(state).events_applied == 0
    assert (progress(state).snapshot, verdicts(state)) == (1, [VERDICT])
    assert goal_of(state) == {(TOPIC, 0): 10}
    reach_goal(state)
    assert goal_of(state) == {}
    state.close()
    assert sorted(path.name for path in folder.iterdir()) == [BESIDE, FILE]
    assert sorted(path.name for path in (folder / BESIDE).iterdir()) == [FACTS, FILE]
    old = open_state(folder / BESIDE)
    assert old.offsets() == {(TOPIC, 0): 10}


@pytest.mark.parametrize(
    ("beginnings", "kafka", "words"),
    [
        ({(TOPIC, 0): 3}, KAFKA, "begins at 3"),
        (START, KAFKA | {"cluster_id": "two"}, "cluster one"),
        (START, KAFKA | {"topic_ids": {TOPIC: "id-2"}}, "deleted and made again"),
    ],
)
def test_what_could_not_be_counted_again_is_refused(
    folder: Path, beginnings: dict[tuple[str, int], int], kafka: dict[str, Any], words: str
) -> None:
    """Retention has taken records, or it is another Kafka: the state stays as it is."""
    with pytest.raises(CannotRun, match=words):
        begin_rebuild(folder, beginnings, END, **kafka)
    assert open_state(folder).offsets() == {(TOPIC, 0): 10}


def test_a_state_that_began_late_may_be_rebuilt_from_there(tmp_path: Path) -> None:
    """What was never counted cannot be lost; the gap is the one that was met then."""
    state = open_state(tmp_path)
    assert skip_lost(state, {(TOPIC, 0): 5}, 77, {(TOPIC, 0): 66}) == 5
    state.commit(flush(5, 10), 1)
    state.close()
    begin_rebuild(tmp_path, {(TOPIC, 0): 5}, END, **KAFKA)
    fresh = open_state(tmp_path)
    skip_lost(fresh, {(TOPIC, 0): 5}, 99)
    (gap,) = gaps(fresh)
    assert (gap.missing, gap.seen_at_ms, gap.written_before_ms) == (5, 77, 66)
    assert fresh.offsets() == {(TOPIC, 0): 5}
    fresh.close()
    with pytest.raises(CannotRun, match="begins at 6"):
        begin_rebuild(folder_like(tmp_path, 5), {(TOPIC, 0): 6}, END, **KAFKA)


def folder_like(tmp_path: Path, beginning: int) -> Path:
    """Another folder whose state began at that offset."""
    state = open_state(tmp_path / "other")
    skip_lost(state, {(TOPIC, 0): beginning}, 77)
    state.commit(flush(beginning, 10), 1)
    state.close()
    return tmp_path / "other"


@pytest.mark.parametrize("damage", ["overwritten", "not a database"])
def test_a_broken_state_is_said_and_can_be_rebuilt(folder: Path, damage: str) -> None:
    """One sentence with the setting and the way out; the rebuild then works, the file is kept."""
    path = folder / FILE
    data = path.read_bytes()
    broken = {
        "overwritten": data[:4096] + b"\xff" * (len(data) - 4096),
        "not a database": b"hello",
    }[damage]
    path.write_bytes(broken)
    with pytest.raises(CannotRun, match=r"SMS_WORKER_DATA .* cannot be read .*--rebuild"):
        open_state(folder)
    assert path.read_bytes() == broken
    begin_rebuild(folder, START, END, **KAFKA)
    assert open_state(folder).offsets() == {}
    assert (folder / BESIDE / FILE).read_bytes() == broken


def test_another_layout_is_refused_untouched(folder: Path) -> None:
    """A file of another version is not changed, and a rebuild is the way out."""
    state = open_state(folder)
    state.connection.execute("UPDATE progress SET layout = 1")
    state.connection.execute("DROP TABLE goal")
    state.close()
    with pytest.raises(CannotRun, match=r"has layout 1, .*--rebuild"):
        open_state(folder)
    begin_rebuild(folder, START, END, **KAFKA)
    assert verdicts(open_state(folder)) == [VERDICT]


def test_a_log_that_begins_later_is_skipped_with_a_row(folder: Path) -> None:
    """Retention was faster than we: the loss is counted once, and reading goes on behind it."""
    state = open_state(folder)
    compacted = {("sms.campaign.definition.v1", 0): 9}
    beginnings = {(TOPIC, 0): 25, (TOPIC, 1): 0} | compacted
    assert skip_lost(state, beginnings, 77) == 15
    assert skip_lost(state, beginnings, 78) == 0
    found = state.connection.execute("FROM gaps").fetchall()
    assert found == [(TOPIC, 0, 10, 25, 15, 77, None, None)]
    assert state.offsets() == {(TOPIC, 0): 25}
    state.commit(flush(25, 30), 1)
