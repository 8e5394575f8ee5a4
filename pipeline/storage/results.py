"""Reads the aggregates of `state.duckdb` as rows, and keeps the history of verdicts."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TypeVar

import msgspec

from pipeline.join.cohorts import VECTOR
from pipeline.rows import (
    Activity,
    Allocation,
    Cohort,
    ConnectionState,
    Counters,
    DeadLetter,
    Deliverability,
    FactFile,
    Gap,
    JoinHealth,
    Moments,
    Partition,
    ReceiptLatency,
    Row,
    UnmatchedReceipt,
    Verdict,
)
from pipeline.storage.state import State
from pipeline.storage.statements import named
from schemas.codec import SchemaError, decoder_for
from schemas.events import AllocationChanged
from schemas.topics import CAMPAIGN_ALLOCATION, CONNECTION_STATE

LISTED = 10_000
"""Newest unmatched receipts and dead letters that a snapshot lists; totals stay complete."""

R = TypeVar("R", bound=Row)
_SQL = {
    name: query.format(vector=", ".join(VECTOR), limit=LISTED)
    for name, query in named("results").items()
}
_log = logging.getLogger(__name__)
_COUNTERS = len(Counters.__struct_fields__)
_KEY = 6
_verdict_decoder = msgspec.msgpack.Decoder(Verdict)


class Progress(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """How far the database is."""

    sequence: int
    snapshot: int
    events_applied: int
    duplicates_ignored: int
    watermark_ms: int
    cluster_id: str
    facts_from: str | None


def progress(state: State) -> Progress:
    """How far the database is."""
    (row,) = state.connection.execute(_SQL["progress"]).fetchall()
    return Progress(**dict(zip(Progress.__struct_fields__, row, strict=True)))


def cohorts(state: State) -> list[Cohort]:
    """Every cohort, whole and by attribute."""
    found = []
    for row in state.connection.execute(_SQL["cohorts"]).fetchall():
        key, vector = row[:_KEY], row[_KEY:]
        counters = dict(zip(Counters.__struct_fields__, vector[:_COUNTERS], strict=True))
        moments = dict(zip(Moments.__struct_fields__, vector[_COUNTERS:], strict=True))
        campaign_id, variant_id, start, width, dimension, value = key
        found.append(
            Cohort(
                campaign_id=campaign_id,
                variant_id=variant_id,
                cohort_start_ms=start,
                cohort_width_ms=width,
                dimension=dimension,
                value=value,
                counters=Counters(**counters),
                moments=Moments(**moments),
            )
        )
    return found


def plain_rows(state: State) -> dict[type[Row], Sequence[Row]]:
    """The tables that a snapshot copies as they are."""
    return {
        Activity: _rows(state, "activity", Activity),
        Deliverability: _rows(state, "deliverability", Deliverability),
        ReceiptLatency: _rows(state, "receipt_latency", ReceiptLatency),
        UnmatchedReceipt: _rows(state, "unmatched_receipts", UnmatchedReceipt),
        DeadLetter: _rows(state, "dead_letters", DeadLetter),
        FactFile: _rows(state, "fact_files", FactFile),
        Allocation: allocations(state),
        ConnectionState: connections(state),
        Partition: state.partitions(),
    }


def healths(state: State) -> list[JoinHealth]:
    """Data faults per campaign; "" is the whole system."""
    return _rows(state, "join_health", JoinHealth)


def gaps(state: State) -> list[Gap]:
    """What Kafka no longer had."""
    return _rows(state, "gaps", Gap)


def connections(state: State) -> list[ConnectionState]:
    """The last report of every SMPP connection."""
    decoder = decoder_for(CONNECTION_STATE.name)
    found = []
    for (event,) in state.connection.execute(_SQL["connections"]).fetchall():
        try:
            decoded = decoder.decode(event)
        except SchemaError as error:  # of a version that had no bounds; the next report replaces it
            _log.warning("connection report left out", extra={"fields": {"error": str(error)}})
            continue
        report = msgspec.structs.asdict(decoded)
        report["reported_at_ms"] = report["occurred_at_ms"]
        fields = ConnectionState.__struct_fields__
        found.append(ConnectionState(**{name: report[name] for name in fields}))
    return found


def allocations(state: State) -> list[Allocation]:
    """Every change of the shares, one row per arm, oldest first."""
    decoder = decoder_for(CAMPAIGN_ALLOCATION.name)
    events = [
        decoder.decode(e) for (e,) in state.connection.execute(_SQL["allocations"]).fetchall()
    ]
    changes = [event for event in events if isinstance(event, AllocationChanged)]
    return [
        Allocation(
            campaign_id=change.campaign_id,
            changed_at_ms=change.occurred_at_ms,
            variant_id=variant_id,
            share=share,
            reason=change.reason,
            verdict_id=change.verdict_id,
        )
        for change in sorted(changes, key=lambda each: (each.occurred_at_ms, each.event_id))
        for variant_id, share in sorted(change.shares.items())
    ]


def verdicts(state: State) -> list[Verdict]:
    """Every verdict ever reached, oldest first."""
    rows = state.connection.execute(_SQL["verdicts"]).fetchall()
    return [_verdict_decoder.decode(verdict) for (verdict,) in rows]


def record_caught_up(state: State, caught_up_ms: int) -> None:
    """All that Kafka had at that moment is stored."""
    state.connection.execute(_SQL["caught_up"], {"at": caught_up_ms})


def record_snapshot(
    state: State, reached: Sequence[Verdict], caught_up_ms: int | None = None
) -> None:
    """Count one snapshot and keep the verdicts that changed, in one transaction.

    Args:
        state: The database.
        reached: Those verdicts.
        caught_up_ms: The last moment of which it is known that all Kafka had then is stored.
    """
    with state.transaction():
        state.connection.execute(_SQL["snapshot"], {"at": caught_up_ms})
        for verdict in reached:
            state.connection.execute(
                "INSERT INTO verdicts VALUES (?, ?, ?)",
                [verdict.campaign_id, verdict.decided_at_ms, msgspec.msgpack.encode(verdict)],
            )


def _rows(state: State, query: str, kind: type[R]) -> list[R]:
    fields = kind.__struct_fields__
    rows = state.connection.execute(_SQL[query]).fetchall()
    return [kind(**dict(zip(fields, row, strict=True))) for row in rows]
