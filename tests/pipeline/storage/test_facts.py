"""Row-level facts: every event in exactly one listed file, whatever happens in between."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import duckdb
import msgspec
import pytest

from pipeline.agents.decode import decode_batch
from pipeline.batch import Delivery, RecordBatch
from pipeline.flush import DecodedBatch, Flush, lines_of
from pipeline.join.engine import JoinEngine
from pipeline.rows import FactFile
from pipeline.storage import facts, log_rows
from pipeline.storage.facts import FOLDER, columns_of, list_files, next_portion, write_facts
from pipeline.storage.restore import restore
from pipeline.storage.results import plain_rows
from pipeline.storage.state import State, open_state
from pipeline.write_facts import FactsWriter
from schemas.codec import encode
from schemas.events import ReceiptReceived, RecipientAssigned, SubjectEvent
from schemas.topics import JOINED_TOPICS, MESSAGE_RECEIPT, topic_of
from tests.support.flushes import batches_of
from tests.support.worker import FakeRecord, campaign_events

DAY_MS = 86_400_000
TOPIC = "sms.message.receipt.v1"


def commit(state: State, topic: str, values: Sequence[bytes], partition: int = 0) -> None:
    """Store raw records as one flush."""
    first = state.offsets().get((topic, partition), 0)
    records = [FakeRecord(first + place, value) for place, value in enumerate(values)]
    batch = RecordBatch(topic, partition, first, first + len(records), records)
    state.commit(Flush([decoded(batch)], JoinEngine().take()), 0)


def decoded(batch: RecordBatch) -> DecodedBatch:
    """A batch as `decode` yields it."""
    return decode_batch(Delivery(batch, lambda: None), 0)


def export(state: State, folder: Path) -> list[FactFile]:
    """Write and list everything that waits."""
    found = []
    while (portion := next_portion(state)) is not None:
        files = write_facts(state.connection.cursor(), state.log, folder, portion, 5)
        list_files(state, portion, files)
        found += files
    return found


def rows(folder: Path, kind: str) -> list[dict[str, Any]]:
    """What the files of a kind hold."""
    path = str(folder / FOLDER / kind / "*" / "*.parquet")
    with duckdb.connect() as connection:
        table = connection.read_parquet(path).to_arrow_table()
    return [{name: row[name] for name in row if name != "day"} for row in table.to_pylist()]


@pytest.fixture
def state(tmp_path: Path) -> State:
    """A database that keeps facts."""
    found = open_state(tmp_path)
    found.keeps_facts = True
    return found


def receipt(number: int, at_ms: int = 1_000) -> ReceiptReceived:
    """A receipt."""
    return ReceiptReceived(
        event_id=f"r{number}",
        occurred_at_ms=at_ms,
        subject="k1.s",
        connection="op",
        smsc_message_id=str(number),
        candidates=("a", "b"),
        raw_state="DELIVRD",
        state="DELIVERED",
        is_final=True,
    )


def test_every_event_comes_back_with_every_field(state: State, tmp_path: Path) -> None:
    """All kinds, all columns, over several flushes: the files hold what was published."""
    events = campaign_events(recipients=60, seed=5)
    for part in (events[:100], events[100:]):
        for topic in JOINED_TOPICS:
            commit(state, topic.name, [encode(e) for e in part if topic_of(e) is topic])
        export(state, tmp_path)
    for topic in JOINED_TOPICS:
        found = rows(tmp_path, facts.kind_of(topic))
        expected = [plain(event) for event in events if topic_of(event) is topic]
        key = lambda row: row["event_id"]  # noqa: E731 - a key is a function
        assert sorted(map(plain_row, found), key=key) == sorted(expected, key=key)
        assert all(row.keys() == columns_of(topic.event).keys() for row in found)


@pytest.fixture
def no_small_flushes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every flush is large enough to keep its events as they are."""
    monkeypatch.setattr(log_rows, "SMALL", 0)


@pytest.mark.usefixtures("no_small_flushes")
def test_bytes_stay_as_long_as_somebody_needs_them(state: State, tmp_path: Path) -> None:
    """A file for analysts and the people at hand need them; whichever comes to an end last."""
    engine, kept = JoinEngine(at_hand=1), list[list[tuple[int | None, bool]]]()
    for number in range(4):
        event = msgspec.structs.replace(receipt(number), subject=f"k1.{number}")
        engine.apply([event])
        state.commit(Flush(batches_of([event], state.offsets()), engine.take()), 0)
        if number in (0, 3):
            export(state, tmp_path)
        found = state.connection.execute('SELECT "round", waits FROM event_log ORDER BY ALL')
        kept.append(found.fetchall())
    assert kept == [
        [(1, False)],
        [(2, True)],
        [(3, True), (None, True)],
        [(4, False)],
    ]
    assert len(rows(tmp_path, facts.kind_of(MESSAGE_RECEIPT))) == 4


