"""A quantile of a histogram, with an interval from order statistics (receipt latency)."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Mapping
from itertools import accumulate
from typing import Final

from scipy import special

from pipeline.stats.results import (
    NAN,
    EstimateResult,
    check_confidence,
    check_open,
    normal_critical,
)

LARGE: Final = 1_000_000
"""Above this count the binomial's quantile is taken from the normal: the index is off by < 1."""


def estimate_quantile(
    counts: Mapping[float, int],
    quantile: float,
    *,
    confidence_level: float = 0.95,
    design_effect: float = 1.0,
) -> EstimateResult:
    """Estimate a quantile (p90 of the receipt latency) with an interval of order statistics.

    The number of values below the true quantile is binomial, whatever the distribution; its
    quantiles are the ranks of the limits. Exact up to the width of the bins for independent
    values at a **fixed horizon**. Where one recipient gives several values, pass the design
    effect of `measure_design_effect`: ranks move outwards by its root.

    Args:
        counts: Upper edge of a bin → values in it.
        quantile: In (0, 1).
        confidence_level: Of the interval.
        design_effect: 1 for independent values.

    Returns: `nan` without values; a limit is −inf or inf where too few values lie beyond it.

    Raises:
        ValueError: If a level is outside (0, 1) or the design effect below 1.

    References: David & Nagaraja (2003), section 7.1; clustering: Deng, Knoblich & Lu (2018).

    Examples:
        >>> estimate_quantile({value: 1 for value in range(1, 101)}, 0.5)
        EstimateResult(estimate=50, ci_lower=40, ci_upper=61)
    """
    check_confidence(confidence_level)
    check_open("quantile", quantile)
    if not design_effect >= 1:
        raise ValueError(f"design_effect == {design_effect}, must be 1 or more.")
    edges = sorted(edge for edge, count in counts.items() if count)
    ranks = list(accumulate(counts[edge] for edge in edges))
    if not ranks:
        return EstimateResult(NAN, NAN, NAN)
    n = ranks[-1]
    # 1e-9: 0.9 of 10 is rank 9, not the 10 that rounding would make of it
    centre = max(1, math.ceil(quantile * n - 1e-9))
    tail = (1 - confidence_level) / 2
    below, above = _ranks(n, quantile, tail)
    widen = math.sqrt(design_effect)
    lower = math.floor(centre - (centre - below) * widen)
    upper = math.ceil(centre + (above - centre) * widen)
    return EstimateResult(
        edges[bisect_left(ranks, centre)],
        edges[bisect_left(ranks, lower)] if lower >= 1 else -math.inf,
        edges[bisect_left(ranks, upper)] if upper <= n else math.inf,
    )


def _ranks(n: int, quantile: float, tail: float) -> tuple[int, int]:
    """Ranks that lie on the wrong side with a chance of at most `tail` each."""
    if n > LARGE:
        spread = normal_critical(tail) * math.sqrt(n * quantile * (1 - quantile))
        return math.floor(n * quantile - spread), math.ceil(n * quantile + spread) + 1
    lower = _binomial_quantile(n, quantile, tail)
    upper = n - _binomial_quantile(n, 1 - quantile, tail) + 1
    return lower, upper


def _binomial_quantile(n: int, share: float, tail: float) -> int:
    """The largest rank k with P(B ≤ k − 1) ≤ tail; 0 when there is none."""
    if float(special.bdtr(0, n, share)) > tail:
        return 0
    guess = math.floor(float(special.bdtrik(tail, n, share)))
    # the inverse is a float: it may land a hair beyond the rank
    return guess + (float(special.bdtr(guess, n, share)) <= tail)
