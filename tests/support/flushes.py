"""Flushes without Kafka."""

from __future__ import annotations

from pipeline.batch import Delivery, RecordBatch
from pipeline.flush import DecodedBatch, Flush
from pipeline.join.deltas import Deltas
from tests.support.worker import FakeRecord

TOPIC = "sms.message.receipt.v1"


def flush(first: int, following: int, *, deltas: Deltas) -> Flush:
    """Some change, said to come from one range of offsets."""
    records = [FakeRecord(offset, b"") for offset in range(first, following)]
    batch = RecordBatch(TOPIC, 0, first, following, records)
    return Flush([DecodedBatch(Delivery(batch, lambda: None))], deltas)