@pytest.mark.usefixtures("no_small_flushes")
def test_events_that_waited_under_the_old_layout_are_written(state: State, tmp_path: Path) -> None:
    """Those of layout 6, whose people its log has already; they are not replayed."""
    commit(state, TOPIC, [encode(receipt(1))])
    state.connection.execute("ALTER TABLE event_log RENAME TO pending_facts")
    for column in ('"round"', "waits"):
        state.connection.execute(f"ALTER TABLE pending_facts DROP COLUMN {column}")
    state.connection.execute("UPDATE progress SET layout = 6")
    state.close()
    again = open_state(tmp_path)
    assert restore(again, JoinEngine()) == 0
    export(again, tmp_path)
    assert len(rows(tmp_path, facts.kind_of(MESSAGE_RECEIPT))) == 1
    assert again.connection.execute("FROM event_log").fetchall() == []


def test_events_without_their_bytes_are_refused() -> None:
    """They would be counted, and unknown after a restart."""
    batch = RecordBatch(TOPIC, 0, 0, 1, [FakeRecord(0, b"")])
    with pytest.raises(ValueError, match="lines == b'', must have 1"):
        DecodedBatch(Delivery(batch, lambda: None), subject_events=[receipt(1)])


def test_of_a_small_flush_the_facts_are_kept_instead(state: State, tmp_path: Path) -> None:
    """In one row; the events of each topic wait for their file, and without files are not kept."""
    engine, events = JoinEngine(), campaign_events(recipients=3, seed=2)
    for keeps_facts, rows_left in ((True, True), (False, False)):
        state.keeps_facts = keeps_facts
        engine.apply(events)
        state.commit(Flush(batches_of(events, state.offsets()), engine.take()), 0)
        found = state.connection.execute('SELECT DISTINCT "round", waits FROM event_log')
        assert found.fetchall() == [(None, True)] * rows_left
        export(state, tmp_path)
    assert state.connection.execute("FROM event_log").fetchall() == []
    again = JoinEngine()
    restore(state, again)
    assert dict(facts_by_person(again)) == dict(facts_by_person(engine))


def facts_by_person(engine: JoinEngine) -> list[tuple[tuple[str, str], object]]:
    """(subject, key) → fact."""
    return [((subject, key), fact) for subject, key, fact in engine.everything()]


@pytest.mark.parametrize("small", [0, log_rows.SMALL])
def test_a_log_written_anew_lets_go_of_the_events(
    state: State, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, small: int
) -> None:
    """Those for a file wait on; nobody is counted from both."""
    monkeypatch.setattr(log_rows, "SMALL", small)
    engine = JoinEngine()
    for number in range(9):
        engine.apply([receipt(1)])
        state.commit(Flush(batches_of([receipt(1)], state.offsets()), engine.take()), 0)
        state.keeps_facts = number < 4
    state.close()
    for _ in range(2):
        again, engine = open_state(tmp_path), JoinEngine()
        assert (restore(again, engine), engine.facts) == (1, 1)
        found = again.connection.execute('SELECT DISTINCT "round", waits FROM event_log')
        assert found.fetchall() == [(None, True)]
        assert again.connection.execute("SELECT facts FROM state_log").fetchall() == [(1,)]
        again.close()


def plain(event: SubjectEvent) -> dict[str, Any]:
    """An event's fields as JSON has them; one that is absent there is NULL in a file."""
    fields: dict[str, Any] = msgspec.json.decode(encode(event))
    return {name: fields.get(name) for name in columns_of(type(event))}


def plain_row(row: dict[str, Any]) -> dict[str, Any]:
    """A map column as a dict."""
    if "attributes" in row:
        row["attributes"] = dict(row["attributes"] or [])
    return row


def test_positions_fit_together(state: State, tmp_path: Path) -> None:
    """Files of a topic cover its offsets, of all partitions, without a hole or an overlap."""
    for partition, count in ((0, 3), (1, 4), (0, 2)):
        values = [encode(receipt(n + 10 * partition)) for n in range(count)]
        commit(state, TOPIC, [*values, b"garbage"], partition)
        export(state, tmp_path)
    listed = [f for f in plain_rows(state)[FactFile] if isinstance(f, FactFile)]
    assert [(f.first_position, f.next_position, f.events) for f in listed] == [
        (0, 4, 3),
        (4, 9, 4),
        (9, 12, 2),
    ]
    assert listed[0].file == "receipt_received/day=1970-01-01/000000000000-000000000004.parquet"


