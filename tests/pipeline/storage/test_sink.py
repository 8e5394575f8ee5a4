"""Several shards and a sink hold what one database holds, whatever is killed and repeated."""

from __future__ import annotations

import random
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import pyarrow as pa
import pytest

from pipeline.batch import Delivery, RecordBatch
from pipeline.delta_log import DeltaGapError
from pipeline.flush import DecodedBatch, Flush
from pipeline.join.cohorts import VECTOR
from pipeline.join.engine import JoinEngine
from pipeline.rows import FactFile, Lag
from pipeline.storage import change
from pipeline.storage.change import Change, travelling
from pipeline.storage.restore import restore
from pipeline.storage.results import gaps, record_snapshot
from pipeline.storage.shard import FORGOTTEN_EVERY, ShardState, open_shard
from pipeline.storage.sink import open_sink
from pipeline.storage.state import LockedError, State, open_state
from pipeline.storage.unite import unite
from schemas.codec import decode, encode
from schemas.events import CampaignDefined, CohortDelta, SubjectEvent
from schemas.topics import CAMPAIGN_DEFINITION, COHORT_DELTA, SUBJECT_PARTITIONS, topic_of
from tests.support.flushes import flush
from tests.support.join_crowd import crowd, crowd_definitions
from tests.support.processes import ROOT
from tests.support.worker import FakeRecord

PARTITIONS = 3
COHORTS = (
    f"SELECT campaign_id, variant_id, cohort_start_ms, dimension, value, {', '.join(VECTOR)} "  # noqa: S608 - names are ours
    f"FROM cohorts WHERE {' OR '.join(f'{name} <> 0' for name in VECTOR)} ORDER BY ALL"
)
TABLES = (
    COHORTS,
    "FROM deliverability WHERE receipts <> 0 ORDER BY ALL",
    "FROM receipt_latency WHERE parts <> 0 ORDER BY ALL",
    "FROM activity WHERE events <> 0 ORDER BY ALL",
    "FROM join_health WHERE double_assigned <> 0 OR receipts <> 0 ORDER BY ALL",
    "FROM unmatched_receipts ORDER BY ALL",
    "SELECT events_applied, duplicates_ignored, watermark_ms FROM progress",
)


def partition_of(event: SubjectEvent) -> int:
    """Everything about a person in one partition."""
    return int(event.subject[1:]) % PARTITIONS


class Partition:
    """A partition's topics, its owner and what the owner has put on the delta topic."""

    def __init__(self, data: Path, number: int, topic: list[bytes]) -> None:
        self._data = data
        self._number = number
        self._topic = topic
        self._offsets: dict[str, int] = {}
        self.open()

    def open(self) -> None:
        """Take the partition over: publish what is left, restore."""
        self.state = open_shard(self._data, self._number, "w")
        self._engine = JoinEngine()
        restore(self.state, self._engine)
        self._offsets = {topic: end for (topic, _), end in self.state.offsets().items()}

    def die(self) -> None:
        """As a SIGKILL after the transaction, before anything was published."""
        self.state.close()
        self.open()
        self.publish()

    def read(
        self,
        definitions: Sequence[CampaignDefined] = (),
        events: Sequence[SubjectEvent] = (),
        lost: int = 0,
    ) -> None:
        """Store one flush."""
        batches = [
            DecodedBatch(self._delivery(CAMPAIGN_DEFINITION.name, 1, 0), definitions=[each])
            for each in definitions
        ]
        for each in definitions:
            self._engine.define(each)
        self._engine.apply(events)
        batches += [
            DecodedBatch(
                self._delivery(topic_of(event).name, 1, lost),
                subject_events=[event],
                lines=encode(event),
            )
            for event in events
        ]
        self.state.commit(Flush(batches, self._engine.take()), 10**13)

    def publish(self, *, is_known: bool = True) -> None:
        """Publish the outbox; `is_known`: the owner lives to see the answer."""
        for sequence, value in self.state.unpublished():
            self._topic.append(value)
            if is_known:
                self.state.published(sequence)

    def _delivery(self, topic: str, records: int, lost: int) -> Delivery:
        first = self._offsets.get(topic, 0)
        self._offsets[topic] = first + records + lost
        kept = [FakeRecord(first + lost + n, b"", 1111) for n in range(records)]
        place = 0 if topic == CAMPAIGN_DEFINITION.name else self._number
        batch = RecordBatch(topic, place, first, first + records + lost, kept)
        return Delivery(batch, lambda: None)


class Sink:
    """The sink and how far it has read the delta topic (here one list)."""

    def __init__(self, data: Path) -> None:
        self._data = data
        self._place = 0
        self.state = open_sink(data)

    def read(self, topic: Sequence[bytes], count: int) -> None:
        """Apply the next records in one transaction."""
        values = topic[self._place : self._place + count]
        if values:
            self.state.commit(delta_flush(values, self._place), 10**13)
            self._place += len(values)

    def die(self) -> None:
        """Close and open again."""
        self.state.close()
        self.state = open_sink(self._data)


