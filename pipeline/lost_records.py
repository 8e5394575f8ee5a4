"""Which campaigns are concerned when Kafka removed records before they were read. Pure."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from pipeline.arms import Arm
from pipeline.join.horizon import DAY_MS, HORIZON_MS
from pipeline.rows import Campaign, Cohort, Gap
from schemas.topics import (
    CONVERSION_RECORDED,
    INBOUND_RECEIVED,
    LINK_CLICKED,
    MESSAGE_RECEIPT,
    MESSAGE_SUBMITTED,
    RECIPIENT_ASSIGNED,
)

LATE_MS: Final = HORIZON_MS
"""After the window: replies count for a week, receipts come within three days."""
CLOCKS_MS: Final = DAY_MS
"""A record's time in Kafka is its producer's, of when it was queued.

So the first record left may name a moment before it was written: by as long as the broker was
away meanwhile, and by a clock that is behind that of whoever defines campaigns. Hours happen,
a day is noticed.
"""
FIRST_VERSION: Final = 1
"""Of a plan; when a later one was defined does not say when the campaign began."""
COUNTED: Final[Mapping[str, tuple[str, ...]]] = {
    RECIPIENT_ASSIGNED.name: ("assigned",),
    MESSAGE_SUBMITTED.name: ("submitted",),
    MESSAGE_RECEIPT.name: ("delivered", "failed"),
    INBOUND_RECEIVED.name: ("replied",),
    LINK_CLICKED.name: ("clicked", "bot_clicked"),
    CONVERSION_RECORDED.name: ("converted",),
}
"""Topic about people → counters, each of which took at least one of its records."""


def lost_to(campaign: Campaign, cohorts: Sequence[Cohort], gaps: Iterable[Gap]) -> dict[str, int]:
    """Topic → records that are missing and may have been about a campaign.

    What they said nobody knows, only between which moments they were written. So a gap concerns
    every campaign that had begun when it was met, but those whose whole audience had had its
    window and a week more when everything had last been read, and those that were first defined
    when all that is missing had been written.
    """
    begin_ms, end_ms = _life(campaign, cohorts)
    earliest_ms = _earliest_ms(campaign, cohorts)
    lost: Counter[str] = Counter()
    for gap in gaps:
        is_over = end_ms is not None and end_ms + LATE_MS <= (gap.written_after_ms or 0)
        is_later = earliest_ms is not None and earliest_ms > _last_ms(gap)
        if gap.topic in COUNTED and begin_ms <= gap.seen_at_ms and not is_over and not is_later:
            lost[gap.topic] += gap.missing
    return dict(lost)


def counted_of(topic: str, arms: Iterable[Arm]) -> int:
    """How many records of a topic a campaign has at least."""
    return sum(getattr(arm.counters, name) for arm in arms for name in COUNTED[topic])


def _life(campaign: Campaign, cohorts: Sequence[Cohort]) -> tuple[int, int | None]:
    """When a campaign began and its last window ended; `None`: people are still to come."""
    whole = [row for row in cohorts if not row.dimension]
    begin_ms = min((row.cohort_start_ms for row in whole), default=campaign.defined_at_ms)
    assigned = sum(row.counters.assigned for row in whole)
    expected = campaign.audience_size
    if not assigned or expected is None or assigned < expected:
        return begin_ms, None
    ends = (row.cohort_start_ms + row.cohort_width_ms + campaign.window_ms for row in whole)
    return begin_ms, max(ends)


def _earliest_ms(campaign: Campaign, cohorts: Sequence[Cohort]) -> int | None:
    """Before which moment nothing about a campaign was written; `None`: unknown.

    Its first recipients may be among the missing, so those who are known do not say it. The
    first definition does, unless recipients came before it.
    """
    defined_ms = campaign.defined_at_ms
    is_late = any(row.cohort_start_ms + row.cohort_width_ms <= defined_ms for row in cohorts)
    return defined_ms if campaign.plan_version == FIRST_VERSION and not is_late else None


def _last_ms(gap: Gap) -> float:
    """When the last of the missing records may have been written."""
    known = gap.written_before_ms
    return math.inf if known is None else known + CLOCKS_MS