def test_days_are_those_of_the_events(state: State, tmp_path: Path) -> None:
    """Late events go to the day on which they happened."""
    commit(state, TOPIC, [encode(receipt(n, n * DAY_MS)) for n in (0, 1, 1, 2)])
    files = export(state, tmp_path)
    assert [(f.day, f.events) for f in files] == [
        ("1970-01-01", 1),
        ("1970-01-02", 2),
        ("1970-01-03", 1),
    ]


def test_files_of_a_crash_do_not_count(state: State, tmp_path: Path) -> None:
    """Killed after the files and before the list: the next export writes them once."""
    commit(state, TOPIC, [encode(receipt(1))])
    portion = next_portion(state)
    assert portion is not None
    write_facts(state.connection.cursor(), state.log, tmp_path, portion, 5)
    commit(state, TOPIC, [encode(receipt(2))])
    export(state, tmp_path)
    assert sorted(row["event_id"] for row in rows(tmp_path, "receipt_received")) == ["r1", "r2"]
    assert len(list((tmp_path / FOLDER).rglob("*.parquet"))) == 1


def test_a_flush_during_an_export_is_not_lost(state: State, tmp_path: Path) -> None:
    """What comes between writing and listing waits for the next files."""
    commit(state, TOPIC, [encode(receipt(1))])
    portion = next_portion(state)
    assert portion is not None
    files = write_facts(state.connection.cursor(), state.log, tmp_path, portion, 5)
    commit(state, TOPIC, [encode(receipt(2))])
    list_files(state, portion, files)
    assert [f.events for f in export(state, tmp_path)] == [1]


def test_portions_are_bounded(state: State, monkeypatch: pytest.MonkeyPatch) -> None:
    """A backlog is written in pieces, a single large flush whole."""
    for number in range(5):
        commit(state, TOPIC, [encode(receipt(number))] * 2)
    monkeypatch.setattr(facts, "MAX_EVENTS", 5)
    assert [next_portion(state)] == [facts.Portion(2, 4, 10)]
    monkeypatch.setattr(facts, "MAX_EVENTS", 1)
    assert [next_portion(state)] == [facts.Portion(1, 2, 10)]


async def test_files_of_a_few_events_wait_while_much_is_unread(
    state: State, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Many are written all the same, so the database stays small; all, when it has caught up.

    What waits in all counts, not what fits into one portion.
    """
    monkeypatch.setattr("pipeline.write_facts.MANY_EVENTS", 3)
    monkeypatch.setattr(facts, "MAX_EVENTS", 2)
    unread = 1
    writer = FactsWriter(state, tmp_path, asyncio.Lock(), lambda: 5, is_behind=lambda: unread > 0)
    written = []
    for number in range(3):
        commit(state, TOPIC, [encode(receipt(number))] * 2)
        written.append(await writer.write())
    unread = 0
    written += [await writer.write() for _ in range(3)]
    assert written == [False, True, True, True, False, False]
    assert sum(file.events for file in plain_rows(state)[FactFile]) == 6


@pytest.mark.parametrize(
    "change",
    [
        lambda value: value.replace(b",", b",\n  "),
        lambda value: value[:-1] + b',"note":"\xff"}',
        lambda value: value.replace(b'"candidates":["a","b"],', b""),
    ],
    ids=["line ends", "no UTF-8", "a default"],
)
def test_foreign_spellings_of_an_event_are_kept(state: State, tmp_path: Path, change: Any) -> None:
    """What the decoder accepts, the files hold, however another producer writes JSON."""
    value = change(encode(receipt(1)))
    commit(state, TOPIC, [value, encode(receipt(2))])
    export(state, tmp_path)
    assert sorted(row["event_id"] for row in rows(tmp_path, "receipt_received")) == ["r1", "r2"]


def test_no_phone_number_can_be_in_a_file() -> None:
    """The kinds that are kept have no field for one: the request is not among them."""
    fields = {name for topic in JOINED_TOPICS for name in columns_of(topic.event)}
    assert not any(topic.is_restricted for topic in JOINED_TOPICS)
    assert not fields & {"text", "destination", "msisdn"}


def test_columns_have_sql_types() -> None:
    """Integers, truth values, lists and maps are not text."""
    types = columns_of(RecipientAssigned) | columns_of(ReceiptReceived)
    assert types["covariate"] == "BIGINT"
    assert types["is_final"] == "BOOLEAN"
    assert types["candidates"] == "VARCHAR[]"
    assert types["attributes"] == "MAP(VARCHAR, VARCHAR)"
    assert types["eligibility"] == "VARCHAR"


def test_lines_hold_one_event_each() -> None:
    """White space in JSON may hold line ends; they do not make lines."""
    assert lines_of([]) == b""
    assert lines_of([b'{"a":1}', b'{\n"b": 2}']).count(b"\n") == 1
