"""Smaller variance through what was known before assignment (CUPED)."""

from __future__ import annotations

from fractions import Fraction
from typing import NamedTuple

from pipeline.stats.means import MeanSummary, welch_bounds
from pipeline.stats.pairs import PairSummary
from pipeline.stats.results import NAN, check_confidence


class AdjustedResult(NamedTuple):
    """Treatment minus control after adjustment. Undefined fields are `nan`."""

    control: float
    treatment: float
    effect_size: float
    ci_lower: float
    ci_upper: float
    pvalue: float
    theta: float
    """Outcome per unit of covariate."""
    variance_ratio: float
    """Variance of the effect over that without adjustment; about 1 − corr²."""


def compare_adjusted_means(
    control: PairSummary, treatment: PairSummary, *, confidence_level: float = 0.95
) -> AdjustedResult:
    """Compare two means, adjusted by a covariate: treatment minus control.

    ȳ − θ(x̄ − μ), θ = Σcov / Σvar within the arms, so a true effect does not leak into θ;
    Welch's test on the adjusted values. Valid when x was fixed **strictly before assignment**
    (past revenue), for arms of a few hundred or more (θ counts as known) and for a **fixed
    horizon**.

    Args:
        control: y the outcome, x the covariate, per assigned recipient.
        treatment: The same.
        confidence_level: Of the interval.

    Returns: Without any variance of x the plain comparison with `theta` 0; `nan` bounds and
        p-value below two recipients an arm or without variance of y.

    Raises:
        ValueError: If the level is outside (0, 1).

    References: Deng, Xu, Kohavi & Walker (2013), equations 2-4.

    Examples:
        >>> a = PairSummary.from_values([(11, 10), (22, 20), (28, 30), (41, 40)])
        >>> b = PairSummary.from_values([(16, 10), (23, 20), (35, 30), (46, 40)])
        >>> r = compare_adjusted_means(a, b)
        >>> r.effect_size, round(r.theta, 2), round(r.variance_ratio, 3)
        (4.5, 0.99, 0.015)
    """
    check_confidence(confidence_level)
    first, second, theta, variance_ratio = adjust_means(control, treatment)
    if not (first.n and second.n):
        return AdjustedResult(first.mean, second.mean, NAN, NAN, NAN, NAN, NAN, NAN)
    # one rounding: the difference of two rounded means cancels for large amounts
    effect = float(second.total / second.n - first.total / first.n)
    bounds = welch_bounds(
        effect,
        (first.mean_variance, first.n),
        (second.mean_variance, second.n),
        confidence_level,
    )
    return AdjustedResult(first.mean, second.mean, effect, *bounds, theta, variance_ratio)


class AdjustedMeans(NamedTuple):
    """The outcome of two arms after adjustment, as summaries for any comparison of means."""

    control: MeanSummary
    treatment: MeanSummary
    theta: float
    """Outcome per unit of covariate; 0 without any variance of it, `nan` with an empty arm."""
    variance_ratio: float
    """Variance of the effect over that without adjustment; `nan` without any."""


def adjust_means(control: PairSummary, treatment: PairSummary) -> AdjustedMeans:
    """Take out of the outcomes of two arms what the covariate explains.

    y − θ(x − x̄) per recipient, θ = Σcov / Σvar within the arms and x̄ over both. For
    `compare_means` at one look, and for `watch_means`: θ settles, so the sequence of the adjusted
    values holds at every look as the plain one does, once arms have some hundreds of recipients.

    Args:
        control: y the outcome, x the covariate, per assigned recipient.
        treatment: The same.

    Returns: Exact summaries of the adjusted values; the plain ones with an empty arm.

    References: Deng, Xu, Kohavi & Walker (2013), equations 2-4; for every look Waudby-Smith et
        al., arXiv 2103.06476, section 3 (adjustment with an estimated regression).

    Examples:
        >>> a = PairSummary.from_values([(11, 10), (22, 20), (28, 30), (41, 40)])
        >>> b = PairSummary.from_values([(16, 10), (23, 20), (35, 30), (46, 40)])
        >>> adjusted = adjust_means(a, b)
        >>> adjusted.treatment.mean - adjusted.control.mean, round(adjusted.variance_ratio, 3)
        (4.5, 0.015)
    """
    if not (control.n and treatment.n):
        return AdjustedMeans(control.outcome, treatment.outcome, NAN, NAN)
    spread = control.centred_xx + treatment.centred_xx
    theta = (control.centred_xy + treatment.centred_xy) / spread if spread else Fraction(0)
    centre = theta * (control.x + treatment.x) / (control.n + treatment.n)
    first, second = (arm.combine(theta).shift(centre) for arm in (control, treatment))
    plain = control.outcome.mean_variance + treatment.outcome.mean_variance
    adjusted = first.mean_variance + second.mean_variance
    ratio = adjusted / plain if plain > 0 else NAN
    return AdjustedMeans(first, second, float(theta), ratio)
