"""What each arm did: rates, money and return, with intervals. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final

from pipeline.arms import Arm, prices_of, profit_of, revenue_of
from pipeline.measures import PROPORTIONS, counts_of, summary_of
from pipeline.rows import Campaign, Maturity, VariantResult
from pipeline.stats.best import RankResult, rank_means, rank_proportions
from pipeline.stats.means import estimate_mean
from pipeline.stats.profit import RoiResult, estimate_incremental_roi
from pipeline.stats.proportions import estimate_proportion
from pipeline.stats.results import NAN
from schemas.events import DIRECTIONS, HOLDOUT

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
    metric, is_higher = campaign.metric, DIRECTIONS[campaign.metric] == "higher"
    if metric in PROPORTIONS:
        counts = [counts_of(arm, metric) for arm in variants]
        ranks = rank_proportions(counts, higher_is_better=is_higher)
    else:
        summaries = [summary_of(arm, metric, campaign) for arm in variants]
        errors = [math.sqrt(max(0.0, summary.mean_variance)) for summary in summaries]
        means = [summary.mean for summary in summaries]
        ranks = rank_means(means, errors, higher_is_better=is_higher)
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
        **incremental._asdict(),
        p_best=rank.p_best,
        expected_loss=rank.expected_loss,
        roi_gross=campaign.margin * arm.net_revenue_minor / cost if cost else NAN,
        **_rates(arm),
        **_means(campaign, arm),
    )


def incremental_roi(campaign: Campaign, arm: Arm, holdout: Arm | None) -> RoiResult:
    """(gain per recipient − gain per held-out recipient) / SMS cost per recipient; no cap."""
    if holdout is None or holdout is arm:
        return RoiResult(NAN, NAN, NAN)
    return estimate_incremental_roi(arm.money, holdout.money, prices_of(campaign))


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
    money = arm.money
    summaries = {"revenue": revenue_of(money), "profit": profit_of(money, campaign)}
    for name, summary in summaries.items():
        mean = estimate_mean(summary)
        found |= {
            f"{name}_per_recipient_minor": mean.estimate,
            f"{name}_per_recipient_lower": mean.ci_lower,
            f"{name}_per_recipient_upper": mean.ci_upper,
        }
    return found
