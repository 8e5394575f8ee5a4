"""Facts and rebuild of several workers, without Kafka: exactly once, and the same to the digit."""

from __future__ import annotations

import random
from contextlib import closing
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from pipeline.agents.decode import decode_batch
from pipeline.batch import Delivery, RecordBatch
from pipeline.flush import Flush
from pipeline.join.engine import JoinEngine
from pipeline.rows import FactFile
from pipeline.storage.facts import FOLDER, list_files, next_portion, write_facts
from pipeline.storage.identity import claim
from pipeline.storage.rebuild import goal_of
from pipeline.storage.rebuild_several import begin_rebuild_of_several
from pipeline.storage.results import plain_rows, record_snapshot, verdicts
from pipeline.storage.shard import ShardState, open_shard
from pipeline.storage.state import State
from pipeline.storage.swap import BESIDE
from runtime.process import CannotRun
from schemas.codec import encode
from schemas.events import SubjectEvent
from schemas.topics import COHORT_DELTA, SUBJECT_PARTITIONS, topic_of
from tests.pipeline.storage.test_rebuild import VERDICT
from tests.pipeline.storage.test_sink import Partition, Sink, contents, counted_by_one, partition_of
from tests.support.join_crowd import crowd
from tests.support.worker import FakeRecord

EVENTS = crowd(random.Random(6), people=12)
KAFKA: dict[str, Any] = {"cluster_id": "one", "topic_ids": {}, "now_ms": 7}


def keep(state: ShardState, events: list[SubjectEvent], partition: int) -> None:
    """Store the bytes of events as a member does."""
    for event in events:
        topic = topic_of(event).name
        first = state.offsets().get((topic, partition), 0)
        batch = RecordBatch(topic, partition, first, first + 1, [FakeRecord(first, encode(event))])
        decoded = decode_batch(Delivery(batch, lambda: None), 0)
        state.commit(Flush([decoded], JoinEngine().take()), 0)


def write(state: ShardState, data: Path, partition: int, *, is_listed: bool = True) -> None:
    """One portion of files; killed before they are listed."""
    portion = next_portion(state)
    assert portion is not None
    files = write_facts(state.connection.cursor(), state.log, data, portion, 5, partition)
    if is_listed:
        list_files(state, portion, files)


def listed(state: State) -> list[FactFile]:
    """The list of files."""
    return [file for file in plain_rows(state)[FactFile] if isinstance(file, FactFile)]


def test_files_of_every_partition_are_listed_once_at_the_sink(tmp_path: Path) -> None:
    """Killed before listing, told twice: every event in one listed file, no file but those."""
    topic: list[bytes] = []
    shards = [open_shard(tmp_path, number, "w") for number in range(2)]
    for state in shards:
        state.keeps_facts = True
    for half in (EVENTS[::2], EVENTS[1::2]):
        for number, state in enumerate(shards):
            keep(state, [event for event in half if partition_of(event) == number], number)
            write(state, tmp_path, number, is_listed=False)
            keep(state, [event for event in half if partition_of(event) == number][:1], number)
            write(state, tmp_path, number)
            topic += [value for _, value in state.unpublished()] * 2
            state.published(state.deltas)
    sink = Sink(tmp_path)
    sink.read(topic, 40)
    sink.die()
    sink.read(topic, len(topic))
    files = listed(sink.state)
    assert {file.partition for file in files} == {0, 1}
    own = [event for event in EVENTS if partition_of(event) in {0, 1}]
    assert sum(file.events for file in files) == len(own) + 4
    on_disk = {
        p.relative_to(tmp_path / FOLDER).as_posix() for p in (tmp_path / FOLDER).rglob("*.*")
    }
    assert on_disk == {file.file for file in files}
    for name in {file.topic for file in files}:
        for number in (0, 1):
            ranges = {
                (f.first_position, f.next_position)
                for f in files
                if (f.topic, f.partition) == (name, number)
            }
            ends = [0, *sorted(end for _, end in ranges)]
            assert sorted(ranges) == list(pairwise(ends))


def count(data: Path, topic: list[bytes]) -> Sink:
    """Every partition counts its events, the sink what the delta topic gets from now on."""
    place = len(topic)
    for number in range(SUBJECT_PARTITIONS):
        partition = Partition(data, number, topic)
        partition.read(events=[e for e in EVENTS if partition_of(e) == number])
        partition.publish()
        partition.state.close()
    sink = Sink(data)
    sink._place = place
    sink.read(topic, len(topic))
    return sink


@pytest.fixture
def counted(tmp_path: Path) -> list[bytes]:
    """A folder that several have filled, and their delta topic (here one list)."""
    topic: list[bytes] = []
    sink = count(tmp_path, topic)
    claim(sink.state, tmp_path, ends={}, cluster_id="one", topic_ids={})
    record_snapshot(sink.state, [VERDICT])
    sink.state.close()
    (tmp_path / FOLDER).mkdir()
    return topic


def test_counted_again_every_figure_is_the_same(tmp_path: Path, counted: list[bytes]) -> None:
    """New chains, a goal, the verdicts kept; what the old chains have published counts no more."""
    ends = {(topic_of(EVENTS[0]).name, 0): 5, (COHORT_DELTA.name, 0): len(counted)}
    begin_rebuild_of_several(tmp_path, {}, ends, **KAFKA)
    sink = Sink(tmp_path)
    assert sink.state.offsets()[COHORT_DELTA.name, 0] == len(counted)
    assert goal_of(sink.state)[topic_of(EVENTS[0]).name, 0] == 5
    sink._place = len(counted)
    sink.read([*counted, counted[-1]], 1)  # a delta of an old chain that was on its way
    assert sink.state.foreign == 1
    counted.append(counted[-1])
    sink.state.close()
    with closing(open_shard(tmp_path, 0, "w")) as shard:
        assert (shard.deltas, shard.offsets()) == (1, {})
    again = count(tmp_path, counted)
    assert contents(again.state) == counted_by_one(tmp_path / "one", [], EVENTS)
    assert verdicts(again.state) == [VERDICT]
    kept = sorted(path.name for path in (tmp_path / BESIDE).iterdir())
    assert kept == ["facts", "shards", "sink"]


def test_what_kafka_no_longer_has_is_not_counted_again(
    tmp_path: Path, counted: list[bytes]
) -> None:
    """Retention has taken records, or it is another Kafka: everything stays as it is."""
    name = topic_of(EVENTS[0]).name
    place = next(n for n in range(3) if any(partition_of(e) == n for e in EVENTS))
    with pytest.raises(CannotRun, match="begins at 1"):
        begin_rebuild_of_several(tmp_path, {(name, place): 1}, {}, **KAFKA)
    with pytest.raises(CannotRun, match="belongs to Kafka cluster one"):
        begin_rebuild_of_several(tmp_path, {}, {}, **KAFKA | {"cluster_id": "two"})
    begin_rebuild_of_several(tmp_path, {(COHORT_DELTA.name, 0): 1}, {}, **KAFKA)
