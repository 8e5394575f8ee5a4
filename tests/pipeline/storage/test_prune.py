"""Old facts deleted: no list ever names a file that is gone, wherever it stops."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import duckdb
import msgspec
import pytest

from pipeline.agents.decode import decode_batch
from pipeline.batch import Delivery, RecordBatch
from pipeline.flush import DecodedBatch, Flush
from pipeline.join.engine import JoinEngine
from pipeline.rows import Lag
from pipeline.snapshot import SERVE_FILE, draw, read, write
from pipeline.storage import prune
from pipeline.storage.facts import FOLDER, list_files, next_portion, write_facts
from pipeline.storage.prune import Pruned, prune_facts
from pipeline.storage.recount import recount_folder
from pipeline.storage.shard import open_shard, shard_folder
from pipeline.storage.sink import open_sink
from pipeline.storage.state import State, open_state
from pipeline.storage.swap import FolderLock
from runtime.process import CannotRun
from schemas.codec import encode
from schemas.events import SubjectEvent
from schemas.topics import CAMPAIGN_DEFINITION, JOINED_TOPICS, topic_of
from tests.support.processes import ROOT
from tests.support.worker import START_MS, FakeRecord, campaign_events, definition

DAY_MS = 86_400_000
"""2023-11-14 22:13:20 UTC is the begin of `campaign_events`."""
OLD, NEW, BEFORE = "c1", "c2", "2023-11-20"


def events_of(campaign_id: str, days: int) -> list[SubjectEvent]:
    """The same people in a campaign so many days later."""
    shift_ms = days * DAY_MS
    return [
        msgspec.structs.replace(event, occurred_at_ms=event.occurred_at_ms + shift_ms)
        for event in campaign_events(recipients=60, seed=days, campaign_id=campaign_id)
    ]


def count(state: State, engine: JoinEngine, events: Sequence[SubjectEvent]) -> None:
    """Join and store events, their bytes too."""
    first = state.offsets().get((CAMPAIGN_DEFINITION.name, 0), 0)
    defined = RecordBatch(CAMPAIGN_DEFINITION.name, 0, first, first + 2, [])
    definitions = [definition(campaign_id) for campaign_id in (OLD, NEW)]
    batches = [DecodedBatch(Delivery(defined, lambda: None), definitions=definitions)]
    for topic in JOINED_TOPICS:
        values = [encode(event) for event in events if topic_of(event) is topic]
        first = state.offsets().get((topic.name, 0), 0)
        records = [FakeRecord(first + n, value) for n, value in enumerate(values)]
        batch = RecordBatch(topic.name, 0, first, first + len(values), records)
        batches.append(decode_batch(Delivery(batch, lambda: None), 0))
    for each in batches:
        engine.apply(each.subject_events)
    state.commit(Flush(batches, engine.take()), START_MS)


def export(state: State, folder: Path, partition: int | None = None) -> None:
    """Write and list what waits."""
    portion = next_portion(state)
    assert portion is not None
    files = write_facts(state.connection.cursor(), state.log, folder, portion, 5, partition)
    list_files(state, portion, files)


def publish(state: State, folder: Path) -> None:
    """A snapshot that knows of nothing that waits."""
    lags = [
        Lag(topic=topic, partition=partition, next_offset=end, end_offset=end)
        for (topic, partition), end in state.offsets().items()
    ]
    picture = draw(read(state), START_MS + 30 * DAY_MS)
    write(folder, picture, lags, now_ms=START_MS, is_broker_in_memory=False)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A worker's folder with a campaign in November's first half and one ten days later."""
    engine = JoinEngine()
    with closing(open_state(tmp_path)) as state:
        state.keeps_facts = True
        for campaign_id, days in ((OLD, 0), (NEW, 10)):
            engine.define(definition(campaign_id))
            count(state, engine, events_of(campaign_id, days))
            export(state, tmp_path)
        publish(state, tmp_path)
    assert recount_folder(tmp_path).agrees
    return tmp_path


def listed(path: Path) -> set[str]:
    """The files that a database names."""
    with duckdb.connect(path, read_only=True) as connection:
        return {file for (file,) in connection.execute("SELECT file FROM fact_files").fetchall()}


def on_disk(folder: Path) -> set[str]:
    """The files there are."""
    root = folder / FOLDER
    return {path.relative_to(root).as_posix() for path in root.rglob("*.parquet")}


def kind_of(file: str) -> str:
    """The folder of a file's kind."""
    return file.split("/", maxsplit=1)[0]


def day_of(file: str) -> str:
    """The day in a file's path."""
    return file.split("/")[1].removeprefix("day=")


def test_what_is_left_is_listed_and_can_be_counted_again(folder: Path) -> None:
    """Totals stay; whoever was assigned since then is counted from the files as before."""
    whole = recount_folder(folder)
    everything = on_disk(folder)
    old = {file for file in everything if day_of(file) < BEFORE}
    assert 0 < len(old) < len(everything)
    told = prune_facts(folder, BEFORE, is_trial=True)
    assert on_disk(folder) == listed(folder / SERVE_FILE) == everything
    assert prune_facts(folder, BEFORE, is_trial=False) == told
    assert (told.files, told.days) == (len(old), len({day_of(file) for file in old}))
    left = everything - old
    assert on_disk(folder) == listed(folder / SERVE_FILE) == listed(folder / "state.duckdb") == left
    assert not any((folder / FOLDER).rglob("day=2023-11-14"))
    found = recount_folder(folder)
    assert found.agrees
    assert found.since == BEFORE
    assert found.cohorts + found.left_out == whole.cohorts
    assert min(found.cohorts, found.left_out) > 0
    assert prune_facts(folder, BEFORE, is_trial=False) == Pruned(0, 0, 0)


