"""What an arm earns per assigned recipient, and what a unit of SMS cost brings back."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import NamedTuple, Self

from pipeline.stats.lifts import divide_estimates
from pipeline.stats.means import MeanSummary, compare_means
from pipeline.stats.results import NAN, DifferenceResult

ZERO = Fraction(0)


class Prices(NamedTuple):
    """What turns counts into money; exact, in minor units."""

    margin: Fraction
    """Of revenue, 0 to 1."""
    opt_out_cost: Fraction = ZERO
    """Value of a subscriber who leaves."""
    fee: Fraction = ZERO
    """Per assigned recipient who is sent to, beside the segments."""


@dataclass(frozen=True, slots=True)
class MoneySummary:
    """Exact sums over assigned recipients: r net revenue, c cost of segments, o opted out (0/1).

    Minor units; addable, so any slices give the whole to the last digit.
    """

    n: int = 0
    r: Fraction = ZERO
    c: Fraction = ZERO
    o: int = 0
    rr: Fraction = ZERO
    rc: Fraction = ZERO
    ro: Fraction = ZERO
    cc: Fraction = ZERO
    co: Fraction = ZERO

    def __add__(self, other: Self) -> MoneySummary:
        return MoneySummary(
            self.n + other.n,
            self.r + other.r,
            self.c + other.c,
            self.o + other.o,
            self.rr + other.rr,
            self.rc + other.rc,
            self.ro + other.ro,
            self.cc + other.cc,
            self.co + other.co,
        )

    @classmethod
    def from_recipient(cls, revenue: int | Fraction, cost: int | Fraction, opted_out: int) -> Self:
        """The summary of one recipient."""
        r, c, o = Fraction(revenue), Fraction(cost), opted_out
        return cls(1, r, c, o, r * r, r * c, r * o, c * c, c * o)

    @property
    def cost(self) -> MeanSummary:
        """Cost of segments per recipient."""
        return MeanSummary(self.n, self.c, self.cc)

    def combine(self, r: Fraction, c: Fraction, o: Fraction, fee: Fraction = ZERO) -> MeanSummary:
        """The summary of r·revenue + c·cost + o·opted_out − fee per recipient.

        In integers over common denominators: fraction by fraction takes five times as long.
        """
        unit = math.lcm(r.denominator, c.denominator, o.denominator, fee.denominator)
        wr, wc, wo, wf = (_over(weight, unit) for weight in (r, c, o, fee))
        sums = self.r, self.c, self.rr, self.rc, self.ro, self.cc, self.co
        scale = math.lcm(*(each.denominator for each in sums))
        sr, sc, srr, src, sro, scc, sco = (_over(each, scale) for each in sums)
        so, sn = self.o * scale, self.n * scale
        total = wr * sr + wc * sc + wo * so
        squares = wr * wr * srr + wc * wc * scc + wo * wo * so
        squares += 2 * (wr * wc * src + wr * wo * sro + wc * wo * sco)
        squares += wf * (wf * sn - 2 * total)
        return MeanSummary(
            self.n,
            Fraction(total - wf * sn, unit * scale),
            Fraction(squares, unit * unit * scale),
        )


def _over(value: Fraction, denominator: int) -> int:
    """The numerator over a multiple of the value's own denominator."""
    return value.numerator * (denominator // value.denominator)


def summarize_profit(money: MoneySummary, prices: Prices) -> MeanSummary:
    """Summarise profit per **assigned** recipient.

    Revenue × margin − segments − opt-outs × their cost − fee.

    Undelivered messages and people who never clicked are inside: conditioning on delivery or
    clicks would break the randomisation.

    Returns: An exact summary, for `estimate_mean`, `compare_means` or `watch_means`.

    Examples:
        >>> arm = MoneySummary.from_recipient(1000, 5, 0) + MoneySummary.from_recipient(0, 5, 1)
        >>> summarize_profit(arm, Prices(Fraction(3, 10), Fraction(80))).mean
        105.0
    """
    return money.combine(prices.margin, Fraction(-1), -prices.opt_out_cost, prices.fee)


def summarize_gain(money: MoneySummary, prices: Prices) -> MeanSummary:
    """Summarise revenue × margin − opt-outs × their cost: what SMS cost is set against.

    Returns: An exact summary.

    Examples:
        >>> arm = MoneySummary.from_recipient(1000, 5, 0) + MoneySummary.from_recipient(0, 5, 1)
        >>> summarize_gain(arm, Prices(Fraction(3, 10), Fraction(80))).mean
        110.0
    """
    return money.combine(prices.margin, ZERO, -prices.opt_out_cost)


def compare_profit(
    control: MoneySummary,
    treatment: MoneySummary,
    prices: Prices,
    *,
    confidence_level: float = 0.95,
) -> DifferenceResult:
    """Compare profit per assigned recipient by Welch's test: treatment minus control.

    Valid as `compare_means` is, for a **fixed horizon**; prices count as known.

    Returns: As `compare_means`.

    Raises:
        ValueError: If the level is outside (0, 1).

    References: Welch (1947).

    Examples:
        >>> pay = [MoneySummary.from_recipient(r, 5, 0) for r in (0, 1000, 0, 2000)]
        >>> a, b = pay[0] + pay[1] + pay[0], pay[0] + pay[1] + pay[3]
        >>> round(compare_profit(a, b, Prices(Fraction(1, 2))).effect_size, 2)
        333.33
    """
    first, second = summarize_profit(control, prices), summarize_profit(treatment, prices)
    return compare_means(first, second, confidence_level=confidence_level)


class RoiResult(NamedTuple):
    """Gain over the holdout per unit of SMS cost: at 1.0 the messages have paid for themselves."""

    roi_incremental: float
    roi_incremental_lower: float
    roi_incremental_upper: float


def estimate_incremental_roi(
    arm: MoneySummary, holdout: MoneySummary, prices: Prices, *, confidence_level: float = 0.95
) -> RoiResult:
    """Estimate (gain per recipient − gain per held-out recipient) / SMS cost per recipient.

    Fieller's interval with the covariance of gain and cost inside the arm. Without a holdout
    there is no incremental ROI: attributed revenue would have come anyway in part. Valid for
    near-normal means at a **fixed horizon**.

    Args:
        arm: Of the variant.
        holdout: Of those who got nothing.
        prices: Fixed in the plan.
        confidence_level: Of the interval.

    Returns: `nan` without people on either side or without cost; `nan` bounds when the cost
        cannot be told from 0.

    Raises:
        ValueError: If the level is outside (0, 1).

    References: Fieller (1954).

    Examples:
        >>> sent = [MoneySummary.from_recipient(r, 5, 0) for r in (0, 100, 0, 60)] * 50
        >>> held = [MoneySummary.from_recipient(r, 0, 0) for r in (0, 60, 0, 20)] * 50
        >>> r = estimate_incremental_roi(sum(sent[1:], sent[0]), sum(held[1:], held[0]),
        ...     Prices(Fraction(1, 2)))
        >>> [round(v, 2) for v in r]
        [2.0, 1.32, 2.68]
    """
    if not (arm.n and holdout.n and arm.c):
        divide_estimates(0, 1, 0, 0, 0, confidence_level=confidence_level)
        return RoiResult(NAN, NAN, NAN)
    gain, base = summarize_gain(arm, prices), summarize_gain(holdout, prices)
    spent = arm.c / arm.n + prices.fee
    found = divide_estimates(
        float(gain.total / gain.n - base.total / base.n),
        float(spent),
        gain.mean_variance + base.mean_variance,
        arm.cost.mean_variance,
        _covariance(arm, gain, prices),
        confidence_level=confidence_level,
    )
    return RoiResult(*found)


def _covariance(arm: MoneySummary, gain: MeanSummary, prices: Prices) -> float:
    """Of the means of gain and cost: one divides the other, and both are of the same people."""
    if arm.n < 2:
        return NAN
    products = prices.margin * arm.rc - prices.opt_out_cost * arm.co
    return float((products - gain.total * arm.c / arm.n) / (arm.n - 1) / arm.n)
