"""The private database: all of a flush or nothing, and it refuses what does not fit."""

from __future__ import annotations

import random
import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import duckdb
import msgspec
import pyarrow as pa
import pytest

from pipeline.batch import Delivery, LostRecordsError, RecordBatch
from pipeline.flush import DecodedBatch, Flush, RejectedRecord
from pipeline.join.cohorts import VECTOR
from pipeline.join.deltas import Deltas, Retired
from pipeline.join.engine import JoinEngine
from pipeline.join.facts import Inbound, News, Submit
from pipeline.rows import DeadLetter, ReceiptLatency, UnmatchedReceipt
from pipeline.storage import history
from pipeline.storage.log_rows import NEWS_CODEC
from pipeline.storage.lost import skip_lost
from pipeline.storage.restore import compact, restore
from pipeline.storage.results import (
    allocations,
    connections,
    gaps,
    plain_rows,
    record_snapshot,
)
from pipeline.storage.state import FORGET_EVERY_MS, FORGOTTEN_AT_ONCE, State, open_state
from pipeline.storage.statements import LAYOUT
from runtime.process import CannotRun
from schemas.codec import encode
from schemas.events import AllocationChanged
from tests.support.worker import FakeRecord, connection_report

TOPIC = "sms.message.receipt.v1"
KEY = ("c", "A", 0, 3_600_000, "", "")


def flush(
    first: int = 0,
    following: int = 10,
    *,
    topic: str = TOPIC,
    records: int | None = None,
    rejected: tuple[RejectedRecord, ...] = (),
    **deltas: object,
) -> Flush:
    """A flush of one batch with chosen deltas."""
    count = following - first if records is None else records
    offsets = range(following - count, following)
    kept = [FakeRecord(offset, b"", 1000 + offset) for offset in offsets]
    batch = RecordBatch(topic, 0, first, following, kept)
    empty: dict[str, object] = {
        "cohorts": {},
        "deliverability": {},
        "health": {},
        "activity": {},
        "unmatched": {},
        "news": [],
        "applied": count,
        "duplicates": 0,
        "watermark_ms": 0,
    }
    decoded = DecodedBatch(Delivery(batch, lambda: None), rejected=rejected)
    return Flush([decoded], Deltas(**(empty | deltas)))


def test_deltas_add_up_exactly_beyond_64_bits(tmp_path: Path) -> None:
    """Sums of products are exact far above 2^63, over several flushes and signs."""
    state = open_state(tmp_path)
    big = 10**30 + 7
    vector = [0] * len(VECTOR)
    vector[VECTOR.index("assigned")] = 3
    vector[VECTOR.index("sum_rr")] = big
    state.commit(flush(cohorts={KEY: vector}), 1)
    state.commit(flush(10, 20, cohorts={KEY: vector}), 1)
    state.commit(flush(20, 30, cohorts={KEY: [-n for n in vector]}), 1)
    assert state.connection.execute("SELECT assigned, sum_rr FROM cohorts").fetchall() == [(3, big)]


def test_a_failed_flush_leaves_nothing(tmp_path: Path) -> None:
    """When the last statement of a flush fails, no earlier one and no offset is stored."""
    state = open_state(tmp_path)
    state.commit(flush(deliverability={("x", 0, "DELIVERED", ""): 1}), 1)
    state.connection.execute("DROP TABLE offsets")
    state.connection.execute("CREATE TABLE offsets (topic VARCHAR)")
    with pytest.raises(duckdb.Error):
        state.commit(flush(10, 20, deliverability={("x", 0, "DELIVERED", ""): 1}), 1)
    rows = state.connection.execute("SELECT receipts FROM deliverability").fetchall()
    assert rows == [(1,)]
    assert state.sequence == 1


@pytest.mark.parametrize("first", [9, 11, 0])
def test_a_range_must_start_at_the_stored_offset(tmp_path: Path, first: int) -> None:
    """A batch that overlaps what is stored, or leaves something out, is refused whole."""
    state = open_state(tmp_path)
    state.commit(flush(0, 10), 1)
    with pytest.raises(LostRecordsError):
        state.commit(flush(first, 20), 1)
    assert state.offsets() == {(TOPIC, 0): 10}


