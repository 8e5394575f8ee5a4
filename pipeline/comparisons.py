"""Every variant against the control and the holdout, and what decides as one family. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from pipeline.arms import Arm
from pipeline.families import share_error
from pipeline.looks import Found
from pipeline.measures import MONEY, PROPORTIONS, Measured, Pair, summary_of
from pipeline.rows import Campaign, Comparison, Maturity
from pipeline.stats.lifts import estimate_lift
from pipeline.stats.multiplicity import compare_with_control
from pipeline.stats.results import NAN, ROOT_TWO, DifferenceResult, LiftResult
from schemas.events import HOLDOUT

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
    """Every variant against the control and against the holdout; what decides comes first.

    With k treatments the intervals of the deciding comparisons have level 1 − alpha/k each
    (Bonferroni; those of Dunnett 1 − alpha together), and their p-values are adjusted by the
    plan's family. `shares`: arm → planned share of all.
    """
    look = _Look(campaign, shares, maturity, at_any_time)
    by_id = {arm.variant_id: arm for arm in arms}
    variants = [arm for arm in arms if arm.variant_id != HOLDOUT]
    control = by_id[campaign.control]
    treatments = [arm for arm in variants if arm is not control]
    yield from share_error(campaign, look.decide(control, treatments), at_any_time=at_any_time)
    for treatment in treatments:
        for metric in (*PROPORTIONS, *MONEY):
            if metric != campaign.metric:
                yield look.compare(control, treatment, metric)
    if HOLDOUT in by_id and by_id[HOLDOUT].n:
        for variant in variants:
            for metric in _AGAINST_HOLDOUT:
                yield look.compare(by_id[HOLDOUT], variant, metric)


@dataclass(frozen=True, slots=True)
class _Look:
    """One look at the arms of a campaign."""

    campaign: Campaign
    shares: Mapping[str, float]
    maturity: Maturity
    at_any_time: bool

    def compare(self, control: Arm, treatment: Arm, metric: str) -> Comparison:
        """What is shown beside, at the plan's level, whatever else is compared."""
        pair = self._pair(control, treatment, metric, 1 - self.campaign.alpha)
        return self._row(pair, pair.measure())

    def decide(self, control: Arm, treatments: Sequence[Arm]) -> list[Comparison]:
        """The primary metric of every treatment; p-values as they are, Dunnett's adjusted."""
        campaign = self.campaign
        together = campaign.family == "dunnett" and not self.at_any_time
        share = 1 if together else max(1, len(treatments))
        level = 1 - campaign.alpha / share
        pair = partial(self._pair, control, metric=campaign.metric, level=level, decides=True)
        pairs = [pair(arm) for arm in treatments]
        measured = _dunnett(pairs) if together else [each.measure() for each in pairs]
        return [self._row(each, found) for each, found in zip(pairs, measured, strict=True)]

    def _pair(
        self, control: Arm, treatment: Arm, metric: str, level: float, *, decides: bool = False
    ) -> Pair:
        at_any_time = self.at_any_time
        return Pair(
            self.campaign, self.shares, control, treatment, metric, level, at_any_time, decides
        )

    def _row(self, pair: Pair, measured: Measured) -> Comparison:
        (found, method, _), lift = measured.found, _lift(measured)
        return Comparison(
            campaign_id=self.campaign.campaign_id,
            metric=pair.metric,
            control=pair.control.variant_id,
            treatment=pair.treatment.variant_id,
            maturity=self.maturity,
            decides=pair.decides,
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
            pvalue_adjusted=NAN,
            method=method,
            confidence_level=pair.level,
            raw_effect_size=pair.raw_effect,
            variance_ratio=measured.variance_ratio,
        )


def _lift(measured: Measured) -> LiftResult:
    found, _, level = measured.found
    if level is None:
        return LiftResult(NAN, NAN, NAN)
    return estimate_lift(found.control, found.treatment, *measured.errors, confidence_level=level)


def _dunnett(pairs: Sequence[Pair]) -> list[Measured]:
    """All treatments against the control at once; money only (`campaigns.plan_rules`)."""
    if not pairs:
        return []
    campaign, metric, level = pairs[0].campaign, pairs[0].metric, pairs[0].level
    control, *treatments = (
        summary_of(arm, metric, campaign)
        for arm in (pairs[0].control, *(pair.treatment for pair in pairs))
    )
    together = compare_with_control(control, treatments, confidence_level=level)
    return [
        _reaching(found, (_error(control.mean_variance), _error(arm.mean_variance)))
        for found, arm in zip(together, treatments, strict=True)
    ]


def _reaching(found: DifferenceResult, errors: tuple[float, float]) -> Measured:
    """With the level at which an interval of its own would reach as far, for the lift."""
    error = math.hypot(*errors)
    spread = found.ci_upper - found.effect_size
    level = math.erf(spread / error / ROOT_TWO) if error > 0 else NAN
    return Measured(Found(found, "dunnett", level if 0 < level < 1 else None), errors)


def _error(variance: float) -> float:
    return math.sqrt(variance) if variance >= 0 else NAN
