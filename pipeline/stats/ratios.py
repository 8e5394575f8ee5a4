"""Ratio metrics: sums over recipients divided by sums over the same recipients."""

from __future__ import annotations

import math
from fractions import Fraction

from pipeline.stats.pairs import PairSummary
from pipeline.stats.results import (
    NAN,
    DifferenceResult,
    EstimateResult,
    two_sided_critical,
    two_sided_pvalue,
)


def estimate_ratio(summary: PairSummary, *, confidence_level: float = 0.95) -> EstimateResult:
    """Estimate Σy / Σx (revenue per order, clicks per message) by the delta method.

    The unit is the assigned recipient, not the order or the message: values of one person
    depend on each other. Variance (σ²y − 2Rσxy + R²σ²x)/(n·μ²x), normal quantile. Valid for
    hundreds of recipients with x > 0 and for a **fixed horizon**. A denominator that the text
    can change (delivered, clicked) makes the ratio a diagnosis, not a comparison of arms.

    Returns: `nan` when Σx is 0; `nan` bounds below two recipients.

    Raises:
        ValueError: If the level is outside (0, 1).

    References: Deng, Knoblich & Lu (2018), equation 2.

    Examples:
        >>> per_order = PairSummary.from_values([(10, 1), (30, 2), (0, 0), (20, 3)])
        >>> [round(v, 3) for v in estimate_ratio(per_order)]
        [10.0, 4.666, 15.334]
    """
    z = two_sided_critical(confidence_level)
    ratio, variance = ratio_moments(summary)
    spread = z * math.sqrt(variance)
    return EstimateResult(ratio, ratio - spread, ratio + spread)


def compare_ratios(
    control: PairSummary, treatment: PairSummary, *, confidence_level: float = 0.95
) -> DifferenceResult:
    """Compare a ratio metric between two arms: treatment minus control.

    Variance by the delta method in each arm, z test and interval from the same variance.
    Valid as `estimate_ratio` is, for a **fixed horizon**.

    Returns: `nan` where Σx is 0; `nan` bounds and p-value below two recipients an arm or
        without variance.

    Raises:
        ValueError: If the level is outside (0, 1).

    References: Deng, Knoblich & Lu (2018), section 3.

    Examples:
        >>> a = PairSummary.from_values([(10, 1), (30, 2), (0, 0), (20, 3)])
        >>> b = PairSummary.from_values([(20, 1), (30, 2), (10, 1), (30, 2)])
        >>> r = compare_ratios(a, b)
        >>> r.effect_size, round(r.pvalue, 3)
        (5.0, 0.1)
    """
    z = two_sided_critical(confidence_level)
    first, variance1 = ratio_moments(control)
    second, variance2 = ratio_moments(treatment)
    effect, variance = second - first, variance1 + variance2
    if not variance > 0:
        return DifferenceResult(first, second, effect, NAN, NAN, NAN)
    error = math.sqrt(variance)
    pvalue = two_sided_pvalue(effect / error)
    return DifferenceResult(first, second, effect, effect - z * error, effect + z * error, pvalue)


def ratio_moments(summary: PairSummary) -> tuple[float, float]:
    """Σy / Σx and the variance of it: that of the mean of y − R·x, over μ²x.

    Examples:
        >>> ratio_moments(PairSummary.from_values([(1, 2), (1, 2)]))
        (0.5, 0.0)
    """
    if not summary.x:
        return NAN, NAN
    ratio = summary.y / summary.x
    mean: Fraction = summary.x / summary.n
    return float(ratio), summary.combine(ratio).mean_variance / float(mean) ** 2


def measure_design_effect(summary: PairSummary) -> float:
    """How many times larger the variance of a share is than if values were independent.

    Args:
        summary: Per recipient, y = values that count (below a latency, say), x = all values.

    Returns: 1 for independent values, more when the values of one recipient resemble each
        other; `nan` when undefined. For `estimate_quantile`.

    References: Kish (1965); Deng, Knoblich & Lu (2018), section 4.

    Examples:
        >>> twins = PairSummary.from_values([(2, 2), (0, 2)] * 500)  # both or neither
        >>> round(measure_design_effect(twins), 2)
        2.0
    """
    share, variance = ratio_moments(summary)
    independent = share * (1 - share) / float(summary.x) if summary.x else NAN
    return variance / independent if independent > 0 else NAN