def test_a_hole_in_kafka_is_recorded(tmp_path: Path) -> None:
    """Records that retention removed before they were read leave a row in `gaps`."""
    state = open_state(tmp_path)
    state.commit(flush(0, 10), 1)
    state.commit(flush(10, 30, records=5), 77)
    rows = state.connection.execute("FROM gaps").fetchall()
    assert rows == [(TOPIC, 0, 10, 30, 15, 77, None, 1025)]


@pytest.mark.parametrize(
    ("kept", "left_ms", "before_ms"),
    [
        ({10: 5, 11: 6, 14: 7, 15: 9, 19: 8}, None, 8),
        ({13: 5, 14: 7, 15: 6, 16: 6, 17: 6, 18: 6, 19: 6}, None, 5),
        ({13: 5, 14: 7}, 99, 99),
        ({18: -1, 19: 6}, None, None),
        ({}, 99, 99),
        ({}, None, None),
        ({}, 0, 0),
    ],
)
def test_the_record_behind_the_last_hole_says_before_when_it_was_written(
    tmp_path: Path, kept: dict[int, int], left_ms: int | None, before_ms: int | None
) -> None:
    """By Kafka's time; what has none, or is followed by nothing, may be of any time."""
    records = [FakeRecord(offset, b"", at_ms) for offset, at_ms in kept.items()]
    batch = RecordBatch(TOPIC, 0, 10, 20, records, left_ms=left_ms)
    state = open_state(tmp_path)
    decoded = DecodedBatch(Delivery(batch, lambda: None))
    state.commit(Flush([decoded], flush(records=0).deltas), 1)
    assert [gap.written_before_ms for gap in gaps(state)] == [before_ms]


def test_what_was_gone_at_the_start_says_before_when_it_was_written(tmp_path: Path) -> None:
    """By the oldest record left, where there is one."""
    state = open_state(tmp_path)
    skip_lost(state, {(TOPIC, 0): 5, (TOPIC, 1): 6}, 60, {(TOPIC, 1): 44})
    assert [(gap.partition, gap.written_before_ms) for gap in gaps(state)] == [(0, None), (1, 44)]


def test_a_gap_says_when_everything_had_been_read(tmp_path: Path) -> None:
    """What is missing was written after that; a later moment never replaces an earlier gap's."""
    state = open_state(tmp_path)
    state.commit(flush(0, 10), 1)
    for caught_up_ms in (None, 50, None, 40):
        record_snapshot(state, [], caught_up_ms)
    assert skip_lost(state, {(TOPIC, 1): 5}, 60) == 5
    record_snapshot(state, [], 70)
    state.commit(flush(10, 30, records=5), 77)
    rows = state.connection.execute("SELECT seen_at_ms, written_after_ms FROM gaps").fetchall()
    assert rows == [(60, 50), (77, 70)]
    state.close()
    assert [gap.written_after_ms for gap in gaps(open_state(tmp_path))] == [70, 50]


def test_a_file_of_layout_five_is_taken_over(tmp_path: Path) -> None:
    """Its gaps stay, of unknown begin and end; people put aside are as if they had just been."""
    state = open_state(tmp_path)
    state.commit(flush(5, 30, records=5), 77)
    put_aside(state, 1, 40)
    columns = ("gaps.written_after_ms", "gaps.written_before_ms")
    for column in (*columns, "progress.caught_up_ms", "history.aside_ms"):
        table, name = column.split(".")
        state.connection.execute(f"ALTER TABLE {table} DROP COLUMN {name}")
    state.connection.execute("UPDATE progress SET layout = 5")
    state.close()
    state = open_state(tmp_path)
    assert [(gap.written_after_ms, gap.written_before_ms) for gap in gaps(state)] == [(None, None)]
    record_snapshot(state, [], 9)
    assert state.connection.execute("SELECT aside_ms FROM history").fetchall() == [(40,)]
    assert state.offsets() == {(TOPIC, 0): 31}


