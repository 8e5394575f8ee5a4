"""Records that Kafka removed before they were read: said once, skipped, never forgotten."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from types import MappingProxyType

from pipeline.storage.deltas import gaps_table
from pipeline.storage.state import State
from schemas.topics import TOPICS

_COMPACTED = frozenset(topic.name for topic in TOPICS if topic.cleanup == "compact")
_log = logging.getLogger(__name__)

Offsets = Mapping[tuple[str, int], int]
_UNKNOWN: Offsets = MappingProxyType({})


def skip_lost(state: State, beginnings: Offsets, now_ms: int, left_ms: Offsets = _UNKNOWN) -> int:
    """Move stored offsets below the begin of the log up to it, with a row in `gaps` for each.

    Without this, a partition that retention has emptied would show its loss only with the next
    record, perhaps never. A partition that was not read yet counts from 0.

    Args:
        state: Is changed.
        beginnings: Oldest offset that each partition has.
        now_ms: When they were met.
        left_ms: Kafka's time of the oldest record, of partitions that have one.

    Returns:
        How many offsets are lost now.
    """
    stored = state.offsets()
    lost = 0
    with state.transaction():
        for (topic, partition), beginning in sorted(beginnings.items()):
            offset = stored.get((topic, partition), 0)
            if topic in _COMPACTED or offset >= beginning:
                continue
            missing = beginning - offset
            lost += missing
            written_before_ms = left_ms.get((topic, partition))
            gap = topic, partition, offset, beginning, missing, written_before_ms
            state.run("gaps", gaps_table([gap], now_ms))
            state.connection.execute(
                'DELETE FROM offsets WHERE topic = ? AND "partition" = ?', [topic, partition]
            )
            state.connection.execute(
                "INSERT INTO offsets VALUES (?, ?, ?)", [topic, partition, beginning]
            )
            fields = {"topic": topic, "partition": partition, "missing": missing}
            _log.error("Kafka removed records before they were read", extra={"fields": fields})
    return lost
