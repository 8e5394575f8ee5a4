"""One person in one campaign: the unit that every count and every test rests on."""

from __future__ import annotations

import msgspec

from pipeline.join.facts import Assignment


class Exposure(msgspec.Struct, gc=False):
    """An assigned recipient and the outcomes; the integers are those of `rows.Counters`."""

    assignment: Assignment
    key: str
    """Fact key of the assignment."""
    first_click_ms: int | None = None
    """First human click."""
    assigned: int = 1
    blocked: int = 0
    submitted: int = 0
    accepted: int = 0
    rejected: int = 0
    unknown: int = 0
    delivered: int = 0
    failed: int = 0
    replied: int = 0
    opted_out: int = 0
    clicked: int = 0
    bot_clicked: int = 0
    converted: int = 0
    attributed: int = 0
    conflicts: int = 0
    segments: int = 0
    cost_micro: int = 0
    revenue_minor: int = 0
    refunded_minor: int = 0


Exposures = dict[str, Exposure]
"""campaign_id → exposure."""
