"""Intervals and p-values that hold at every look: asymptotic confidence sequences."""

from __future__ import annotations

import math

from pipeline.stats.means import MeanSummary
from pipeline.stats.pairs import PairSummary
from pipeline.stats.ratios import ratio_moments
from pipeline.stats.results import (
    NAN,
    Counts,
    DifferenceResult,
    check_counts,
    check_open,
    check_positive,
)


def tune_sequence(expected_n: float, alpha: float) -> float:
    """The ρ² that makes a confidence sequence narrowest at a sample size.

    Fixed at launch: choosing it from the data breaks the promise.

    Raises:
        ValueError: If alpha is outside (0, 1) or `expected_n` not positive.

    References: Waudby-Smith et al., arXiv 2103.06476v7, equation 161.

    Examples:
        >>> round(tune_sequence(10_000, 0.05) * 10_000, 3)
        7.936
    """
    check_open("alpha", alpha)
    check_positive("expected_n", expected_n)
    spent = -2 * math.log(alpha)
    return (spent + math.log(1 + spent)) / expected_n


def widen_for_looks(n: float, expected_n: float, confidence_level: float = 0.95) -> float:
    """Half-width of the sequence in standard errors: the price of looking at any time.

    References: Waudby-Smith et al., equation 9, divided by σ/√n.

    Examples:
        >>> [round(widen_for_looks(n, 10_000) / 1.959964, 2) for n in (10_000, 100_000, 2_000)]
        [1.55, 1.65, 1.72]
    """
    alpha = 1 - confidence_level
    scaled = n * tune_sequence(expected_n, alpha)
    return math.sqrt(2 * (scaled + 1) / scaled * math.log(math.sqrt(scaled + 1) / alpha))


def watch_estimate(
    estimate: float,
    standard_error: float,
    n: int,
    *,
    expected_n: float,
    confidence_level: float = 0.95,
) -> tuple[float, float, float]:
    """Bounds and p-value of any asymptotically normal estimate, valid at every look.

    ±σ√(2(nρ²+1)/(n²ρ²)·ln(√(nρ²+1)/α)) with σ² = n·SE². The p-value (a mixture SPRT) is at
    most α exactly when the bounds exclude 0. Valid once the estimate is near normal: set a
    minimum run, and use `watch_rare_proportions` for a few dozen events.

    Args:
        estimate: Now.
        standard_error: Now.
        n: Recipients behind it, all arms together.
        expected_n: Recipients at the planned decision, fixed at launch.
        confidence_level: That the truth is inside at **all** looks together.

    Returns: Lower bound, upper bound, p-value of 0; `nan` without people or spread.

    Raises:
        ValueError: If the level is outside (0, 1) or `expected_n` not positive.

    References: Waudby-Smith et al., equations 9 and 155; Johari, Pekelis & Walsh (2022).

    Examples:
        >>> [round(v, 4) for v in watch_estimate(0.02, 0.005, 10_000, expected_n=10_000)]
        [0.0048, 0.0352, 0.0025]
    """
    check_open("confidence_level", confidence_level)
    rho2 = tune_sequence(expected_n, 1 - confidence_level)
    if not (n > 0 and standard_error > 0):
        return NAN, NAN, NAN
    spread = widen_for_looks(n, expected_n, confidence_level) * standard_error
    z = estimate / standard_error
    scaled = n * rho2
    exponent = math.log1p(scaled) / 2 - scaled * z * z / (2 * (scaled + 1))
    return estimate - spread, estimate + spread, math.exp(min(0.0, exponent))