def delta_flush(values: Sequence[bytes], first: int) -> Flush:
    """Records of the delta topic as the sink gets them."""
    deltas = [event for value in values if isinstance(event := decode(value), CohortDelta)]
    records = [FakeRecord(first + n, value) for n, value in enumerate(values)]
    batch = RecordBatch(COHORT_DELTA.name, 0, first, first + len(values), records)
    return Flush([DecodedBatch(Delivery(batch, lambda: None), deltas=deltas)], JoinEngine().take())


def contents(state: State) -> list[list[tuple[object, ...]]]:
    """Everything that a snapshot is drawn from."""
    return [state.connection.execute(query).fetchall() for query in TABLES]


def counted_by_one(
    data: Path, definitions: Sequence[CampaignDefined], events: Sequence[SubjectEvent]
) -> list[list[tuple[object, ...]]]:
    """What one worker holds that reads everything."""
    engine = JoinEngine()
    for each in definitions:
        engine.define(each)
    engine.apply(events)
    with closing(open_state(data)) as state:
        state.commit(Flush([], engine.take()), 10**13)
        return contents(state)


def pieces_of(rng: random.Random, events: list[SubjectEvent]) -> Iterator[list[SubjectEvent]]:
    """Some at a time."""
    while events:
        count = rng.randrange(1, 120)
        yield events[:count]
        del events[:count]


