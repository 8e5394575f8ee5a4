"""Events as decoding hands them over, for what is measured without Kafka."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable

from benchmarks.stages import Kept
from pipeline.batch import Delivery, RecordBatch
from pipeline.flush import DecodedBatch, lines_of
from schemas.codec import encode
from schemas.events import SubjectEvent
from schemas.topics import JOINED_TOPICS, topic_of


def batches_of(events: Iterable[SubjectEvent], offsets: Counter[str]) -> list[DecodedBatch]:
    """One batch per topic of partition 0, causes before effects.

    Args:
        events: In any order.
        offsets: Topic → where its batch begins; moved on.
    """
    topics: defaultdict[str, list[SubjectEvent]] = defaultdict(list)
    for event in events:
        topics[topic_of(event).name].append(event)
    return [
        _batch(topic.name, topics[topic.name], offsets)
        for topic in JOINED_TOPICS
        if topic.name in topics
    ]


def _batch(topic: str, events: list[SubjectEvent], offsets: Counter[str]) -> DecodedBatch:
    first, raw = offsets[topic], [encode(event) for event in events]
    offsets[topic] += len(events)
    records = [Kept(first + place, value) for place, value in enumerate(raw)]
    batch = RecordBatch(topic, 0, first, offsets[topic], records)
    return DecodedBatch(Delivery(batch, lambda: None), subject_events=events, lines=lines_of(raw))
