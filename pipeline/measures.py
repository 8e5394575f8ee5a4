"""One metric of two arms: the difference, its interval and p-value, as the plan measures. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import Final, NamedTuple

from pipeline.arms import Arm, past_profit, profit_of, revenue_of
from pipeline.join.cohorts import COUNTED
from pipeline.looks import Found, compare_counts, compare_sums, expected_pair, is_rare
from pipeline.rows import Campaign
from pipeline.stats.cuped import adjust_means
from pipeline.stats.means import MeanSummary
from pipeline.stats.pairs import PairSummary
from pipeline.stats.profit import MoneySummary
from pipeline.stats.results import NAN, Counts

PROPORTIONS: Final = {**COUNTED, "opt_out_rate": "opted_out"}
MONEY: Final[Mapping[str, Callable[[MoneySummary, Campaign], MeanSummary]]] = {
    "revenue_per_recipient": lambda money, _: revenue_of(money),
    "profit_per_recipient": profit_of,
}
BY_COUNTS: Final = ("score", "beta_binomial_sequence")
"""Methods that hold for few events, too; all others compare means that must be near normal."""
_PAST: Final[Mapping[str, Callable[[Arm, Campaign], Fraction]]] = {
    "revenue_per_recipient": lambda arm, _: Fraction(arm.moments.sum_kv),
    "profit_per_recipient": past_profit,
}
"""Metric → Σ of it times the covariate. A rate's is `sum_yv`, kept for the plan's own rate."""


def deciding_events(arm: Arm, campaign: Campaign) -> int:
    """How often what the primary metric rests on has happened; for money, conversions."""
    count: int = getattr(arm.counters, PROPORTIONS.get(campaign.metric, "converted"))
    return count


def expected_events(arms: Sequence[Arm], campaign: Campaign) -> float:
    """The smallest of the arms' expected `deciding_events` if all had one rate."""
    events, people = sum(deciding_events(arm, campaign) for arm in arms), sum(a.n for a in arms)
    return events * min(arm.n for arm in arms) / people if people else 0.0


def counts_of(arm: Arm, metric: str) -> Counts:
    """(recipients whom a rate counts, assigned recipients)."""
    return getattr(arm.counters, PROPORTIONS[metric]), arm.n


def summary_of(arm: Arm, metric: str, campaign: Campaign) -> MeanSummary:
    """A metric per recipient as comparisons take it: money under the plan's cap."""
    if metric in MONEY:
        return MONEY[metric](arm.capped, campaign)
    hits, n = counts_of(arm, metric)
    return MeanSummary(n, Fraction(hits), Fraction(hits))


def past_of(arm: Arm, metric: str, campaign: Campaign) -> PairSummary:
    """The plan's metric of each recipient beside the covariate."""
    find = _PAST.get(metric)
    products = arm.moments.sum_yv if find is None else find(arm, campaign)
    return arm.with_past(summary_of(arm, metric, campaign), products)


class Measured(NamedTuple):
    """A difference, the standard errors of both sides, and what the covariate left of the noise."""

    found: Found
    errors: tuple[float, float]
    variance_ratio: float = NAN


class Pair(NamedTuple):
    """Two arms, what is compared, and how sure one wants to be."""

    campaign: Campaign
    shares: Mapping[str, float]
    control: Arm
    treatment: Arm
    metric: str
    level: float
    at_any_time: bool
    decides: bool = False

    @property
    def expected_n(self) -> float:
        """Recipients of both arms at the planned decision."""
        names = self.control.variant_id, self.treatment.variant_id
        return expected_pair(self.campaign, self.shares, *names)

    @property
    def raw_effect(self) -> float:
        """Treatment minus control without cap and without covariate."""
        return self._raw(self.treatment) - self._raw(self.control)

    def _raw(self, arm: Arm) -> float:
        if self.metric in MONEY:
            return MONEY[self.metric](arm.money, self.campaign).mean
        return summary_of(arm, self.metric, self.campaign).mean

    def measure(self) -> Measured:
        """The comparison. Only what decides is adjusted by the plan's covariate."""
        if self.decides and self.campaign.covariate is not None and not self._needs_counts:
            return self._adjusted()
        return self._counted() if self.metric in PROPORTIONS else self._summed()

    @property
    def _needs_counts(self) -> bool:
        """Whether events are too few for a mean, so that only counts hold at every look."""
        if self.metric not in PROPORTIONS or not self.at_any_time:
            return False
        return any(is_rare(counts_of(arm, self.metric)) for arm in (self.control, self.treatment))

    def _counted(self) -> Measured:
        first, second = (counts_of(arm, self.metric) for arm in (self.control, self.treatment))
        found = compare_counts(
            self.metric,
            first,
            second,
            level=self.level,
            expected_n=self.expected_n,
            at_any_time=self.at_any_time,
            once="score" if self.decides else "newcombe",
        )
        return Measured(found, (_share_error(first), _share_error(second)))

    def _summed(self) -> Measured:
        arms = self.control, self.treatment
        return self._compared(*(summary_of(arm, self.metric, self.campaign) for arm in arms))

    def _adjusted(self) -> Measured:
        pasts = (past_of(arm, self.metric, self.campaign) for arm in (self.control, self.treatment))
        first, second, _, ratio = adjust_means(*pasts)
        found, errors, _ = self._compared(first, second)
        return Measured(found._replace(method=f"cuped_{found.method}"), errors, ratio)

    def _compared(self, first: MeanSummary, second: MeanSummary) -> Measured:
        found = compare_sums(
            first,
            second,
            level=self.level,
            expected_n=self.expected_n,
            at_any_time=self.at_any_time,
        )
        return Measured(found, (_root(first.mean_variance), _root(second.mean_variance)))


def _share_error(counts: Counts) -> float:
    hits, trials = counts
    return math.sqrt(hits * (trials - hits) / trials**3) if trials else NAN


def _root(value: float) -> float:
    return math.sqrt(value) if value >= 0 else NAN