@pytest.mark.parametrize("seed", range(3))
def test_shards_and_sink_equal_one_worker(
    tmp_path: Path, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Owners and sink die anywhere, deltas repeat and come in pieces: not a digit differs."""
    monkeypatch.setattr(change, "PIECE_BYTES", 2_000)
    rng = random.Random(seed)
    definitions, events = crowd_definitions(rng), crowd(rng, people=80)
    topic: list[bytes] = []
    partitions = [Partition(tmp_path, number, topic) for number in range(PARTITIONS)]
    sink = Sink(tmp_path)
    for partition in partitions:
        partition.read(definitions[:1])
    for some in pieces_of(rng, list(events)):
        for number, partition in enumerate(partitions):
            partition.read(events=[e for e in some if partition_of(e) == number])
            partition.publish(is_known=rng.random() < 0.5)
            if rng.random() < 0.2:
                partition.die()
        sink.read(topic, rng.randrange(20))
        if rng.random() < 0.2:
            sink.die()
    for partition in partitions:
        partition.read(definitions[1:])
        partition.publish()
    sink.read(topic, len(topic))
    assert contents(sink.state) == counted_by_one(tmp_path / "one", definitions, events)
    assert [s.definitions_offset for s in sink.state.shards()] == [len(definitions)] * PARTITIONS
    assert any(isinstance(e := decode(value), CohortDelta) and e.pieces > 1 for value in topic)


def test_source_offsets_arrive_with_the_totals(tmp_path: Path) -> None:
    """The sink knows how far every partition was counted, holes of retention included."""
    topic: list[bytes] = []
    partition = Partition(tmp_path, 2, topic)
    events = [e for e in crowd(random.Random(1), people=20) if partition_of(e) == 2]
    partition.read(events=events[:1], lost=7)
    partition.publish()
    sink = Sink(tmp_path)
    record_snapshot(sink.state, [], 1234)
    sink.read(topic, 9)
    name = topic_of(events[0]).name
    assert sink.state.offsets()[name, 2] == 8
    (gap,) = gaps(sink.state)
    assert (gap.partition, gap.missing) == (2, 7)
    assert (gap.written_after_ms, gap.written_before_ms) == (1234, 1111)


@pytest.mark.parametrize("order", [1, -1])
def test_a_gap_that_an_older_member_tells_is_of_unknown_time(tmp_path: Path, order: int) -> None:
    """Applied alone or together with those of newer members."""
    columns: dict[str, list[object]] = {"topic": ["t"], "next_offset": [9], "missing": [9]}
    columns |= {"partition": [0], "first_offset": [0], "seen_at_ms": [77]}
    newer = columns | {"partition": [1], "written_before_ms": [66]}
    third = columns | {"partition": [2]}
    changes = [
        Change(0, 0, 0, 0, travelling({"gaps": pa.table(each)})) for each in (columns, newer, third)
    ]
    state = Sink(tmp_path).state
    for united in (unite(changes[:2][::order]), unite(changes[2:])):
        state.run("gaps", united["gaps"])
    found = {gap.partition: gap.written_before_ms for gap in gaps(state)}
    assert found == {0: None, 1: 66, 2: None}


def test_the_outbox_forgets_what_kafka_has(tmp_path: Path) -> None:
    """Published deltas leave with a later flush; an unpublished one is never dropped."""
    partition = Partition(tmp_path, 0, [])
    for _ in range(FORGOTTEN_EVERY - 2):
        partition.read()
    partition.publish()
    assert partition.state.unpublished() == []
    for _ in range(FORGOTTEN_EVERY):
        partition.read()
    rows = partition.state.connection.execute("SELECT sequence FROM outbox").fetchall()
    waiting = [FORGOTTEN_EVERY - 1 + number for number in range(FORGOTTEN_EVERY)]
    assert rows == [(sequence,) for sequence in waiting]
    assert [sequence for sequence, _ in partition.state.unpublished()] == waiting


def test_a_delta_that_was_not_stored_is_not_told(tmp_path: Path) -> None:
    """Its flush is read again and gets the same number; two deltas of one number would differ."""
    file = FactFile(
        file="f", topic="t", day="d", events=1, first_position=0, next_position=1, written_at_ms=1
    )

    def fill_disk(state: ShardState) -> None:
        with state.transaction():
            state.tell_files([file], 1)
            raise OSError("disk full")

    with closing(open_shard(tmp_path, 0, "w")) as state:
        state.commit(flush(5, 6, deltas=JoinEngine().take()), 1)
        with pytest.raises(OSError, match="disk full"):
            fill_disk(state)
        assert [sequence for sequence, _ in state.unpublished()] == [1]
        state.commit(flush(6, 7, deltas=JoinEngine().take()), 1)
        assert [sequence for sequence, _ in state.unpublished()] == [1, 2]


def test_a_lost_delta_stops_the_sink_and_changes_nothing(tmp_path: Path) -> None:
    """What follows a hole is not stored, nor is its offset: the next start stops there again."""
    topic: list[bytes] = []
    partition = Partition(tmp_path, 0, topic)
    for _ in range(3):
        partition.read()
        partition.publish()
    sink = Sink(tmp_path)
    sink.read(topic, 1)
    with pytest.raises(DeltaGapError, match="delta 3 came after 1"):
        sink.state.commit(delta_flush(topic[2:], 1), 1)
    assert sink.state.offsets() == {(COHORT_DELTA.name, 0): 1}


def test_another_chain_is_not_counted(tmp_path: Path) -> None:
    """A worker in a folder of its own counts the same partition: its deltas are left out."""
    topic: list[bytes] = []
    own, other = (Partition(tmp_path / name, 0, topic) for name in ("own", "other"))
    events = [e for e in crowd(random.Random(2), people=5) if partition_of(e) == 0]
    for each in (own, other):
        each.read(events=events)
        each.publish()
    sink = Sink(tmp_path)
    sink.read(topic, 9)
    assert sink.state.foreign == 1
    assert contents(sink.state) == counted_by_one(tmp_path / "one", [], events)


def test_a_partition_has_one_owner(tmp_path: Path) -> None:
    """While one process has the file, no other gets it; when that is killed, the next does."""
    code = (
        "import sys, time, pathlib; from pipeline.storage.shard import open_shard\n"
        "held = open_shard(pathlib.Path(sys.argv[1]), 0, 'w'); print('open', flush=True)\n"
        "time.sleep(60)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, cwd=ROOT
    ) as owner:
        assert owner.stdout is not None
        owner.stdout.readline()
        try:
            with pytest.raises(LockedError):
                open_shard(tmp_path, 0, "other")
        finally:
            owner.kill()
    open_shard(tmp_path, 0, "other", wait_s=5.0).close()


def lag(partition: int, waiting: int) -> Lag:
    """Of one topic of a partition."""
    topic = "sms.message.receipt.v1"
    return Lag(topic=topic, partition=partition, next_offset=0, end_offset=waiting)


def test_the_slowest_partition_that_waits_decides_the_time(tmp_path: Path) -> None:
    """Others may be at the present: nobody matures before the outcomes of all are counted."""
    topic: list[bytes] = []
    events = crowd(random.Random(3), people=30)
    for number in range(2):
        partition = Partition(tmp_path, number, topic)
        partition.read(events=[e for e in events if partition_of(e) == number])
        partition.publish()
    sink = Sink(tmp_path)
    sink.read(topic, 9)
    first, second = (shard.watermark_ms for shard in sink.state.shards())
    assert first != second
    now = 10**14
    assert sink.state.watermark_ms([lag(0, 0), lag(1, 0)], now) == now
    assert sink.state.watermark_ms([lag(0, 0), lag(1, 5)], now) == second
    assert sink.state.watermark_ms([lag(0, 5), lag(1, 5)], now) == min(first, second)
    assert sink.state.watermark_ms([lag(2, 5)], now) == 0, "it was never counted"
    assert sink.state.watermark_ms(None, now) == min(first, second)


def test_no_picture_while_a_partition_counts_under_older_definitions(tmp_path: Path) -> None:
    """Cohorts cut by two rules are of no use: what was published stays."""
    topic: list[bytes] = []
    definitions = crowd_definitions(random.Random(4))[:1]
    partitions = [Partition(tmp_path, number, topic) for number in range(SUBJECT_PARTITIONS)]
    sink = Sink(tmp_path)
    batch = RecordBatch(CAMPAIGN_DEFINITION.name, 0, 0, 1, [FakeRecord(0, b"")])
    decoded = DecodedBatch(Delivery(batch, lambda: None), definitions=definitions)
    sink.state.commit(Flush([decoded], JoinEngine().take()), 1)
    for partition in partitions:
        assert sink.state.watermark_ms([], 5) is None
        partition.read(definitions)
        partition.publish()
        sink.read(topic, 1)
    assert sink.state.watermark_ms([], 5) == 5
