"""Decode: bytes → events; what cannot be decoded or kept goes to the dead letters."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any, cast

from pipeline.batch import Delivery, Record, RecordBatch
from pipeline.flush import DecodedBatch, RejectedRecord, lines_of
from pipeline.rows import DeadLetter
from runtime.logs import mask
from schemas.codec import SchemaError, TopicDecoder, decoder_for
from schemas.events import Event
from schemas.topics import (
    CAMPAIGN_ALLOCATION,
    CAMPAIGN_DEFINITION,
    COHORT_DELTA,
    CONNECTION_STATE,
    TOPICS,
)

_COMPACTED = frozenset(topic.name for topic in TOPICS if topic.cleanup == "compact")
_MAX_REASON = 500
_log = logging.getLogger(__name__)

DeadLetterSink = Callable[[Sequence[RejectedRecord]], Awaitable[None]]
"""Returns when Kafka has every record; raises when it has not."""
Clock = Callable[[], int]
"""Milliseconds since the Unix epoch."""


async def decode(
    groups: AsyncIterator[list[Delivery]], dead_letters: DeadLetterSink, clock: Clock
) -> AsyncIterator[list[DecodedBatch]]:
    """Decode every record of every group.

    Reads: groups of raw batches.
    Yields: one `DecodedBatch` per batch, in the same order.
    State: none.
    Side effects: publishes dead letters.
    Delivery: a group is yielded only when Kafka has its dead letters, so their offsets are
        never committed before; after a crash a dead letter may be published twice.
    """
    async for group in groups:
        decoded = []
        for delivery in group:
            decoded.append(decode_batch(delivery, clock()))
            await asyncio.sleep(0)  # a group is up to a second of work: let health and acks through
        rejected = [record for batch in decoded for record in batch.rejected]
        if rejected:
            _log.warning("records rejected", extra={"fields": {"records": len(rejected)}})
            await dead_letters(rejected)
        yield decoded


def decode_batch(delivery: Delivery, now_ms: int) -> DecodedBatch:
    """Decode one batch; `now_ms` stamps what is rejected."""
    batch = delivery.batch
    decoder = decoder_for(batch.topic)
    values = [record.value for record in batch.records]
    if (all_events := _all_valid(decoder, values)) is not None:
        return _sorted(delivery, all_events, values, [])
    events: list[Event] = []
    raw: list[bytes] = []
    rejected = []
    for record in batch.records:
        value = record.value
        if value is None and batch.topic in _COMPACTED:
            continue  # a tombstone
        event = _event(decoder, value)
        if isinstance(event, str):
            rejected.append(_rejected(batch, record, event, now_ms))
        else:
            assert value is not None, "it was decoded"
            events.append(event)
            raw.append(value)
    return _sorted(delivery, events, raw, rejected)


def _all_valid(decoder: TopicDecoder, values: Sequence[bytes | None]) -> list[Event] | None:
    """The events when nothing is wrong with any, as nearly always: half the time."""
    if None in values:
        return None
    try:
        return decoder.decode_all(cast("Sequence[bytes]", values))
    except SchemaError:
        return None


def _sorted(
    delivery: Delivery, events: list[Any], raw: list[Any], rejected: list[RejectedRecord]
) -> DecodedBatch:
    """Hand the events to who takes them; a topic carries one type."""
    match delivery.batch.topic:
        case CAMPAIGN_DEFINITION.name:
            return DecodedBatch(delivery, definitions=events, rejected=rejected)
        case CAMPAIGN_ALLOCATION.name:
            return DecodedBatch(delivery, allocations=events, rejected=rejected)
        case CONNECTION_STATE.name:
            return DecodedBatch(delivery, connections=events, rejected=rejected)
        case COHORT_DELTA.name:
            return DecodedBatch(delivery, deltas=events, rejected=rejected)
        case _:
            lines = lines_of(raw)  # now, while they are in the processor's cache
            return DecodedBatch(delivery, subject_events=events, rejected=rejected, lines=lines)


def _event(decoder: TopicDecoder, value: bytes | None) -> Event | str:
    """The event, or why there is none."""
    try:
        return decoder.decode(value)
    except SchemaError as error:
        return str(error)


def _rejected(batch: RecordBatch, record: Record, reason: str, now_ms: int) -> RejectedRecord:
    row = DeadLetter(
        topic=batch.topic,
        partition=batch.partition,
        record_offset=record.offset,
        reason=mask(reason)[:_MAX_REASON],
        seen_at_ms=now_ms,
    )
    return RejectedRecord(row, record.value or b"")