def test_a_hole_of_compaction_is_not_a_gap(tmp_path: Path) -> None:
    """Compacted topics have holes by nature."""
    state = open_state(tmp_path)
    state.commit(flush(0, 30, topic="sms.campaign.definition.v1", records=5), 1)
    assert state.connection.execute("FROM gaps").fetchall() == []


def test_resolved_receipts_leave_the_table(tmp_path: Path) -> None:
    """An unmatched receipt is listed until its submit is known."""
    state = open_state(tmp_path)
    row = UnmatchedReceipt(
        connection="x",
        smsc_message_id="1",
        subject="k1.s",
        state="DELIVERED",
        received_at_ms=1,
        reason="r",
    )
    state.commit(flush(unmatched={"e1": row, "e2": row}), 1)
    state.commit(flush(10, 20, unmatched={"e1": None}), 1)
    rows = state.connection.execute("SELECT event_id FROM unmatched_receipts").fetchall()
    assert rows == [("e2",)]


def test_dead_letters_and_old_activity(tmp_path: Path) -> None:
    """Rejected records get a row; activity older than two hours goes."""
    state = open_state(tmp_path)
    row = DeadLetter(topic=TOPIC, partition=0, record_offset=3, reason="r", seen_at_ms=9)
    state.commit(flush(rejected=(RejectedRecord(row, b"x"),), activity={(0, TOPIC): 4}), 1)
    newer = {(1_700_000, TOPIC): 1, (9_000_000, TOPIC): 2}
    state.commit(flush(10, 20, activity=newer), 9_000_000)
    assert state.connection.execute("FROM dead_letters").fetchall() == [(TOPIC, 0, 3, "r", 9)]
    assert state.connection.execute("FROM activity").fetchall() == [(9_000_000, TOPIC, 2)]


def test_the_log_is_replayed_and_compacted(tmp_path: Path) -> None:
    """After a restart everybody is at hand who was not put aside; the log shrinks to them."""
    state = open_state(tmp_path)
    stay, go = (
        ("k1.s", "i1", Inbound(5, is_opt_out=False)),
        ("k1.t", "i2", Inbound(6, is_opt_out=False)),
    )
    for place in range(5):
        news: list[News] = [stay, go, ("k1.t", "", None)]
        state.commit(flush(place * 10, place * 10 + 10, news=news), 1)
    state.close()
    for rows in (1, 1):
        state = open_state(tmp_path)
        engine = JoinEngine()
        assert restore(state, engine) == 1
        assert list(engine.everything()) == [stay]
        assert not compact(state, engine)
        logged = state.connection.execute("SELECT facts FROM state_log").fetchall()
        assert logged == [(rows,)]
        state.close()


def test_a_log_of_facts_without_a_group_is_read_on(tmp_path: Path) -> None:
    """A database of layout 5 becomes ours, which a program that knows no groups refuses."""
    state = open_state(tmp_path)
    body = msgspec.msgpack.encode(
        [("k1.s", "s1", ["s", 5, "m", 1, "accepted", "op", "77", 1, None])]
    )
    packed = pa.compress(body, codec=NEWS_CODEC, asbytes=True)
    state.connection.execute(
        'INSERT INTO state_log ("sequence", facts, size, body) VALUES (0, 1, ?, ?)',
        [len(body), packed],
    )
    state.connection.execute("UPDATE progress SET layout = 5")
    state.close()
    state, engine = open_state(tmp_path), JoinEngine()
    assert restore(state, engine) == 1
    submit = Submit(5, "m", 1, "accepted", "op", "77", 1, None)
    assert list(engine.everything()) == [("k1.s", "s1", submit)]
    ((layout,),) = state.connection.execute("SELECT layout FROM progress").fetchall()
    assert layout == LAYOUT > 5