def test_the_next_snapshot_says_so_too(folder: Path) -> None:
    """The worker goes on with what is left, and a figure that differs is still found."""
    prune_facts(folder, BEFORE, is_trial=False)
    with closing(open_state(folder)) as state:
        publish(state, folder)
        assert recount_folder(folder).since == BEFORE
        state.connection.execute("UPDATE cohorts SET clicked = clicked + 1")
        publish(state, folder)
    found = recount_folder(folder)
    assert not found.agrees
    assert {each.cohort[0] for each in found.differences} == {NEW}


def test_the_last_file_of_a_kind_stays(folder: Path) -> None:
    """It says how far the files go; without it everything would seem to wait for a file."""
    prune_facts(folder, "2024-01-01", is_trial=False)
    assert len(on_disk(folder)) == len(listed(folder / SERVE_FILE)) >= len(JOINED_TOPICS)
    found = recount_folder(folder)
    assert (found.agrees, found.cohorts, found.waiting) == (True, 0, 0)


@pytest.mark.parametrize("step", ["_unlist", "_publish", "_remove", "_tell_members"])
@pytest.mark.parametrize("has_worked", [False, True])
def test_stopped_anywhere_it_can_be_asked_again(
    folder: Path, monkeypatch: pytest.MonkeyPatch, step: str, *, has_worked: bool
) -> None:
    """No list names a file that is gone; a worker may work in between; then the rest is done."""
    with monkeypatch.context() as broken:
        broken.setattr(prune, step, _fail)
        with pytest.raises(OSError, match="full"):
            prune_facts(folder, BEFORE, is_trial=False)
    assert listed(folder / SERVE_FILE) <= on_disk(folder)
    assert recount_folder(folder).agrees
    if has_worked:
        with closing(open_state(folder)) as state:
            publish(state, folder)
            state.keeps_facts = True
            count(state, JoinEngine(), [])
            export(state, folder)
    assert listed(folder / "state.duckdb") <= on_disk(folder)
    prune_facts(folder, BEFORE, is_trial=False)
    left = on_disk(folder)
    assert left == listed(folder / SERVE_FILE) == listed(folder / "state.duckdb")
    assert min(map(day_of, left)) >= BEFORE
    assert recount_folder(folder).since == BEFORE


def test_killed_in_the_snapshot_it_can_be_asked_again(folder: Path) -> None:
    """What a SIGKILL leaves of the copy and its WAL is removed, though a worker published since."""
    code = (
        "import os, sys, pathlib\n"
        "from pipeline.storage import prune\n"
        "class Dying(dict):\n"
        "    def __getitem__(self, name):\n"
        "        return os._exit(9) if name == 'unlist_named' else super().__getitem__(name)\n"
        "prune._SQL = Dying(prune._SQL)\n"
        "prune.prune_facts(pathlib.Path(sys.argv[1]), sys.argv[2], is_trial=False)"
    )
    command = [sys.executable, "-c", code, str(folder), BEFORE]
    killed = subprocess.run(command, cwd=ROOT, check=False)
    assert killed.returncode == 9
    assert list(folder.glob(".prune-*/*.wal"))
    with closing(open_state(folder)) as state:
        publish(state, folder)
    prune_facts(folder, BEFORE, is_trial=False)
    assert not list(folder.glob(".*prune*"))
    assert listed(folder / SERVE_FILE) == on_disk(folder)


def _fail(*_: object) -> None:
    raise OSError("the disk is full")


def test_of_several_workers_every_list_is_shortened(tmp_path: Path) -> None:
    """What the sink lists goes; what it was not told of yet stays until it was."""
    with closing(open_shard(tmp_path, 0, "w")) as shard, closing(open_sink(tmp_path)) as sink:
        shard.keeps_facts = True
        for days, is_told in ((0, True), (1, False), (10, False)):
            count(shard, JoinEngine(), events_of(OLD, days))
            export(shard, tmp_path, 0)
            if is_told:
                told = shard_files(shard)
                sink.run("fact_files", shard.connection.sql("FROM fact_files").to_arrow_table())
        sink.run(
            "fact_files",
            shard.connection.sql("FROM fact_files WHERE \"day\" > '2023-11-23'").to_arrow_table(),
        )
        everything = shard_files(shard)
        kinds = {kind_of(file) for file in shard_files(sink) - told}
    told = {file for file in told if kind_of(file) in kinds}
    assert len(told) > 2
    assert prune_facts(tmp_path, BEFORE, is_trial=False).files == len(told)
    assert on_disk(tmp_path) == everything - told
    with closing(open_state(shard_folder(tmp_path, 0))) as state:
        assert shard_files(state) == everything - told
    with closing(open_sink(tmp_path)) as sink:
        assert shard_files(sink) <= everything - told


def shard_files(state: State) -> set[str]:
    """The files that a database lists."""
    return {f for (f,) in state.connection.execute("SELECT file FROM fact_files").fetchall()}


def test_nobody_may_count_meanwhile(folder: Path) -> None:
    """A worker in the folder, or a folder that is none: a sentence, and nothing is deleted."""
    everything = on_disk(folder)
    with closing(FolderLock(folder)), pytest.raises(CannotRun, match="Stop it"):
        prune_facts(folder, BEFORE, is_trial=False)
    assert on_disk(folder) == everything
    with pytest.raises(CannotRun, match="no state of a worker"):
        prune_facts(folder / FOLDER, BEFORE, is_trial=True)
