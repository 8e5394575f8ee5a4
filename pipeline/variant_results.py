"""What each arm did: rates, money and return, with intervals. Pure."""

from __future__ import annotations

from typing import Any, Final

from pipeline.arms import Arm
from pipeline.rows import Campaign, Maturity, VariantResult
from pipeline.stats.means import mean_interval
from pipeline.stats.proportions import NAN, Interval, wilson_interval
from pipeline.stats.ratios import fieller_interval

_RATES: Final = {
    "delivery_rate": "delivered",
    "click_rate": "clicked",
    "reply_rate": "replied",
    "conversion_rate": "converted",
    "opt_out_rate": "opted_out",
}
"""Rate → the counter over assigned recipients."""


def variant_result(
    campaign: Campaign, arm: Arm, holdout: Arm | None, maturity: Maturity
) -> VariantResult:
    """The result row of one arm; returns compare with `holdout` when there is one."""
    counters = arm.counters
    cost = float(arm.cost_minor)
    reached = counters.accepted
    incremental, bounds = incremental_roi(campaign, arm, holdout)
    return VariantResult(
        campaign_id=campaign.campaign_id,
        variant_id=arm.variant_id,
        maturity=maturity,
        counters=counters,
        cost_minor=cost,
        cost_per_1000_minor=1000 * cost / reached if reached else NAN,
        segments_per_message=counters.segments / reached if reached else NAN,
        roi_incremental=incremental,
        roi_incremental_lower=bounds.lower,
        roi_incremental_upper=bounds.upper,
        roi_gross=campaign.margin * arm.net_revenue_minor / cost if cost else NAN,
        **_rates(arm),
        **_means(campaign, arm),
    )


def incremental_roi(campaign: Campaign, arm: Arm, holdout: Arm | None) -> tuple[float, Interval]:
    """(gain per recipient − gain per held-out recipient) / SMS cost per recipient."""
    if holdout is None or holdout is arm or not holdout.n or not arm.cost_minor:
        return NAN, Interval(NAN, NAN)
    gain, base, cost = arm.gain(campaign), holdout.gain(campaign), arm.cost()
    numerator = gain.mean - base.mean
    bounds = fieller_interval(
        numerator,
        cost.mean,
        gain.mean_variance + base.mean_variance,
        cost.mean_variance,
        arm.gain_cost_covariance(campaign),
    )
    return numerator / cost.mean, bounds


def _rates(arm: Arm) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, counter in _RATES.items():
        hits = getattr(arm.counters, counter)
        bounds = wilson_interval(hits, arm.n)
        found |= {
            name: hits / arm.n if arm.n else NAN,
            f"{name}_lower": bounds.lower,
            f"{name}_upper": bounds.upper,
        }
    return found


def _means(campaign: Campaign, arm: Arm) -> dict[str, Any]:
    found: dict[str, Any] = {}
    summaries = {"revenue": arm.revenue(), "profit": arm.profit(campaign)}
    for name, summary in summaries.items():
        bounds = mean_interval(summary)
        found |= {
            f"{name}_per_recipient_minor": summary.mean,
            f"{name}_per_recipient_lower": bounds.lower,
            f"{name}_per_recipient_upper": bounds.upper,
        }
    return found
