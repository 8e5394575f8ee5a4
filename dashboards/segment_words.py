"""Segments in words: which are shown, and whether they differ by more than chance. Pure."""

from __future__ import annotations

import math

from dashboards.facts import Decision
from dashboards.texts import Words
from pipeline.join.cohorts import OTHER
from pipeline.rows import Segment, SegmentCheck


def by_attribute(decision: Decision) -> list[tuple[SegmentCheck, list[Segment]]]:
    """Every attribute of the treatment that the verdict is about, its largest segments first.

    Who is in no named segment comes last.
    """
    treatment = _treatment(decision)
    return [
        (check, sorted((s for s in decision.segments if _belongs(s, check)), key=_is_rest))
        for check in decision.segment_checks
        if check.treatment == treatment
    ]


def sentence(words: Words, decision: Decision, check: SegmentCheck) -> str:
    """Whether the segments of an attribute differ by more than chance."""
    if math.isnan(check.pvalue_adjusted):
        return words("segments.unknown")
    is_more = check.pvalue_adjusted <= decision.campaign.alpha
    return words("segments.unequal" if is_more else "segments.equal", treatment=check.treatment)


def value_name(words: Words, value: str) -> str:
    """The value as people call it."""
    if not value:
        return words("segment.absent")
    return words("segment.other") if value == OTHER else value


def _treatment(decision: Decision) -> str | None:
    verdict, control = decision.verdict, decision.campaign.control
    if verdict is not None and verdict.variant_id not in {None, control}:
        return verdict.variant_id
    best = decision.compared(decision.campaign.metric)
    return None if best is None else best.treatment


def _is_rest(row: Segment) -> bool:
    return row.value in {"", OTHER}


def _belongs(row: Segment, check: SegmentCheck) -> bool:
    return (row.attribute, row.treatment) == (check.attribute, check.treatment)
