"""The contract's limits as the worker meets them: one record beyond is one dead letter."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from pipeline.agents.decode import decode_batch
from pipeline.batch import Delivery, RecordBatch
from schemas.codec import encode
from schemas.events import (
    LATEST_MS,
    MAX_PRICE_MICRO,
    MAX_WINDOW_MS,
    AllocationChanged,
    CampaignDefined,
    ConnectionReported,
    ConversionRecorded,
    Event,
    InboundReceived,
    LinkClicked,
    MessageSubmitted,
    ReceiptReceived,
    RecipientAssigned,
)
from schemas.topics import topic_of
from tests.support.worker import FakeRecord, campaign_events, connection_report, definition

ALLOCATION = AllocationChanged(
    event_id="e", occurred_at_ms=1, campaign_id="c1", shares={"A": 1.0}, reason="r"
)
COUNTS = (
    *("binds", "bound", "window", "window_in_use", "submits", "accepted"),
    *("rejected", "receipts", "inbound", "unknown", "reconnects"),
)
ORDINARY: dict[type[Event], Event] = {
    type(event): event
    for event in (definition(), ALLOCATION, connection_report(), *campaign_events(60, seed=3))
}
SUBJECT_KINDS = (
    RecipientAssigned,
    MessageSubmitted,
    ReceiptReceived,
    InboundReceived,
    LinkClicked,
    ConversionRecorded,
)
RULES: list[tuple[type[Event], str, Any, Any]] = [
    *((kind, "occurred_at_ms", LATEST_MS - 1, LATEST_MS) for kind in ORDINARY),
    *((kind, "occurred_at_ms", 0, -1) for kind in ORDINARY),
    *((kind, "subject", "k", "") for kind in SUBJECT_KINDS),
    *((MessageSubmitted, field, 255, 256) for field in ("segments", "part", "parts")),
    (MessageSubmitted, "segments", 0, -1),
    *((MessageSubmitted, field, 1, 0) for field in ("part", "parts")),
    *((ConnectionReported, field, 2**53, 2**53 + 1) for field in COUNTS),
    *((ConnectionReported, field, 0, -1) for field in COUNTS),
    (CampaignDefined, "plan_version", 2**31, 2**31 + 1),
    (CampaignDefined, "plan_version", 0, -1),
    (CampaignDefined, "audience_size", 10**12, 10**12 + 1),
    (CampaignDefined, "audience_size", None, -1),
    (CampaignDefined, "goal.window_ms", MAX_WINDOW_MS, MAX_WINDOW_MS + 1),
    (CampaignDefined, "goal.window_ms", 1, 0),
    (CampaignDefined, "costs.price_per_segment_micro", MAX_PRICE_MICRO, MAX_PRICE_MICRO + 1),
    (CampaignDefined, "costs.price_per_segment_micro", 0, -1),
]


def changed(event: Any, path: str, value: Any) -> Any:
    """The event with another value at a path."""
    name, _, rest = path.partition(".")
    return replace(event, **{name: changed(getattr(event, name), rest, value) if rest else value})


@pytest.mark.parametrize(("kind", "path", "last", "beyond"), RULES)
def test_a_value_at_the_limit_is_kept_and_one_beyond_is_rejected_alone(
    kind: type[Event], path: str, last: Any, beyond: Any
) -> None:
    """The reason names field and rule; what came with the record in one batch is kept."""
    ordinary = ORDINARY[kind]
    at_limit = changed(ordinary, path, last)
    events = [ordinary, at_limit, changed(ordinary, path, beyond), ordinary]
    records = [FakeRecord(offset, encode(event)) for offset, event in enumerate(events)]
    batch = RecordBatch(topic_of(ordinary).name, 0, 0, len(records), records)
    found = decode_batch(Delivery(batch, lambda: None), 9)
    (rejected,) = found.rejected
    assert (rejected.row.record_offset, rejected.data) == (2, records[2].value)
    assert rejected.row.reason.startswith("Expected `")
    assert rejected.row.reason.endswith(f" - at `$.{path}`")
    kept = [
        *found.subject_events,
        *found.definitions,
        *found.allocations,
        *found.connections,
    ]
    assert kept == [ordinary, at_limit, ordinary]


@pytest.mark.parametrize("field", ["submitted_at_ms", "done_at_ms"])
def test_an_operators_clock_may_say_anything(field: str) -> None:
    """A receipt counts though its operator lives in the year 30000: only our time is bounded."""
    receipt = replace(ORDINARY[ReceiptReceived], **{field: 884_541_340_800_000})
    record = FakeRecord(0, encode(receipt))
    batch = RecordBatch(topic_of(receipt).name, 0, 0, 1, [record])
    assert decode_batch(Delivery(batch, lambda: None), 9).subject_events == [receipt]
