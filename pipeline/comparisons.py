"""Treatment against control, metric by metric. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

from pipeline.arms import Arm
from pipeline.rows import Campaign, Comparison, Maturity
from pipeline.stats.lifts import estimate_lift
from pipeline.stats.means import MeanSummary, compare_means
from pipeline.stats.proportions import compare_proportions
from pipeline.stats.results import DifferenceResult
from schemas.events import HOLDOUT

PROPORTIONS: Final = {
    "conversion_rate": "converted",
    "click_rate": "clicked",
    "reply_rate": "replied",
    "opt_out_rate": "opted_out",
}
MEANS: Final[Mapping[str, Callable[[Arm, Campaign], MeanSummary]]] = {
    "revenue_per_recipient": lambda arm, _: arm.revenue(),
    "profit_per_recipient": lambda arm, campaign: arm.profit(campaign),
}
_AGAINST_HOLDOUT: Final = ("conversion_rate", "revenue_per_recipient", "profit_per_recipient")
"""Nobody of the holdout can click, reply or opt out of a message."""


def compare_arms(
    campaign: Campaign, arms: Sequence[Arm], maturity: Maturity
) -> Iterator[Comparison]:
    """Every variant against the control and against the holdout.

    With k treatments the deciding comparisons have level 1 − alpha/k each (Bonferroni), so
    that the chance of any false winner stays at alpha.
    """
    by_id = {arm.variant_id: arm for arm in arms}
    variants = [arm for arm in arms if arm.variant_id != HOLDOUT]
    control = by_id[campaign.control]
    treatments = [arm for arm in variants if arm is not control]
    for treatment in treatments:
        for metric in (*PROPORTIONS, *MEANS):
            decides = metric == campaign.metric
            level = 1 - campaign.alpha / (len(treatments) if decides else 1)
            yield _compare(campaign, metric, control, treatment, maturity, level, decides=decides)
    if HOLDOUT in by_id and by_id[HOLDOUT].n:
        for variant in variants:
            for metric in _AGAINST_HOLDOUT:
                level = 1 - campaign.alpha
                holdout = by_id[HOLDOUT]
                yield _compare(campaign, metric, holdout, variant, maturity, level, decides=False)


def _compare(
    campaign: Campaign,
    metric: str,
    control: Arm,
    treatment: Arm,
    maturity: Maturity,
    level: float,
    *,
    decides: bool,
) -> Comparison:
    found, errors, method = _difference(campaign, metric, control, treatment, level)
    lift = estimate_lift(found.control, found.treatment, *errors, confidence_level=level)
    return Comparison(
        campaign_id=campaign.campaign_id,
        metric=metric,
        control=control.variant_id,
        treatment=treatment.variant_id,
        maturity=maturity,
        decides=decides,
        control_n=control.n,
        treatment_n=treatment.n,
        control_value=found.control,
        treatment_value=found.treatment,
        effect_size=found.effect_size,
        ci_lower=found.ci_lower,
        ci_upper=found.ci_upper,
        relative_lift=lift.relative_lift,
        relative_lift_lower=lift.relative_lift_lower,
        relative_lift_upper=lift.relative_lift_upper,
        pvalue=found.pvalue,
        method=method,
        confidence_level=level,
    )


def _difference(
    campaign: Campaign, metric: str, control: Arm, treatment: Arm, level: float
) -> tuple[DifferenceResult, tuple[float, float], str]:
    if metric in PROPORTIONS:
        counter = PROPORTIONS[metric]
        pairs = [(getattr(arm.counters, counter), arm.n) for arm in (control, treatment)]
        found = compare_proportions(pairs[0], pairs[1], confidence_level=level)
        errors = (_share_error(*pairs[0]), _share_error(*pairs[1]))
        return found, errors, "newcombe"
    first, second = (MEANS[metric](arm, campaign) for arm in (control, treatment))
    errors = (_root(first.mean_variance), _root(second.mean_variance))
    return compare_means(first, second, confidence_level=level), errors, "welch"


def _share_error(hits: int, trials: int) -> float:
    return math.sqrt(hits * (trials - hits) / trials**3) if trials else math.nan


def _root(value: float) -> float:
    return math.sqrt(value) if value >= 0 else math.nan
