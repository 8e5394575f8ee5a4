"""Treatment against control, metric by metric. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from pipeline.arms import Arm
from pipeline.looks import Found, compare_counts, compare_sums, expected_pair
from pipeline.rows import Campaign, Comparison, Maturity
from pipeline.stats.lifts import estimate_lift
from pipeline.stats.means import MeanSummary
from pipeline.stats.results import LiftResult
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


def deciding_events(arm: Arm, campaign: Campaign) -> int:
    """How often what the primary metric rests on has happened; for money, conversions."""
    count: int = getattr(arm.counters, PROPORTIONS.get(campaign.metric, "converted"))
    return count


_AGAINST_HOLDOUT: Final = ("conversion_rate", "revenue_per_recipient", "profit_per_recipient")
"""Nobody of the holdout can click, reply or opt out of a message."""


def compare_arms(
    campaign: Campaign,
    shares: Mapping[str, float],
    arms: Sequence[Arm],
    maturity: Maturity,
    *,
    at_any_time: bool,
) -> Iterator[Comparison]:
    """Every variant against the control and against the holdout.

    With k treatments the deciding comparisons have level 1 − alpha/k each (Bonferroni), so
    that the chance of any false winner stays at alpha. `shares`: arm → planned share of all.
    """
    by_id = {arm.variant_id: arm for arm in arms}
    variants = [arm for arm in arms if arm.variant_id != HOLDOUT]
    control = by_id[campaign.control]
    treatments = [arm for arm in variants if arm is not control]
    for treatment in treatments:
        for metric in (*PROPORTIONS, *MEANS):
            decides = metric == campaign.metric
            level = 1 - campaign.alpha / (len(treatments) if decides else 1)
            pair = Pair(campaign, shares, control, treatment, level, at_any_time)
            yield _compare(pair, metric, maturity, decides=decides)
    if HOLDOUT in by_id and by_id[HOLDOUT].n:
        for variant in variants:
            level = 1 - campaign.alpha
            pair = Pair(campaign, shares, by_id[HOLDOUT], variant, level, at_any_time)
            for metric in _AGAINST_HOLDOUT:
                yield _compare(pair, metric, maturity, decides=False)


class Pair(NamedTuple):
    """Two arms and the level at which they are compared."""

    campaign: Campaign
    shares: Mapping[str, float]
    control: Arm
    treatment: Arm
    level: float
    at_any_time: bool

    def difference(self, metric: str) -> tuple[Found, tuple[float, float]]:
        """Treatment minus control, and the standard errors of both."""
        arms = (self.control, self.treatment)
        names = [arm.variant_id for arm in arms]
        expected_n = expected_pair(self.campaign, self.shares, *names)
        if metric in PROPORTIONS:
            hits = [getattr(arm.counters, PROPORTIONS[metric]) for arm in arms]
            pairs = [(count, arm.n) for count, arm in zip(hits, arms, strict=True)]
            found = compare_counts(
                metric,
                *pairs,
                level=self.level,
                expected_n=expected_n,
                at_any_time=self.at_any_time,
            )
            return found, (_share_error(*pairs[0]), _share_error(*pairs[1]))
        first, second = (MEANS[metric](arm, self.campaign) for arm in arms)
        found = compare_sums(
            first,
            second,
            level=self.level,
            expected_n=expected_n,
            at_any_time=self.at_any_time,
        )
        return found, (_root(first.mean_variance), _root(second.mean_variance))


def _compare(pair: Pair, metric: str, maturity: Maturity, *, decides: bool) -> Comparison:
    (found, method, lift_level), errors = pair.difference(metric)
    lift = LiftResult(math.nan, math.nan, math.nan)
    if lift_level is not None:
        values = found.control, found.treatment
        lift = estimate_lift(*values, *errors, confidence_level=lift_level)
    return Comparison(
        campaign_id=pair.campaign.campaign_id,
        metric=metric,
        control=pair.control.variant_id,
        treatment=pair.treatment.variant_id,
        maturity=maturity,
        decides=decides,
        control_n=pair.control.n,
        treatment_n=pair.treatment.n,
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
        confidence_level=pair.level,
    )


def _share_error(hits: int, trials: int) -> float:
    return math.sqrt(hits * (trials - hits) / trials**3) if trials else math.nan


def _root(value: float) -> float:
    return math.sqrt(value) if value >= 0 else math.nan
