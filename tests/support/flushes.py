"""Flushes without Kafka."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from pipeline.batch import Delivery, RecordBatch
from pipeline.flush import DecodedBatch, Flush, lines_of
from pipeline.join.deltas import Deltas
from schemas.codec import encode
from schemas.events import SubjectEvent
from schemas.topics import topic_of
from tests.support.worker import FakeRecord

TOPIC = "sms.message.receipt.v1"


def flush(first: int, following: int, *, deltas: Deltas) -> Flush:
    """Some change, said to come from one range of offsets."""
    records = [FakeRecord(offset, b"") for offset in range(first, following)]
    batch = RecordBatch(TOPIC, 0, first, following, records)
    return Flush([DecodedBatch(Delivery(batch, lambda: None))], deltas)


def batches_of(
    events: Iterable[SubjectEvent], offsets: Mapping[tuple[str, int], int]
) -> list[DecodedBatch]:
    """What decoding gives for events of partition 0, one batch per topic, behind `offsets`."""
    topics: dict[str, list[SubjectEvent]] = {}
    for event in events:
        topics.setdefault(topic_of(event).name, []).append(event)
    found = []
    for topic, some in topics.items():
        first = offsets.get((topic, 0), 0)
        values = [encode(event) for event in some]
        records = [FakeRecord(first + n, value) for n, value in enumerate(values)]
        batch = RecordBatch(topic, 0, first, first + len(some), records)
        delivery = Delivery(batch, lambda: None)
        found.append(DecodedBatch(delivery, subject_events=some, lines=lines_of(values)))
    return found
