"""A flush as Arrow tables, one per table of the database that it changes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import attrgetter

import pyarrow as pa

from pipeline.flush import Flush
from pipeline.join.cohorts import VECTOR
from pipeline.rows import DeadLetter, FactFile, UnmatchedReceipt
from pipeline.storage.arrow import INT, TEXT, table_of_rows
from schemas.codec import encode
from schemas.topics import TOPICS

_COMPACTED = frozenset(topic.name for topic in TOPICS if topic.cleanup == "compact")
COHORT_KEY = (
    ("campaign_id", pa.string()),
    ("variant_id", pa.string()),
    ("cohort_start_ms", pa.int64()),
    ("cohort_width_ms", pa.int64()),
    ("dimension", pa.string()),
    ("value", pa.string()),
)
ACTIVITY_KEPT_MS = 2 * 3600 * 1000
GapRange = tuple[str, int, int, int, int, int | None]
"""Topic, partition, first offset, next offset, how many are missing, before when written (ms)."""


def tables_of(flush: Flush, now_ms: int) -> dict[str, pa.Table]:
    """Name → table, only those that have rows, in the order of `flush.sql`."""
    tables = {name: make(flush, now_ms) for name, make in MAKERS.items()}
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


def _cohorts(flush: Flush, _now_ms: int) -> pa.Table:
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
        return pa.array(values, type=INT)
    except OverflowError:
        return pa.array([str(value) for value in values], type=TEXT)


def _deliverability(flush: Flush, _now_ms: int) -> pa.Table:
    columns = {
        "connection": TEXT,
        "hour_start_ms": INT,
        "state": TEXT,
        "err": TEXT,
        "receipts": INT,
    }
    return table_of_rows(columns, ((*key, n) for key, n in flush.deltas.deliverability.items()))


def _receipt_latency(flush: Flush, _now_ms: int) -> pa.Table:
    columns = {"connection": TEXT, "hour_start_ms": INT, "up_to_ms": INT, "parts": INT}
    return table_of_rows(columns, ((*key, n) for key, n in flush.deltas.latencies.items()))


def activity_from_ms(newest_ms: int, now_ms: int) -> int:
    """What is older is not kept: `activity` shows the last hours, of a backlog its last."""
    return min(now_ms, newest_ms) - ACTIVITY_KEPT_MS


def _activity(flush: Flush, now_ms: int) -> pa.Table:
    columns = {"bucket_start_ms": INT, "topic": TEXT, "events": INT}
    activity = flush.deltas.activity
    from_ms = activity_from_ms(max((start for start, _ in activity), default=0), now_ms)
    rows = ((*key, n) for key, n in activity.items() if key[0] >= from_ms)
    return table_of_rows(columns, rows)


def _health(flush: Flush, _now_ms: int) -> pa.Table:
    columns = {
        "campaign_id": TEXT,
        "double_assigned": INT,
        "receipts": INT,
        "unmatched_receipts": INT,
    }
    return table_of_rows(columns, ((key, *counts) for key, counts in flush.deltas.health.items()))


def _unmatched_gone(flush: Flush, _now_ms: int) -> pa.Table:
    return table_of_rows({"event_id": TEXT}, ((event_id,) for event_id in flush.deltas.unmatched))


def _unmatched(flush: Flush, _now_ms: int) -> pa.Table:
    fields = [name for name in UnmatchedReceipt.__struct_fields__ if name != "age_ms"]
    columns = {"event_id": TEXT} | dict.fromkeys(fields, TEXT) | {"received_at_ms": INT}
    values = attrgetter(*fields)
    rows = ((key, *values(row)) for key, row in flush.deltas.unmatched.items() if row is not None)
    return table_of_rows(columns, rows)


def _history(flush: Flush, now_ms: int) -> pa.Table:
    columns = {
        "subject": TEXT,
        "campaigns": pa.list_(TEXT),
        "facts": pa.binary(),
        "aside_ms": INT,
    }
    aside_ms, retired = flush.until_ms(now_ms), flush.deltas.retired.items()
    return table_of_rows(columns, ((name, r.campaigns, r.facts, aside_ms) for name, r in retired))


def _shelf_emptied(flush: Flush, _now_ms: int) -> pa.Table:
    return table_of_rows({"place": INT}, ((place,) for place in flush.deltas.emptied))


def _definitions(flush: Flush, _now_ms: int) -> pa.Table:
    columns = {
        "campaign_id": TEXT,
        "plan_version": INT,
        "occurred_at_ms": INT,
        "event_id": TEXT,
        "event": pa.binary(),
    }
    events = {event.event_id: event for batch in flush.batches for event in batch.definitions}
    values = attrgetter("campaign_id", "plan_version", "occurred_at_ms", "event_id")
    return table_of_rows(columns, ((*values(event), encode(event)) for event in events.values()))


def _allocations(flush: Flush, _now_ms: int) -> pa.Table:
    columns = {"event_id": TEXT, "event": pa.binary()}
    events = {event.event_id: event for batch in flush.batches for event in batch.allocations}
    return table_of_rows(columns, ((event_id, encode(event)) for event_id, event in events.items()))


def _connections(flush: Flush, _now_ms: int) -> pa.Table:
    columns = {"connection": TEXT, "occurred_at_ms": INT, "event": pa.binary()}
    reports = [event for batch in flush.batches for event in batch.connections]
    newest = {
        event.connection: event for event in sorted(reports, key=attrgetter("occurred_at_ms"))
    }
    rows = ((name, event.occurred_at_ms, encode(event)) for name, event in newest.items())
    return table_of_rows(columns, rows)


def _dead_letters(flush: Flush, _now_ms: int) -> pa.Table:
    fields = DeadLetter.__struct_fields__
    columns = dict.fromkeys(fields, INT) | {"topic": TEXT, "reason": TEXT}
    values = attrgetter(*fields)
    return table_of_rows(columns, (values(row) for row in flush.dead_letters))


def fact_files_table(files: Sequence[FactFile]) -> pa.Table:
    """Rows of `fact_files`."""
    fields = FactFile.__struct_fields__
    texts = ("file", "topic", "day")
    columns = {name: TEXT if name in texts else INT for name in fields}
    values = attrgetter(*fields)
    return table_of_rows(columns, (values(file) for file in files))


def _gaps(flush: Flush, now_ms: int) -> pa.Table:
    return gaps_table(gaps_of(flush), now_ms)


def gaps_table(gaps: Iterable[GapRange], now_ms: int) -> pa.Table:
    """Rows of `gaps`, met now."""
    columns = {
        "topic": TEXT,
        "partition": INT,
        "first_offset": INT,
        "next_offset": INT,
        "missing": INT,
        "written_before_ms": INT,
        "seen_at_ms": INT,
    }
    return table_of_rows(columns, ((*gap, now_ms) for gap in gaps))


MAKERS: Mapping[str, Callable[[Flush, int], pa.Table]] = {
    "cohorts": _cohorts,
    "deliverability": _deliverability,
    "receipt_latency": _receipt_latency,
    "activity": _activity,
    "join_health": _health,
    "unmatched_gone": _unmatched_gone,
    "unmatched_receipts": _unmatched,
    "history": _history,
    "shelf_emptied": _shelf_emptied,
    "definitions": _definitions,
    "allocations": _allocations,
    "connections": _connections,
    "dead_letters": _dead_letters,
    "gaps": _gaps,
}
