"""Several questions, one promise: adjusted p-values, and many arms against one control."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import accumulate
from typing import Final, Literal

import numpy as np
from scipy import optimize, special

from pipeline.stats.means import MeanSummary
from pipeline.stats.quadrature import Array, place_nodes, place_panels
from pipeline.stats.results import (
    NAN,
    DifferenceResult,
    check_choice,
    check_confidence,
    normal_critical,
)

LARGE_FREEDOM: Final = 5_000.0
"""From here on a pooled standard deviation is taken as known: z and t differ by less than 1e-3."""
EDGES: Final = np.linspace(-7.0, 7.0, 10)


def adjust_pvalues(
    pvalues: Sequence[float], *, method: Literal["holm", "bonferroni", "bh", "by"] = "holm"
) -> list[float]:
    """Adjust the p-values of a family for its size.

    `holm` and `bonferroni` keep the chance of **any** false positive, under every dependence;
    `bh` the expected share of false ones among the positives, for independent or positively
    dependent tests; `by` the same under every dependence. The family (goals × arms × tested
    segments) stands in the plan; guardrails stay out on purpose. There is no interval that
    belongs to Holm or BH: show unadjusted ones, or Bonferroni's, and say which.

    Args:
        pvalues: In any order; `nan` is no test and does not count.
        method: Which promise.

    Returns: In the same order, each at least its raw value and at most 1; `nan` stays.

    Raises:
        ValueError: If a p-value is outside [0, 1] or the method unknown.

    References: Holm (1979); Benjamini & Hochberg (1995); Benjamini & Yekutieli (2001).

    Examples:
        >>> adjust_pvalues([0.01, 0.04, 0.03, 0.005])  # R: p.adjust(p, "holm")
        [0.03, 0.06, 0.06, 0.02]
        >>> [round(p, 9) for p in adjust_pvalues([0.01, 0.04, 0.03, 0.005], method="bh")]
        [0.02, 0.04, 0.04, 0.02]
    """
    check_choice("method", method, ("holm", "bonferroni", "bh", "by"))
    for p in pvalues:
        if p < 0 or p > 1:
            raise ValueError(f"pvalue == {p}, must be in [0, 1].")
    places = [i for i, p in enumerate(pvalues) if not math.isnan(p)]
    tested = [pvalues[i] for i in places]
    adjusted = [NAN] * len(pvalues)
    for place, value in zip(places, _adjust(tested, method), strict=True):
        adjusted[place] = value
    return adjusted


def _adjust(tested: list[float], method: str) -> list[float]:
    count = len(tested)
    if method == "bonferroni":
        return [min(1.0, count * p) for p in tested]
    order = sorted(range(count), key=tested.__getitem__)
    if method == "holm":
        steps = [(count - rank) * tested[place] for rank, place in enumerate(order)]
        walked = list(accumulate(steps, max))
    else:  # scipy's false_discovery_control gives the same at ten times the cost
        scale = sum(1 / k for k in range(1, count + 1)) if method == "by" else 1.0
        steps = [scale * count / (rank + 1) * tested[place] for rank, place in enumerate(order)]
        walked = list(accumulate(reversed(steps), min))[::-1]
    found = [0.0] * count
    for place, value in zip(order, walked, strict=True):
        found[place] = min(1.0, value)
    return found


def compare_with_control(
    control: MeanSummary, treatments: Sequence[MeanSummary], *, confidence_level: float = 0.95
) -> list[DifferenceResult]:
    """Compare several means with one control at once (Dunnett): each minus control.

    Pooled variance; intervals hold **simultaneously** at the level and agree with the p-values,
    which are adjusted. Sharper than Bonferroni because all comparisons share the control.
    Valid for equal variances in all arms, near-normal means and a **fixed horizon**.

    Args:
        control: Of the control.
        treatments: Of the other arms.
        confidence_level: That all intervals hold together.

    Returns: One result per treatment; `nan` bounds and p-values where an arm has fewer than
        two values or nothing varies.

    Raises:
        ValueError: If the level is outside (0, 1).

    References: Dunnett (1955), equation for unequal counts: correlations λiλj with
        λi² = ni / (ni + n0).

    Examples:
        >>> counts = [[740, 850, 720, 824, 984, 832], [976, 880, 768, 936],
        ...     [1280, 968, 1216, 920, 1055]]  # Dunnett (1955): blood counts under two drugs
        >>> blood = [MeanSummary.from_values(arm) for arm in counts]
        >>> [round(r.pvalue, 4) for r in compare_with_control(blood[0], blood[1:])]
        [0.6201, 0.0058]
    """
    check_confidence(confidence_level)
    arms = [control, *treatments]
    freedom = sum(arm.n for arm in arms) - len(arms)
    undefined = any(arm.n < 2 for arm in arms) or freedom < 1
    pooled = NAN if undefined else sum(arm.variance * (arm.n - 1) for arm in arms) / freedom
    means = [(control.mean, arm.mean, arm.mean - control.mean) for arm in treatments]
    if not pooled > 0 or not treatments:
        return [DifferenceResult(*mean, NAN, NAN, NAN) for mean in means]
    loadings = np.array([math.sqrt(arm.n / (arm.n + control.n)) for arm in treatments])
    critical = dunnett_critical(loadings, freedom, confidence_level)
    found = []
    for arm, mean in zip(treatments, means, strict=True):
        error = math.sqrt(pooled * (1 / arm.n + 1 / control.n))
        spread = critical * error
        pvalue = max(0.0, 1 - _cover(abs(mean[2]) / error, loadings, freedom))
        found.append(DifferenceResult(*mean, mean[2] - spread, mean[2] + spread, pvalue))
    return found


def dunnett_critical(loadings: Array, freedom: float, confidence_level: float) -> float:
    """The quantile that max |T| of correlated comparisons exceeds with 1 − level.

    References: Dunnett (1964), tables; loadings √½ each for equal counts.

    Examples:
        >>> halves = np.full(4, 0.5**0.5)
        >>> round(dunnett_critical(halves, math.inf, 0.95), 2)  # Dunnett (1964), k = 4, df = ∞
        2.44
        >>> round(dunnett_critical(halves, 20, 0.95), 2)  # the same, df = 20
        2.65
    """
    alpha = 1 - confidence_level
    tail = alpha / (2 * len(loadings))
    upper = (
        -float(special.stdtrit(freedom, tail)) if math.isfinite(freedom) else normal_critical(tail)
    )
    lower = normal_critical(alpha / 2)
    if len(loadings) == 1:
        return upper

    def excess(critical: float) -> float:
        return _cover(critical, loadings, freedom) - confidence_level

    return float(optimize.brentq(excess, lower * 0.99, upper * 1.01, xtol=1e-9))


def _cover(critical: float, loadings: Array, freedom: float) -> float:
    """P(max |T| ≤ critical): over the control's own deviation, then over the pooled deviation."""
    scales, chances = _deviations(freedom)
    nodes, weights = place_panels(EDGES)
    weights = weights * np.exp(-nodes * nodes / 2) / math.sqrt(2 * math.pi)
    rest = np.sqrt(1 - loadings * loadings)
    centre = nodes[:, None] * loadings / rest
    reach = critical * scales[:, None, None] / rest
    inside = special.ndtr(centre + reach) - special.ndtr(centre - reach)
    return float(chances @ inside.prod(axis=2) @ weights)


def _deviations(freedom: float) -> tuple[Array, Array]:
    """Nodes of s = √(χ²/df) and their chances, or 1 when the deviation is as good as known."""
    if freedom > LARGE_FREEDOM:
        return np.ones(1), np.ones(1)
    limits = (float(special.chdtri(freedom, tail)) for tail in (1 - 1e-12, 1e-12))
    low, high = (math.sqrt(limit / freedom) for limit in limits)
    nodes, weights = place_nodes(low, high, 32)
    scale = freedom / 2 * math.log(freedom) - math.lgamma(freedom / 2)
    scale += (1 - freedom / 2) * math.log(2)
    logs = scale + (freedom - 1) * np.log(nodes)
    return nodes, weights * np.exp(logs - freedom * nodes * nodes / 2)