def test_a_database_of_layout_4_becomes_ours(tmp_path: Path) -> None:
    """It lacks columns and a name; rows stay, and all that comes is unknown or waits."""
    state = open_state(tmp_path)
    run = state.connection.execute
    run("INSERT INTO history VALUES ('k1.s', ['c1'], 'x', 5)")
    run("INSERT INTO event_log (topic, events) VALUES ('t', 1)")
    for table, column in (
        ("history", "aside_ms"),
        ("gaps", "written_after_ms"),
        ("gaps", "written_before_ms"),
        ("fact_files", '"partition"'),
        ("progress", "caught_up_ms"),
        ("progress", "facts_from"),
        ("event_log", '"round"'),
        ("event_log", "waits"),
    ):
        run(f"ALTER TABLE {table} DROP COLUMN {column}")
    run("ALTER TABLE event_log RENAME TO pending_facts")
    run("UPDATE progress SET layout = 4")
    state.close()
    for _ in range(2):
        state = open_state(tmp_path)
        run = state.connection.execute
        assert run("SELECT layout, caught_up_ms FROM progress").fetchall() == [(LAYOUT, None)]
        assert run("SELECT subject, aside_ms FROM history").fetchall() == [("k1.s", 0)]
        assert run('SELECT topic, "round", waits FROM event_log').fetchall() == [("t", None, True)]
        state.close()


def test_an_empty_database_restores_nobody(tmp_path: Path) -> None:
    """A fresh worker starts with nobody and no offsets."""
    state = open_state(tmp_path)
    assert restore(state, JoinEngine()) == 0
    assert state.offsets() == {}


