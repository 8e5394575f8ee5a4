"""A flush as Arrow tables, one per table of the database that it changes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import accumulate, chain
from operator import attrgetter
from typing import Any

import pyarrow as pa

from pipeline.flush import DecodedBatch, Flush
from pipeline.join.cohorts import VECTOR
from pipeline.join.facts import News, decode_news, encode_news, fact_of
from pipeline.rows import DeadLetter, FactFile, UnmatchedReceipt
from schemas.codec import decoder_for, encode
from schemas.events import Event
from schemas.topics import JOINED_TOPICS, TOPICS

_COMPACTED = frozenset(topic.name for topic in TOPICS if topic.cleanup == "compact")
EVENTS_CODEC = "zstd"
"""JSON shrinks to a sixth at 400 MB/s; written as it is, the log of the database takes longer."""
SMALL = 30
"""Events per row. A row of one takes 500 bytes and 16 µs at a restart, of 35 as much as facts."""
NEWS_CODEC = "zstd"
"""A third of the size for a tenth of the time that writing the rest would take."""
_JOINED = frozenset(topic.name for topic in JOINED_TOPICS)
COHORT_KEY = (
    ("campaign_id", pa.string()),
    ("variant_id", pa.string()),
    ("cohort_start_ms", pa.int64()),
    ("cohort_width_ms", pa.int64()),
    ("dimension", pa.string()),
    ("value", pa.string()),
)
_TEXT, _INT = pa.string(), pa.int64()
GapRange = tuple[str, int, int, int, int, int | None]
"""Topic, partition, first offset, next offset, how many are missing, before when written (ms)."""


def tables_of(
    flush: Flush, *, sequence: int, now_ms: int, keeps_facts: bool
) -> dict[str, pa.Table]:
    """Name → table, only those that have rows, in the order of `flush.sql`."""
    tables = {name: make(flush, sequence, now_ms) for name, make in MAKERS.items()}
    tables["event_log"] = event_log_table(flush, sequence, waits=keeps_facts)
    return {name: table for name, table in tables.items() if table.num_rows}


def gaps_of(flush: Flush) -> list[GapRange]:
    """The ranges that lack records.

    Holes in a compacted topic are what compaction is for.
    """
    return [
        (b.topic, b.partition, b.first_offset, b.next_offset, b.missing, b.written_before_ms)
        for b in flush.ranges
        if b.missing and b.topic not in _COMPACTED
    ]


def _table(columns: Mapping[str, pa.DataType], rows: Iterable[Sequence[Any]]) -> pa.Table:
    values = list(zip(*rows, strict=True)) or [()] * len(columns)
    kinds = columns.items()
    return pa.table(
        {name: pa.array(each, type=kind) for (name, kind), each in zip(kinds, values, strict=True)}
    )


def _cohorts(flush: Flush, _sequence: int, _now_ms: int) -> pa.Table:
    keys = zip(*flush.deltas.cohorts, strict=True)
    vectors = zip(*flush.deltas.cohorts.values(), strict=True)
    columns = {
        name: pa.array(values, type=kind)
        for (name, kind), values in zip(COHORT_KEY, keys, strict=False)
    }
    columns |= {name: numbers(values) for name, values in zip(VECTOR, vectors, strict=False)}
    return pa.table(columns)


def numbers(values: Sequence[int]) -> pa.Array:
    """64-bit integers, or their digits where one does not fit; SQL casts both."""
    try:
        return pa.array(values, type=_INT)
    except OverflowError:
        return pa.array([str(value) for value in values], type=_TEXT)


def _deliverability(flush: Flush, _sequence: int, _now_ms: int) -> pa.Table:
    columns = {
        "connection": _TEXT,
        "hour_start_ms": _INT,
        "state": _TEXT,
        "err": _TEXT,
        "receipts": _INT,
    }
    return _table(columns, ((*key, n) for key, n in flush.deltas.deliverability.items()))


def _receipt_latency(flush: Flush, _sequence: int, _now_ms: int) -> pa.Table:
    columns = {"connection": _TEXT, "hour_start_ms": _INT, "up_to_ms": _INT, "parts": _INT}
    return _table(columns, ((*key, n) for key, n in flush.deltas.latencies.items()))


def _activity(flush: Flush, _sequence: int, _now_ms: int) -> pa.Table:
    columns = {"bucket_start_ms": _INT, "topic": _TEXT, "events": _INT}
    return _table(columns, ((*key, n) for key, n in flush.deltas.activity.items()))


def _health(flush: Flush, _sequence: int, _now_ms: int) -> pa.Table:
    columns = {
        "campaign_id": _TEXT,
        "double_assigned": _INT,
        "receipts": _INT,
        "unmatched_receipts": _INT,
    }
    return _table(columns, ((key, *counts) for key, counts in flush.deltas.health.items()))


def _unmatched_gone(flush: Flush, _sequence: int, _now_ms: int) -> pa.Table:
    return _table({"event_id": _TEXT}, ((event_id,) for event_id in flush.deltas.unmatched))


def _unmatched(flush: Flush, _sequence: int, _now_ms: int) -> pa.Table:
    fields = [name for name in UnmatchedReceipt.__struct_fields__ if name != "age_ms"]
    columns = {"event_id": _TEXT} | dict.fromkeys(fields, _TEXT) | {"received_at_ms": _INT}
    values = attrgetter(*fields)
    rows = ((key, *values(row)) for key, row in flush.deltas.unmatched.items() if row is not None)
    return _table(columns, rows)


def _news(flush: Flush, _sequence: int, _now_ms: int) -> pa.Table:
    learned: list[News] = []
    if _is_small(flush):
        events = chain.from_iterable(batch.subject_events for batch in flush.batches)
        learned = [(event.subject, *fact_of(event)) for event in events]
    return news_table(learned + flush.deltas.news, flush.deltas.round)


def _is_small(flush: Flush) -> bool:
    """Whether the facts of all events in one row are smaller than the events of each topic."""
    sizes = [len(batch.raw) for batch in flush.batches if batch.raw]
    return sum(sizes) < SMALL * len(sizes)


def news_table(news: Sequence[News], round_: int) -> pa.Table:
    """Rows of `state_log`: one for all, none for nothing."""
    columns = {"sequence": _INT, "facts": _INT, "size": _INT, "body": pa.binary()}
    if not news:
        return _table(columns, ())
    body = encode_news(news)
    packed = pa.compress(body, codec=NEWS_CODEC, asbytes=True)
    return _table(columns, [(round_, len(news), len(body), packed)])


def news_of(size: int, body: bytes) -> list[News]:
    """What a row of `state_log` tells."""
    return decode_news(pa.decompress(body, size, codec=NEWS_CODEC, asbytes=True))


def _history(flush: Flush, _sequence: int, now_ms: int) -> pa.Table:
    columns = {
        "subject": _TEXT,
        "campaigns": pa.list_(_TEXT),
        "facts": pa.binary(),
        "aside_ms": _INT,
    }
    aside_ms, retired = flush.until_ms(now_ms), flush.deltas.retired.items()
    return _table(columns, ((name, r.campaigns, r.facts, aside_ms) for name, r in retired))


def _shelf(flush: Flush, _sequence: int, _now_ms: int) -> pa.Table:
    shelved = flush.deltas.shelved
    campaigns = [each.campaigns for each in shelved.values()]
    ends = pa.array(accumulate(map(len, campaigns), initial=0), type=pa.int32())
    names = pa.array(chain.from_iterable(campaigns), type=_TEXT)
    return pa.table(
        {
            "place": pa.array([each.place for each in shelved.values()], type=_INT),
            "subject": pa.array(list(shelved), type=_TEXT),
            "size": pa.array([len(each.facts) for each in shelved.values()], type=_INT),
            "campaigns": pa.ListArray.from_arrays(ends, names),
        }
    )


def _shelf_emptied(flush: Flush, _sequence: int, _now_ms: int) -> pa.Table:
    return _table({"place": _INT}, ((place,) for place in flush.deltas.emptied))


def _definitions(flush: Flush, _sequence: int, _now_ms: int) -> pa.Table:
    columns = {
        "campaign_id": _TEXT,
        "plan_version": _INT,
        "occurred_at_ms": _INT,
        "event_id": _TEXT,
        "event": pa.binary(),
    }
    events = {event.event_id: event for batch in flush.batches for event in batch.definitions}
    values = attrgetter("campaign_id", "plan_version", "occurred_at_ms", "event_id")
    return _table(columns, ((*values(event), encode(event)) for event in events.values()))


def _allocations(flush: Flush, _sequence: int, _now_ms: int) -> pa.Table:
    columns = {"event_id": _TEXT, "event": pa.binary()}
    events = {event.event_id: event for batch in flush.batches for event in batch.allocations}
    return _table(columns, ((event_id, encode(event)) for event_id, event in events.items()))


def _connections(flush: Flush, _sequence: int, _now_ms: int) -> pa.Table:
    columns = {"connection": _TEXT, "occurred_at_ms": _INT, "event": pa.binary()}
    reports = [event for batch in flush.batches for event in batch.connections]
    newest = {
        event.connection: event for event in sorted(reports, key=attrgetter("occurred_at_ms"))
    }
    rows = ((name, event.occurred_at_ms, encode(event)) for name, event in newest.items())
    return _table(columns, rows)


def _dead_letters(flush: Flush, _sequence: int, _now_ms: int) -> pa.Table:
    fields = DeadLetter.__struct_fields__
    columns = dict.fromkeys(fields, _INT) | {"topic": _TEXT, "reason": _TEXT}
    values = attrgetter(*fields)
    return _table(columns, (values(row) for row in flush.dead_letters))


def event_log_table(flush: Flush, sequence: int, *, waits: bool) -> pa.Table:
    """Rows of `event_log`: one per batch of a joined topic.

    Of a small flush only those that wait for Parquet: the state log has its facts.
    """
    is_small = _is_small(flush)
    columns = {
        "sequence": _INT,
        "round": _INT,
        "waits": pa.bool_(),
        "topic": _TEXT,
        "partition": _INT,
        "first_offset": _INT,
        "next_offset": _INT,
        "events": _INT,
        "size": _INT,
        "body": pa.binary(),
    }
    rows = (
        (
            sequence,
            None if is_small else flush.deltas.round,
            waits,
            batch.topic,
            batch.partition,
            batch.first_offset,
            batch.next_offset,
            len(each.raw),
            len(lines),
            pa.compress(lines, codec=EVENTS_CODEC, asbytes=True),
        )
        for each in flush.batches
        for batch in (each.delivery.batch,)
        for lines in (_lines(each),)
        if batch.topic in _JOINED and (waits or (each.raw and not is_small))
    )
    return _table(columns, rows)


def events_of(topic: str, size: int, body: bytes) -> list[Event]:
    """The events in a row of `event_log`.

    Raises:
        SchemaError: If the row was not written by us.
    """
    lines = pa.decompress(body, size, codec=EVENTS_CODEC, asbytes=True)
    return decoder_for(topic).decode_all(lines.split(b"\n"))


def _lines(batch: DecodedBatch) -> bytes:
    events, raw = len(batch.subject_events), len(batch.raw)
    if events != raw:
        raise ValueError(f"len(raw) == {raw}, must be {events}: a restart knows nothing else.")
    return lines_of(batch.raw)


def lines_of(values: Sequence[bytes]) -> bytes:
    """JSON values as lines; JSON may hold line ends as white space only, where a space does too."""
    if any(b"\n" in value for value in values):
        values = [value.replace(b"\n", b" ") for value in values]
    return b"\n".join(values)


def fact_files_table(files: Sequence[FactFile]) -> pa.Table:
    """Rows of `fact_files`."""
    fields = FactFile.__struct_fields__
    texts = ("file", "topic", "day")
    columns = {name: _TEXT if name in texts else _INT for name in fields}
    values = attrgetter(*fields)
    return _table(columns, (values(file) for file in files))


def _gaps(flush: Flush, _sequence: int, now_ms: int) -> pa.Table:
    return gaps_table(gaps_of(flush), now_ms)


def gaps_table(gaps: Iterable[GapRange], now_ms: int) -> pa.Table:
    """Rows of `gaps`, met now."""
    columns = {
        "topic": _TEXT,
        "partition": _INT,
        "first_offset": _INT,
        "next_offset": _INT,
        "missing": _INT,
        "written_before_ms": _INT,
        "seen_at_ms": _INT,
    }
    return _table(columns, ((*gap, now_ms) for gap in gaps))


def _offsets(flush: Flush, _sequence: int, _now_ms: int) -> pa.Table:
    return offsets_table({(b.topic, b.partition): b.next_offset for b in flush.ranges})


def offsets_table(ends: Mapping[tuple[str, int], int]) -> pa.Table:
    """Rows of `offsets`: (topic, partition) → next offset."""
    columns = {"topic": _TEXT, "partition": _INT, "next_offset": _INT}
    return _table(columns, ((*key, end) for key, end in ends.items()))


MAKERS: Mapping[str, Callable[[Flush, int, int], pa.Table]] = {
    "cohorts": _cohorts,
    "deliverability": _deliverability,
    "receipt_latency": _receipt_latency,
    "activity": _activity,
    "join_health": _health,
    "unmatched_gone": _unmatched_gone,
    "unmatched_receipts": _unmatched,
    "state_log": _news,
    "history": _history,
    "shelf": _shelf,
    "shelf_emptied": _shelf_emptied,
    "definitions": _definitions,
    "allocations": _allocations,
    "connections": _connections,
    "dead_letters": _dead_letters,
    "gaps": _gaps,
    "offsets": _offsets,
}
