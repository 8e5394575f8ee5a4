"""Exact tests for counts too small for the normal: Boschloo's test of two proportions."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy import special

from pipeline.stats.results import NAN, Counts, check_counts

Array = npt.NDArray[np.float64]
TIE: Final = 1 + 1e-7
"""Tables as unlikely as the observed one count as such, rounding aside (as scipy does)."""
GRID: Final = 32
TAIL: Final = 7.0
MARGIN: Final = 12.0
"""Beyond `TAIL` deviations and `MARGIN` more a binomial, however skewed, has less than 1e-11."""


@lru_cache(maxsize=8192)
def compare_exactly(control: Counts, treatment: Counts, *, nuisance_alpha: float = 1e-6) -> float:
    """Two-sided p-value of Boschloo's unconditional exact test that two proportions are equal.

    The one-sided Fisher p-value orders the tables; its chance is maximised over the unknown
    common proportion, searched in a 1 − `nuisance_alpha` interval, for which `nuisance_alpha`
    is added (Berger & Boos). The two-sided p-value is twice the smaller one. Valid for any
    counts and a **fixed horizon**; never less powerful than Fisher's test.

    Tables with the same sum m form a tail, so the chance is Σ_m Bin(m; N, π)·t(m), where t(m)
    is the largest attainable Fisher p-value at m that does not exceed the observed one: one
    sum instead of one over all tables.

    Args:
        control: (successes, trials).
        treatment: (successes, trials).
        nuisance_alpha: 0 searches the whole of (0, 1), as scipy does.

    Returns: `nan` when an arm is empty, or nobody or everybody succeeded.

    Raises:
        ValueError: If a pair is none or `nuisance_alpha` outside [0, 1).

    References: Boschloo (1970); Berger & Boos (1994); Lydersen, Fagerland & Laake (2009).

    Examples:
        >>> p = compare_exactly((74, 117), (31, 63), nuisance_alpha=0)
        >>> round(p / 2, 4)  # one-sided: scipy.stats.boschloo_exact, example of its page
        0.0356
    """
    check_counts(*control)
    check_counts(*treatment)
    if not 0 <= nuisance_alpha < 1:
        raise ValueError(f"nuisance_alpha == {nuisance_alpha}, must be in [0, 1).")
    (hits1, n1), (hits2, n2) = sorted((control, treatment), key=lambda arm: (arm[1], arm[0]))
    hits, total = hits1 + hits2, n1 + n2
    if n1 == 0 or hits in {0, total}:
        return NAN
    if 2 * hits > total:  # the rarer outcome keeps the tables small
        hits1, hits = n1 - hits1, total - hits
    grid, sums = _nuisance(hits, total, nuisance_alpha)
    tails = _attained_tails(hits1, hits, n1, n2, sums)
    chances = _binomial(sums, total, np.sin(grid) ** 2) @ tails
    best = [
        _refined(grid, sums, total, tails[:, side], int(chances[:, side].argmax()))
        for side in (0, 1)
    ]
    return min(1.0, 2 * min(best) + nuisance_alpha)


def _nuisance(hits: int, total: int, alpha: float) -> tuple[Array, Array]:
    """Proportions to search as angles (of even deviation), and the sums they can give."""
    if alpha:
        low = float(special.betaincinv(hits, total - hits + 1, alpha / 2))
        high = float(special.betainccinv(hits + 1, total - hits, alpha / 2))
    else:
        low, high = 0.0, 1.0
    angles = math.asin(math.sqrt(low)), math.asin(math.sqrt(high))
    deviations = 2 * math.sqrt(total) * (angles[1] - angles[0])
    grid = np.linspace(*angles, max(GRID, math.ceil(2.5 * deviations)))
    spread_low, spread_high = (TAIL * math.sqrt(total * p * (1 - p)) + MARGIN for p in (low, high))
    first = max(0, math.floor(total * low - spread_low))
    last = min(total, math.ceil(total * high + spread_high))
    return grid, np.arange(first, last + 1, dtype=np.float64)


def _refined(grid: Array, sums: Array, total: int, tails: Array, peak: int) -> float:
    """The maximum between the neighbours of the highest point, in two rounds of a finer grid."""
    best = 0.0
    for _ in range(2):
        grid = np.linspace(grid[max(0, peak - 1)], grid[min(len(grid) - 1, peak + 1)], 13)
        chances = _binomial(sums, total, np.sin(grid) ** 2) @ tails
        peak = int(chances.argmax())
        best = float(chances[peak])
    return best


def _attained_tails(hits1: int, hits: int, n1: int, n2: int, sums: Array) -> Array:
    """t(m) of the upper and of the lower tail, one row per sum."""
    mean = float(sums[-1]) * n1 / (n1 + n2)
    columns = min(n1, float(sums[-1]), max(hits1, mean) + TAIL * math.sqrt(mean) + MARGIN)
    seen = np.arange(0, math.floor(columns) + 1, dtype=np.float64)
    table = _hypergeometric(seen, sums, n1, n2)
    lower = np.cumsum(table, axis=1)
    upper = np.cumsum(table[:, ::-1], axis=1)[:, ::-1]
    own = _hypergeometric(seen, np.array([float(hits)]), n1, n2)[0]
    limits = float(own[hits1:].sum()) * TIE, float(own[: hits1 + 1].sum()) * TIE
    attained = [
        np.where(tail <= limit, tail, 0.0).max(axis=1)
        for tail, limit in zip((upper, lower), limits, strict=True)
    ]
    return np.stack(attained, axis=1)


def _log_choose(n: float | Array, k: Array) -> Array:
    found: Array = special.gammaln(n + 1.0) - special.gammaln(k + 1) - special.gammaln(n - k + 1)
    return found


def _hypergeometric(seen: Array, sums: Array, n1: int, n2: int) -> Array:
    """P(`seen` of the successes are in the first arm | their sum): a row per sum."""
    rest = np.arange(sums[0] - seen[-1], sums[-1] + 1)
    possible = (rest >= 0) & (rest <= n2)
    logs = np.where(possible, _log_choose(n2, np.where(possible, rest, 0.0)), -np.inf)
    row = np.arange(len(sums))[:, None] + np.arange(len(seen))[None, ::-1]
    found: Array = np.exp(
        _log_choose(n1, seen) + logs[row] - _log_choose(n1 + n2, sums)[:, None],
    )
    return found


def _binomial(sums: Array, total: int, grid: Array) -> Array:
    """P(sum | proportion): a row per proportion."""
    share = grid[:, None]
    logs = special.xlogy(sums, share) + special.xlog1py(total - sums, -share)
    found: Array = np.exp(logs + _log_choose(total, sums))
    return found