def watch_means(
    control: MeanSummary,
    treatment: MeanSummary,
    *,
    expected_n: float,
    confidence_level: float = 0.95,
) -> DifferenceResult:
    """Compare two means at every look: treatment minus control.

    The confidence sequence of `watch_estimate` with Welch's variance, not pooled. Valid as
    described there, however often one looks and whenever one stops; the estimate after an
    early stop is biased upward.

    Args:
        control: So far.
        treatment: So far.
        expected_n: Recipients of both arms at the planned decision.
        confidence_level: Over all looks together.

    Returns: `nan` bounds and p-value below two values an arm or without variance.

    Raises:
        ValueError: If the level is outside (0, 1) or `expected_n` not positive.

    References: Waudby-Smith et al., arXiv 2103.06476v7, equations 9 and 155.

    Examples:
        >>> a = MeanSummary.from_moments(5000, 100.0, 400.0)
        >>> b = MeanSummary.from_moments(5000, 102.0, 400.0)
        >>> r = watch_means(a, b, expected_n=10_000)
        >>> round(r.effect_size, 3), round(r.ci_lower, 3), round(r.ci_upper, 3)
        (2.0, 0.786, 3.214)
    """
    effect = treatment.mean - control.mean
    error = _root(control.mean_variance + treatment.mean_variance)
    n = control.n + treatment.n
    bounds = watch_estimate(
        effect, error, n, expected_n=expected_n, confidence_level=confidence_level
    )
    return DifferenceResult(control.mean, treatment.mean, effect, *bounds)


def watch_proportions(
    control: Counts,
    treatment: Counts,
    *,
    expected_n: float,
    confidence_level: float = 0.95,
) -> DifferenceResult:
    """Compare two proportions at every look: treatment minus control.

    The confidence sequence of `watch_estimate` with unpooled variance. Valid once each arm has
    some dozens of successes and of failures; before that, `watch_rare_proportions`.

    Args:
        control: (successes, trials) so far.
        treatment: The same.
        expected_n: Recipients of both arms at the planned decision.
        confidence_level: Over all looks together.

    Returns: `nan` where an arm has no trials; `nan` bounds and p-value without variance.

    Raises:
        ValueError: If the level is outside (0, 1), `expected_n` not positive, a pair none.

    References: Waudby-Smith et al., arXiv 2103.06476v7, equations 9 and 155.

    Examples:
        >>> r = watch_proportions((500, 5000), (600, 5000), expected_n=10_000)
        >>> round(r.effect_size, 3), round(r.ci_lower, 4), round(r.pvalue, 4)
        (0.02, 0.001, 0.0319)
    """
    check_counts(*control)
    check_counts(*treatment)
    shares = [hits / n if n else NAN for hits, n in (control, treatment)]
    variance = sum(
        p * (1 - p) / n if n else NAN
        for p, (_, n) in zip(shares, (control, treatment), strict=True)
    )
    effect = shares[1] - shares[0]
    n = control[1] + treatment[1]
    bounds = watch_estimate(
        effect, _root(variance), n, expected_n=expected_n, confidence_level=confidence_level
    )
    return DifferenceResult(shares[0], shares[1], effect, *bounds)


def watch_ratios(
    control: PairSummary,
    treatment: PairSummary,
    *,
    expected_n: float,
    confidence_level: float = 0.95,
) -> DifferenceResult:
    """Compare a ratio metric at every look: treatment minus control.

    The confidence sequence of `watch_estimate` with the variance of the delta method. Valid as
    `compare_ratios` and `watch_estimate` are.

    Args:
        control: y over x per recipient, so far.
        treatment: The same.
        expected_n: Recipients of both arms at the planned decision.
        confidence_level: Over all looks together.

    Returns: `nan` where Σx is 0; `nan` bounds and p-value without variance.

    Raises:
        ValueError: If the level is outside (0, 1) or `expected_n` not positive.

    References: Waudby-Smith et al., equation 9; Deng, Knoblich & Lu (2018).

    Examples:
        >>> a = PairSummary.from_values([(10, 1), (30, 2), (0, 0), (20, 3)] * 500)
        >>> b = PairSummary.from_values([(20, 1), (30, 2), (10, 1), (30, 2)] * 500)
        >>> watch_ratios(a, b, expected_n=4000).ci_lower > 4
        True
    """
    first, variance1 = ratio_moments(control)
    second, variance2 = ratio_moments(treatment)
    effect, error = second - first, _root(variance1 + variance2)
    n = control.n + treatment.n
    bounds = watch_estimate(
        effect, error, n, expected_n=expected_n, confidence_level=confidence_level
    )
    return DifferenceResult(first, second, effect, *bounds)


def _root(value: float) -> float:
    return math.sqrt(value) if value >= 0 else NAN
