"""The score statistic of a difference of two proportions, and the interval it gives."""

from __future__ import annotations

import math
from collections.abc import Callable

from scipy import optimize

from pipeline.stats.results import Counts

TOLERANCE = 1e-12
NEWTON_STEPS = 3


def score_statistic(control: Counts, treatment: Counts, difference: float) -> float:
    """Score of the hypothesis that treatment − control equals `difference`, a standard normal.

    The variance is taken at the most likely pair of proportions with that difference, times
    N/(N−1). Positive when more than `difference` was seen. Valid down to small counts, for a
    **fixed horizon**.

    Returns: 0.0 when the variance is 0 and the difference was met exactly, ±inf when it was not.

    References: Miettinen & Nurminen (1985), equations 9 and A1-A5; Farrington & Manning (1990).

    Examples:
        >>> z = score_statistic((74, 117), (31, 63), 0.0)
        >>> round(z * z * 180 / 179, 4)  # Pearson's chi-square, scipy.stats.chi2_contingency
        3.3218
    """
    (hits1, n1), (hits2, n2) = control, treatment
    gap = hits2 / n2 - hits1 / n1 - difference
    p1 = _restricted_share(control, treatment, difference)
    p2 = min(1.0, max(0.0, p1 + difference))
    total = n1 + n2
    variance = (p1 * (1 - p1) / n1 + p2 * (1 - p2) / n2) * total / (total - 1)
    if variance <= 0:
        return 0.0 if abs(gap) < TOLERANCE else math.copysign(math.inf, gap)
    return gap / math.sqrt(variance)


def score_interval(control: Counts, treatment: Counts, z: float) -> tuple[float, float]:
    """Every difference that a two-sided score test does not reject.

    Args:
        control: (successes, trials), trials above 0.
        treatment: The same.
        z: Normal quantile of the level.

    Returns: Lower and upper limit of treatment − control, within [−1, 1].

    References: Miettinen & Nurminen (1985).

    Examples:
        >>> [round(b, 4) for b in score_interval((3, 10), (9, 10), 1.959964)]  # Newcombe 1998b (b)
        [0.17, 0.8406]
    """
    effect = treatment[0] / treatment[1] - control[0] / control[1]

    def above(difference: float) -> float:
        return _finite(score_statistic(control, treatment, difference)) - z

    def below(difference: float) -> float:
        return _finite(score_statistic(control, treatment, difference)) + z

    return _root(above, -1.0, effect, -1.0), _root(below, effect, 1.0, 1.0)


def _root(function: Callable[[float], float], lower: float, upper: float, default: float) -> float:
    """Where a falling function is 0, or `default` where it has no change of sign."""
    inner = (lower + TOLERANCE, upper) if default == lower else (lower, upper - TOLERANCE)
    if inner[0] >= inner[1] or function(inner[0]) <= 0 or function(inner[1]) >= 0:
        return default
    return float(optimize.brentq(function, *inner, xtol=TOLERANCE))


def _finite(value: float) -> float:
    return max(-1e9, min(1e9, value))


def _restricted_share(control: Counts, treatment: Counts, difference: float) -> float:
    """The most likely share of the control given the difference: the root of a cubic, A1-A5."""
    (hits1, n1), (hits2, n2) = control, treatment
    total, hits = n1 + n2, hits1 + hits2
    if difference == 0:
        return hits / total
    a = float(total)
    b = (n2 + 2 * n1) * difference - total - hits
    c = (n1 * difference - total - 2 * hits1) * difference + hits
    d = hits1 * difference * (1 - difference)
    shift = b / (3 * a)
    q = shift**3 - b * c / (6 * a * a) + d / (2 * a)
    p = math.copysign(math.sqrt(max(0.0, shift * shift - c / (3 * a))), q)
    cosine = max(-1.0, min(1.0, q / p**3)) if p else 1.0
    root = 2 * p * math.cos((math.pi + math.acos(cosine)) / 3) - shift
    # steps of Newton: the arc cosine is right to 1e-8, which may be more than a rare rate
    for _ in range(NEWTON_STEPS):
        slope = (3 * a * root + 2 * b) * root + c
        step = (((a * root + b) * root + c) * root + d) / slope if slope else 0.0
        root -= step if abs(step) < 1e-6 else 0.0
    return min(1.0, max(0.0, -difference, root), 1.0 - max(0.0, difference))
