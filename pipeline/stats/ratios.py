"""Ratios with intervals: relative lift on the log scale, return on cost by Fieller."""

from __future__ import annotations

import math

from scipy import stats

from pipeline.stats.proportions import NAN, Interval, check_confidence


def relative_lift(
    control: float,
    treatment: float,
    control_error: float,
    treatment_error: float,
    *,
    confidence_level: float = 0.95,
) -> tuple[float, Interval]:
    """Treatment / control − 1 with an interval on the log scale (delta method).

    Args:
        control: Mean or share of the control.
        treatment: The same of the treatment.
        control_error: Standard error of `control`.
        treatment_error: Standard error of `treatment`.
        confidence_level: Of the interval.

    Returns: `nan` when either value is not positive: a ratio to nothing says nothing.

    References: Katz et al. (1978), log ratio.
    """
    check_confidence(confidence_level)
    if not (control > 0 and treatment > 0):
        return NAN, Interval(NAN, NAN)
    ratio = treatment / control
    z = float(stats.norm.ppf((1 + confidence_level) / 2))
    spread = z * math.hypot(control_error / control, treatment_error / treatment)
    if not math.isfinite(spread):
        return ratio - 1, Interval(NAN, NAN)
    return ratio - 1, Interval(ratio * math.exp(-spread) - 1, ratio * math.exp(spread) - 1)


def fieller_interval(
    numerator: float,
    denominator: float,
    numerator_variance: float,
    denominator_variance: float,
    covariance: float,
    *,
    confidence_level: float = 0.95,
) -> Interval:
    """Interval of a ratio of two normal estimates; `nan` when the denominator may be zero.

    References: Fieller (1954): the roots of (a, b, c) below, bounded when a > 0.

    Examples:
        >>> [round(b, 3) for b in fieller_interval(10, 5, 1.0, 0.25, 0.0)]
        [1.509, 2.651]
    """
    check_confidence(confidence_level)
    z2 = float(stats.norm.ppf((1 + confidence_level) / 2)) ** 2
    a = denominator**2 - z2 * denominator_variance
    b = numerator * denominator - z2 * covariance
    c = numerator**2 - z2 * numerator_variance
    root = b * b - a * c
    if not (a > 0 and root >= 0):
        return Interval(NAN, NAN)
    return Interval((b - math.sqrt(root)) / a, (b + math.sqrt(root)) / a)
