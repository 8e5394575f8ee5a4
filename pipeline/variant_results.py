"""What each arm did: rates, money and return, with intervals. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final

from pipeline.arms import Arm
from pipeline.comparisons import MEANS, PROPORTIONS
from pipeline.rows import Campaign, Maturity, VariantResult
from pipeline.stats.best import RankResult, rank_means, rank_proportions
from pipeline.stats.lifts import divide_estimates
from pipeline.stats.means import estimate_mean
from pipeline.stats.proportions import estimate_proportion
from pipeline.stats.results import NAN, EstimateResult
from schemas.events import HOLDOUT

_RATES: Final = {
    "delivery_rate": "delivered",
    "click_rate": "clicked",
    "reply_rate": "replied",
    "conversion_rate": "converted",
    "opt_out_rate": "opted_out",
}
"""Rate → the counter over assigned recipients."""


UNRANKED: Final = RankResult(NAN, NAN)
"""Of the holdout, which nobody could choose."""


def rank_arms(campaign: Campaign, arms: Sequence[Arm]) -> dict[str, RankResult]:
    """Variant → its place among all variants by the primary metric."""
    variants = [arm for arm in arms if arm.variant_id != HOLDOUT]
    if campaign.metric in PROPORTIONS:
        counter = PROPORTIONS[campaign.metric]
        ranks = rank_proportions([(getattr(arm.counters, counter), arm.n) for arm in variants])
    else:
        summaries = [MEANS[campaign.metric](arm, campaign) for arm in variants]
        errors = [math.sqrt(max(0.0, summary.mean_variance)) for summary in summaries]
        ranks = rank_means([summary.mean for summary in summaries], errors)
    return {arm.variant_id: rank for arm, rank in zip(variants, ranks, strict=True)}


def variant_result(
    campaign: Campaign,
    arm: Arm,
    holdout: Arm | None,
    maturity: Maturity,
    rank: RankResult = UNRANKED,
) -> VariantResult:
    """The result row of one arm; returns compare with `holdout` when there is one."""
    counters = arm.counters
    cost = float(arm.cost_minor)
    reached = counters.accepted
    incremental = incremental_roi(campaign, arm, holdout)
    return VariantResult(
        campaign_id=campaign.campaign_id,
        variant_id=arm.variant_id,
        maturity=maturity,
        counters=counters,
        cost_minor=cost,
        cost_per_1000_minor=1000 * cost / reached if reached else NAN,
        segments_per_message=counters.segments / reached if reached else NAN,
        roi_incremental=incremental.estimate,
        roi_incremental_lower=incremental.ci_lower,
        roi_incremental_upper=incremental.ci_upper,
        p_best=rank.p_best,
        expected_loss=rank.expected_loss,
        roi_gross=campaign.margin * arm.net_revenue_minor / cost if cost else NAN,
        **_rates(arm),
        **_means(campaign, arm),
    )


def incremental_roi(campaign: Campaign, arm: Arm, holdout: Arm | None) -> EstimateResult:
    """(gain per recipient − gain per held-out recipient) / SMS cost per recipient."""
    if holdout is None or holdout is arm or not holdout.n or not arm.cost_minor:
        return EstimateResult(NAN, NAN, NAN)
    gain, base, cost = arm.gain(campaign), holdout.gain(campaign), arm.cost()
    return divide_estimates(
        gain.mean - base.mean,
        cost.mean,
        gain.mean_variance + base.mean_variance,
        cost.mean_variance,
        arm.gain_cost_covariance(campaign),
    )


def _rates(arm: Arm) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, counter in _RATES.items():
        hits = getattr(arm.counters, counter)
        rate = estimate_proportion(hits, arm.n)
        found |= {
            name: rate.estimate,
            f"{name}_lower": rate.ci_lower,
            f"{name}_upper": rate.ci_upper,
        }
    return found


def _means(campaign: Campaign, arm: Arm) -> dict[str, Any]:
    found: dict[str, Any] = {}
    summaries = {"revenue": arm.revenue(), "profit": arm.profit(campaign)}
    for name, summary in summaries.items():
        mean = estimate_mean(summary)
        found |= {
            f"{name}_per_recipient_minor": mean.estimate,
            f"{name}_per_recipient_lower": mean.ci_lower,
            f"{name}_per_recipient_upper": mean.ci_upper,
        }
    return found
