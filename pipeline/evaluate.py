"""From cohorts to results, comparisons, trust lights and a verdict. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.arms import Arm, add_up
from pipeline.comparisons import compare_arms
from pipeline.examined import Examined
from pipeline.health import check_health
from pipeline.looks import planned_shares
from pipeline.lost_records import lost_to
from pipeline.plan_faults import plan_fault
from pipeline.rows import (
    Campaign,
    Cohort,
    Comparison,
    Gap,
    HealthCheck,
    JoinHealth,
    Maturity,
    Variant,
    VariantResult,
    Verdict,
)
from pipeline.segments import NO_SEGMENTS, BySegment, compare_by_segment
from pipeline.variant_results import UNRANKED, rank_arms, variant_result
from pipeline.verdict import reach_verdict, refuse_plan
from schemas.events import HOLDOUT, CampaignDefined


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Everything that is said about one campaign."""

    variant_results: tuple[VariantResult, ...]
    comparisons: tuple[Comparison, ...]
    health_checks: tuple[HealthCheck, ...]
    verdict: Verdict
    by_segment: BySegment = NO_SEGMENTS


def evaluate(
    campaign: Campaign,
    variants: Sequence[Variant],
    cohorts: Sequence[Cohort],
    health: JoinHealth,
    watermark_ms: int,
    previous: Verdict | None = None,
    gaps: Sequence[Gap] = (),
) -> Evaluation:
    """Evaluate a campaign at a moment of event time.

    Args:
        campaign: The definition in force.
        variants: Its arms, without the holdout.
        cohorts: Rows of this campaign, whole and by attribute.
        health: What the join knows about data faults.
        watermark_ms: Event time up to which everything has been seen.
        previous: The last verdict, so that a reason near its limit does not come and go.
        gaps: Records that Kafka no longer had, of whichever campaign.

    Returns: The same for the same arguments, in whatever order the cohorts stand. For a
        definition that cannot be evaluated nothing but a verdict that says so.
    """
    fault = plan_fault(campaign, variants)
    if fault is not None:
        return Evaluation((), (), (), refuse_plan(campaign, fault, watermark_ms))
    examined = _examine(campaign, variants, cohorts, health, watermark_ms, gaps)
    by_maturity: dict[Maturity, Sequence[Arm]] = {"mature": examined.mature, "live": examined.live}
    shares = planned_shares(campaign, variants)
    results = [
        result
        for maturity, arms in by_maturity.items()
        for result in _variant_results(campaign, arms, maturity)
    ]
    comparisons = tuple(
        comparison
        for maturity, arms in by_maturity.items()
        for comparison in compare_arms(
            campaign, shares, arms, maturity, at_any_time=examined.at_any_time
        )
    )
    checks = tuple(check_health(examined))
    verdict = reach_verdict(examined, comparisons, checks, watermark_ms, previous)
    by_segment = compare_by_segment(examined, cohorts)
    return Evaluation(tuple(results), comparisons, checks, verdict, by_segment)


def _examine(
    campaign: Campaign,
    variants: Sequence[Variant],
    cohorts: Sequence[Cohort],
    health: JoinHealth,
    watermark_ms: int,
    gaps: Sequence[Gap],
) -> Examined:
    """Add the cohorts up per arm, everybody and the mature ones."""
    mature = [row for row in cohorts if _end_ms(row, campaign) <= watermark_ms]
    names = [variant.variant_id for variant in variants]
    if campaign.holdout or any(row.variant_id == HOLDOUT for row in cohorts):
        names.append(HOLDOUT)
    live_arms = [add_up(name, cohorts, campaign.currency) for name in names]
    mature_arms = [add_up(name, mature, campaign.currency) for name in names]
    last = max((_end_ms(row, campaign) for row in cohorts), default=None)
    left = None if last is None else max(0, math.ceil((last - watermark_ms) / 1000))
    lost = lost_to(campaign, cohorts, gaps)
    return Examined(campaign, variants, live_arms, mature_arms, health, left, lost)


def _variant_results(
    campaign: Campaign, arms: Sequence[Arm], maturity: Maturity
) -> list[VariantResult]:
    holdout = next((arm for arm in arms if arm.variant_id == HOLDOUT), None)
    ranks = rank_arms(campaign, arms)
    return [
        variant_result(campaign, arm, holdout, maturity, ranks.get(arm.variant_id, UNRANKED))
        for arm in arms
    ]


def campaign_rows(definition: CampaignDefined) -> tuple[Campaign, tuple[Variant, ...]]:
    """The rows of a definition."""
    campaign = Campaign(
        campaign_id=definition.campaign_id,
        plan_version=definition.plan_version,
        plan_hash=definition.plan_hash,
        defined_at_ms=definition.occurred_at_ms,
        purpose=definition.purpose,
        language=definition.language,
        metric=definition.goal.metric,
        window_ms=definition.goal.window_ms,
        minimum_effect=definition.goal.minimum_effect,
        control=definition.control,
        holdout=definition.holdout,
        currency=definition.costs.currency,
        price_per_segment_micro=definition.costs.price_per_segment_micro,
        billed_on=definition.costs.billed_on,
        margin=definition.costs.margin,
        opt_out_cost_minor=definition.costs.opt_out_cost_minor,
        method=definition.plan.method,
        alpha=definition.plan.alpha,
        power=definition.plan.power,
        expected_n=definition.plan.expected_n,
        family=definition.plan.family,
        cap_minor=definition.plan.cap_minor,
        covariate=definition.plan.covariate,
        opt_out_margin=definition.guardrails.get("opt_out_rate", math.nan),
        audience_size=definition.audience_size,
    )
    variants = tuple(
        Variant(
            campaign_id=definition.campaign_id,
            variant_id=variant.variant_id,
            share=variant.share,
            template=variant.template,
            is_control=variant.variant_id == definition.control,
        )
        for variant in definition.variants
    )
    return campaign, variants


def _end_ms(cohort: Cohort, campaign: Campaign) -> int:
    """When the last recipient of a cohort has had the whole window."""
    return cohort.cohort_start_ms + cohort.cohort_width_ms + campaign.window_ms
