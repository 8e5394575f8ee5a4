"""Quotients of two estimates: relative lift, return on cost."""

from __future__ import annotations

import math
from typing import Literal

from pipeline.stats.results import (
    NAN,
    Counts,
    EstimateResult,
    LiftResult,
    check_choice,
    check_counts,
    two_sided_critical,
)


def estimate_lift(
    control: float,
    treatment: float,
    control_error: float,
    treatment_error: float,
    *,
    confidence_level: float = 0.95,
    method: Literal["log_ratio", "fieller"] = "log_ratio",
) -> LiftResult:
    """Estimate treatment / control − 1 for independent arms.

    The log ratio has variance (s_t/t)² + (s_c/c)² by the delta method; for proportions it is
    Katz's. Use `fieller` where the control's mean may be near 0. An interval, never a test:
    there is one hypothesis per metric, that the absolute difference is 0. Valid for a **fixed
    horizon**.

    Args:
        control: Mean or share of the control.
        treatment: The same of the treatment.
        control_error: Standard error of `control`.
        treatment_error: Standard error of `treatment`.
        confidence_level: Of the interval.
        method: One method for all figures of a page, and named there.

    Returns: `nan` when the control is not positive (nothing to be relative to); for the log
        ratio also when the treatment is not; for Fieller `nan` bounds when the control cannot
        be told from 0.

    Raises:
        ValueError: If the level is outside (0, 1) or the method unknown.

    References: Katz et al. (1978), log ratio; Fieller (1954).

    Examples:
        >>> r = estimate_lift(0.02, 0.025, 0.001, 0.0011)
        >>> [round(v, 4) for v in r]
        [0.25, 0.097, 0.4243]
    """
    z = two_sided_critical(confidence_level)
    check_choice("method", method, ("log_ratio", "fieller"))
    if not control > 0:
        return LiftResult(NAN, NAN, NAN)
    ratio = treatment / control
    if method == "fieller":
        found = divide_estimates(
            treatment,
            control,
            treatment_error**2,
            control_error**2,
            0.0,
            confidence_level=confidence_level,
        )
        return LiftResult(ratio - 1, found.ci_lower - 1, found.ci_upper - 1)
    if not treatment > 0:
        return LiftResult(NAN, NAN, NAN)
    spread = z * math.hypot(control_error / control, treatment_error / treatment)
    if not math.isfinite(spread):
        return LiftResult(ratio - 1, NAN, NAN)
    # expm1 keeps the digits of a small lift; 700 is the largest exponent of a float
    lower = ratio * math.exp(-spread) - 1
    upper = ratio * math.exp(spread) - 1 if spread < 700 else math.inf
    return LiftResult(ratio - 1, lower, upper)


def lift_proportions(
    control: Counts, treatment: Counts, *, confidence_level: float = 0.95
) -> LiftResult:
    """Estimate the relative lift of one proportion over another by Katz's log interval.

    Variance of the log: 1/x_t − 1/n_t + 1/x_c − 1/n_c. Valid for a **fixed horizon** and ten
    or more successes an arm.

    Args:
        control: (successes, trials).
        treatment: (successes, trials).
        confidence_level: Of the interval.

    Returns: `nan` when either arm has no success.

    Raises:
        ValueError: If the level is outside (0, 1) or a pair is none.

    References: Katz et al. (1978), method C.

    Examples:
        >>> r = lift_proportions((11034 - 10845, 11034), (11037 - 10933, 11037))
        >>> [round(v + 1, 2) for v in r]  # aspirin and heart attacks, Agresti (2002): 0.43 to 0.70
        [0.55, 0.43, 0.7]
    """
    check_counts(*control)
    check_counts(*treatment)
    (hits1, n1), (hits2, n2) = control, treatment
    if not (hits1 and hits2):
        two_sided_critical(confidence_level)
        return LiftResult(NAN, NAN, NAN)
    p1, p2 = hits1 / n1, hits2 / n2
    errors = math.sqrt(p1 * (1 - p1) / n1), math.sqrt(p2 * (1 - p2) / n2)
    return estimate_lift(p1, p2, *errors, confidence_level=confidence_level)


def divide_estimates(
    numerator: float,
    denominator: float,
    numerator_variance: float,
    denominator_variance: float,
    covariance: float,
    *,
    confidence_level: float = 0.95,
) -> EstimateResult:
    """Divide one normal estimate by another, with Fieller's interval.

    Every ratio ρ that the test of numerator − ρ·denominator = 0 does not reject: exact for
    normal estimates with known variances, at a **fixed horizon**.

    Args:
        numerator: An estimate.
        denominator: Another.
        numerator_variance: Squared standard error of the first.
        denominator_variance: Squared standard error of the second.
        covariance: Of the two estimates.
        confidence_level: Of the interval.

    Returns: `nan` bounds when the denominator cannot be told from 0 (the set of ratios is then
        unbounded), `nan` throughout when it is 0.

    Raises:
        ValueError: If the level is outside (0, 1).

    References: Fieller (1954): the roots of aρ² − 2bρ + c, bounded when a > 0.

    Examples:
        >>> [round(b, 3) for b in divide_estimates(10, 5, 1.0, 0.25, 0.0)]
        [2.0, 1.509, 2.651]
    """
    z2 = two_sided_critical(confidence_level) ** 2
    if not denominator:
        return EstimateResult(NAN, NAN, NAN)
    ratio = numerator / denominator
    # relative to the denominator, so that money of any size neither overflows nor cancels
    a = 1 - z2 * denominator_variance / denominator**2
    b = ratio - z2 * covariance / denominator**2
    c = ratio**2 - z2 * numerator_variance / denominator**2
    root = b * b - a * c
    if not (a > 0 and root >= 0):
        return EstimateResult(ratio, NAN, NAN)
    return EstimateResult(ratio, (b - math.sqrt(root)) / a, (b + math.sqrt(root)) / a)