def test_a_second_worker_is_refused(tmp_path: Path) -> None:
    """While one process has the folder, another gets one sentence that names the setting."""
    code = (
        "import sys; from pathlib import Path; from pipeline.storage.state import open_state;"
        "s = open_state(Path(sys.argv[1])); print('open', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"open\n"
        with pytest.raises(CannotRun, match="SMS_WORKER_DATA"):
            open_state(tmp_path, wait_s=0.1)
        holder.kill()


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    """One sentence that names the setting."""
    (tmp_path / "file").write_text("")
    with pytest.raises(CannotRun, match="SMS_WORKER_DATA"):
        open_state(tmp_path / "file" / "data")


def test_people_put_aside_are_found_again(tmp_path: Path) -> None:
    """They wait in the history, one row each."""
    state = open_state(tmp_path)
    state.commit(flush(), 1)
    for facts in (b"first", b"second"):
        retired = {"k1.s": Retired(facts, ("c1", "c2"))}
        first = state.offsets()[TOPIC, 0]
        state.commit(flush(first, first + 10, retired=retired), 1)
    assert history.people(state, {"k1.s", "k1.t"}) == [("k1.s", b"second")]
    assert history.assigned_to(state, "c2") == [("k1.s", b"second")]
    assert history.assigned_to(state, "c3") == []
    assert list(history.subjects(state)) == [["k1.s"]]


def put_aside(state: State, people: int, at_ms: int, facts: bytes = b"f") -> None:
    """A flush that puts so many people aside at that time."""
    retired = {f"k1.{at_ms}.{n}": Retired(facts, ("c",)) for n in range(people)}
    first = state.offsets().get((TOPIC, 0), 0)
    state.commit(flush(first, first + 1, retired=retired, watermark_ms=at_ms), at_ms)


def test_people_are_forgotten_in_portions_and_in_time(tmp_path: Path) -> None:
    """A flush drops some thousand of those put aside too long ago, and never a younger one."""
    state = open_state(tmp_path)
    put_aside(state, 2 * FORGOTTEN_AT_ONCE + 1, 1_000_000)
    put_aside(state, 10, 2_000_000)
    state.history_ms = FORGET_EVERY_MS
    left = []
    for at_ms in (1_000_001, 1_000_001, 1_000_001, 2_000_001):
        put_aside(state, 0, FORGET_EVERY_MS + at_ms)
        left.append(sum(map(len, history.subjects(state))))
    rest = [10 + n for n in (FORGOTTEN_AT_ONCE + 1, 1, 0, 0)]
    assert left == rest, "and not again within the hour"
    put_aside(state, 0, 3 * FORGET_EVERY_MS)
    assert list(history.subjects(state)) == []


@pytest.mark.parametrize(("now_ms", "watermark_ms"), [(10**13, 5), (5, 10**13)])
def test_neither_a_wrong_clock_nor_a_wrong_event_makes_the_worker_forget(
    tmp_path: Path, now_ms: int, watermark_ms: int
) -> None:
    """Both must say that the days have passed."""
    state = open_state(tmp_path)
    state.history_ms = 1
    state.commit(flush(retired={"k1.s": Retired(b"", ("c",))}, watermark_ms=2), 2)
    state.commit(flush(10, 20, watermark_ms=watermark_ms), now_ms)
    assert list(history.subjects(state)) == [["k1.s"]]


def test_the_room_of_the_forgotten_is_used_again(tmp_path: Path) -> None:
    """With as many put aside as forgotten the file stays as large as it is."""
    state = open_state(tmp_path)
    state.history_ms = 2 * FORGET_EVERY_MS
    sizes = []
    for hour in range(1, 25):
        put_aside(state, FORGOTTEN_AT_ONCE - 1, hour * FORGET_EVERY_MS, random.randbytes(400))
        state.connection.execute("CHECKPOINT")
        sizes.append((tmp_path / "state.duckdb").stat().st_size)
    assert sum(map(len, history.subjects(state))) <= 3 * FORGOTTEN_AT_ONCE
    assert max(sizes[12:]) <= 1.2 * max(sizes[:12])


def test_allocations_are_kept_once_with_every_arm(tmp_path: Path) -> None:
    """Read again they stay one change; the newest stands last, one row per arm."""
    state = open_state(tmp_path)
    changes = [
        AllocationChanged(
            event_id=f"e{n}",
            occurred_at_ms=n,
            campaign_id="c",
            shares={"B": 1 - share, "A": share},
            reason="start",
        )
        for n, share in ((2, 0.75), (1, 0.5))
    ]
    for first in (0, 10):
        plain = flush(first, first + 10)
        batch = replace(plain.batches[0], allocations=changes)
        state.commit(Flush([batch], plain.deltas), 1)
    found = [(a.changed_at_ms, a.variant_id, a.share) for a in allocations(state)]
    assert found == [(1, "A", 0.5), (1, "B", 0.5), (2, "A", 0.75), (2, "B", 0.25)]


def test_latencies_and_ages_are_published(tmp_path: Path) -> None:
    """Changes add up to the histogram; an unmatched receipt is as old as event time says."""
    state = open_state(tmp_path)
    row = UnmatchedReceipt(
        connection="x",
        smsc_message_id="1",
        subject="k1.s",
        state="DELIVERED",
        received_at_ms=400,
        reason="no_submit",
    )
    key = ("x", 0, 1000)
    state.commit(flush(unmatched={"e": row}, latencies={key: 3}, watermark_ms=1_000), 1)
    state.commit(flush(10, 20, latencies={key: -1, ("x", 0, 2000): 1}), 1)
    rows = plain_rows(state)
    assert [msgspec.structs.astuple(each) for each in rows[ReceiptLatency]] == [
        ("x", 0, 1000, 2),
        ("x", 0, 2000, 1),
    ]
    assert rows[UnmatchedReceipt] == [msgspec.structs.replace(row, age_ms=600)]


def test_a_stored_report_that_is_out_of_bounds_is_left_out(tmp_path: Path) -> None:
    """An older version took any counter; the snapshot shows the other connections."""
    with closing(open_state(tmp_path)) as state:
        for name, submits in (("wild", 2**60), ("op", 7)):
            report = msgspec.structs.replace(connection_report(), connection=name, submits=submits)
            row = [name, 5, encode(report)]
            state.connection.execute("INSERT INTO connections VALUES (?, ?, ?)", row)
        assert [(each.connection, each.submits) for each in connections(state)] == [("op", 7)]
