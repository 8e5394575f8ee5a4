"""The goal by segment: exploratory, looked at once, when everybody has had the window. Pure.

A segment winner is a hypothesis for the next test, so nothing here reaches the verdict.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

import msgspec

from pipeline.arms import Arm, add_up, add_up_segments
from pipeline.examined import Examined
from pipeline.looks import Found, planned_shares
from pipeline.measures import Measured, Pair, deciding_events, summary_of
from pipeline.rows import Cohort, Segment, SegmentCheck
from pipeline.stats.multiplicity import adjust_pvalues
from pipeline.stats.results import NAN, DifferenceResult
from pipeline.stats.segments import compare_segments

SMALLEST: Final = 25
"""Deciding events in each arm of a segment from which its effect is near normal: Cochran's Q then
errs as often as it says (gate `equal_segments`)."""
Row = tuple[Segment, Measured]


class BySegment(NamedTuple):
    """What is said about segments."""

    segments: Sequence[Segment] = ()
    checks: Sequence[SegmentCheck] = ()


NO_SEGMENTS: Final = BySegment()


def compare_by_segment(examined: Examined, cohorts: Iterable[Cohort]) -> BySegment:
    """Every treatment against the control in every segment; nothing before the end.

    p-values are adjusted by Benjamini & Hochberg over all segments of the campaign, those of
    Cochran's Q by Holm over attributes and treatments. Intervals are unadjusted. The plan's
    covariate is not used.
    """
    if not examined.is_over:
        return NO_SEGMENTS
    found = add_up_segments(cohorts, examined.campaign.currency)
    control = examined.campaign.control
    treatments = [v.variant_id for v in examined.variants if v.variant_id != control]
    attributes = dict.fromkeys(attribute for attribute, _ in sorted(found))
    groups = [
        [
            _compare(examined, attribute, value, arms, treatment)
            for (name, value), arms in sorted(found.items())
            if name == attribute
        ]
        for treatment in treatments
        for attribute in attributes
    ]
    segments = [row for group in groups for row, _ in group]
    adjusted = adjust_pvalues([row.pvalue for row in segments], method="bh")
    checks = [_check(group) for group in groups]
    together = adjust_pvalues([check.heterogeneity_pvalue for check in checks])
    replace = msgspec.structs.replace
    return BySegment(
        [replace(row, pvalue_adjusted=p) for row, p in zip(segments, adjusted, strict=True)],
        [replace(row, pvalue_adjusted=p) for row, p in zip(checks, together, strict=True)],
    )


def _compare(
    examined: Examined, attribute: str, value: str, arms: Mapping[str, Arm], treatment: str
) -> Row:
    campaign = examined.campaign
    first, second = (
        arms.get(name) or add_up(name, (), campaign.currency)
        for name in (campaign.control, treatment)
    )
    shares = planned_shares(campaign, examined.variants)
    level = 1 - campaign.alpha
    pair = Pair(campaign, shares, first, second, campaign.metric, level, at_any_time=False)
    is_known = all(deciding_events(arm, campaign) >= SMALLEST for arm in (first, second))
    measured = pair.measure() if is_known else _unknown(pair)
    found = measured.found.difference
    segment = Segment(
        campaign_id=campaign.campaign_id,
        attribute=attribute,
        value=value,
        control=first.variant_id,
        treatment=treatment,
        control_n=first.n,
        treatment_n=second.n,
        control_value=found.control,
        treatment_value=found.treatment,
        effect_size=found.effect_size,
        ci_lower=found.ci_lower,
        ci_upper=found.ci_upper,
        pvalue=found.pvalue,
        pvalue_adjusted=NAN,
        method=measured.found.method,
        confidence_level=level,
    )
    return segment, measured


def _unknown(pair: Pair) -> Measured:
    """Both values, and no word on their difference."""
    first, second = (
        summary_of(arm, pair.metric, pair.campaign).mean for arm in (pair.control, pair.treatment)
    )
    found = DifferenceResult(first, second, NAN, NAN, NAN, NAN)
    return Measured(Found(found, "too_few", None), (NAN, NAN))


def _check(group: Sequence[Row]) -> SegmentCheck:
    """Whether the effects of one attribute's segments differ by more than chance."""
    effects = [row.effect_size for row, _ in group]
    errors = [math.hypot(*measured.errors) for _, measured in group]
    found = compare_segments(effects, errors, [row.pvalue for row, _ in group])
    (first, _), *_ = group
    return SegmentCheck(
        campaign_id=first.campaign_id,
        attribute=first.attribute,
        treatment=first.treatment,
        segments=sum(math.isfinite(error) for error in errors),
        effect_size=found.effect_size,
        heterogeneity=found.heterogeneity,
        df=found.df,
        heterogeneity_pvalue=found.heterogeneity_pvalue,
        pvalue_adjusted=NAN,
    )
