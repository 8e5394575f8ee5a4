"""Which arm is best, how likely, and what choosing it may cost: exact by quadrature."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
from scipy import special

from pipeline.stats.quadrature import Array, place_panels
from pipeline.stats.results import NAN, ROOT_TWO, Counts, check_counts

NORMAL_EDGES: Final = np.array([-8.5, -6, -4.5, -3, -1.5, 0, 1.5, 3, 4.5, 6, 8.5])
BETA_EDGES: Final = np.array([-8, -6, -4.5, -3, -2, -1, 0, 1, 2, 3, 4.5, 6, 8, 11, 15, 20, 26, 34])
"""A beta near 0 is skewed: its upper tail reaches as far as an exponential's."""
INVERSE_ROOT_TAU: Final = 1 / math.sqrt(2 * math.pi)


class RankResult(NamedTuple):
    """One arm among its rivals. Undefined fields are `nan`."""

    p_best: float
    """Posterior chance that it is the best of all."""
    expected_loss: float
    """What choosing it costs on average, in the unit of the metric; the smaller the better."""


def rank_means(
    means: Sequence[float], errors: Sequence[float], *, higher_is_better: bool = True
) -> list[RankResult]:
    """Rank arms whose posteriors are normal: estimate ± standard error, flat prior.

    P(best) = ∫ f_k ΠF_j; loss = ∫ F_k (1 − ΠF_j), j ≠ k: no random numbers, and small losses
    keep their digits. Valid for near-normal estimates of independent arms. **Peeking inflates
    it like any p-value**: a P(best) of 95 % at every look is a one-sided 5 % test at every look.

    Args:
        means: Of the arms.
        errors: Standard errors of them.
        higher_is_better: False for opt-outs and cost.

    Returns: One result per arm; all `nan` if a mean or error is not finite and positive.

    Raises:
        ValueError: If the lengths differ.

    References: Chapelle & Li (2011); Stucchio (2015), expected loss.

    Examples:
        >>> r = rank_means([10.0, 11.0], [0.5, 0.5])
        >>> [round(arm.p_best, 4) for arm in r]  # Φ(±1/√0.5)
        [0.0786, 0.9214]
        >>> round(r[1].expected_loss, 5)
        0.02513
    """
    if len(means) != len(errors):
        raise ValueError(f"errors == {list(errors)}, must be one per mean.")
    if not all(math.isfinite(m) and 0 < e < math.inf for m, e in zip(means, errors, strict=True)):
        return [RankResult(NAN, NAN)] * len(means)
    if not means:
        return []
    sign = 1.0 if higher_is_better else -1.0
    # in the unit of the smallest error around the best: money of any size
    unit = min(errors)
    pivot = max(sign * mean for mean in means)
    centres = np.array([(sign * mean - pivot) / unit for mean in means])
    spreads = np.array(errors) / unit
    edges = np.unique((centres[:, None] + spreads[:, None] * NORMAL_EDGES).ravel())
    nodes, weights = place_panels(edges)
    z = (nodes - centres[:, None]) / spreads[:, None]
    density = np.exp(-z * z / 2) * (INVERSE_ROOT_TAU / spreads[:, None])
    ranked = _rank(special.log_ndtr(z), density, weights)
    return [RankResult(r.p_best, r.expected_loss * unit) for r in ranked]


def rank_proportions(
    counts: Sequence[Counts],
    *,
    prior: tuple[float, float] = (1.0, 1.0),
    higher_is_better: bool = True,
) -> list[RankResult]:
    """Rank arms by their proportions with beta posteriors.

    Valid for any counts; for the rest see `rank_means`.

    Args:
        counts: (successes, trials) per arm.
        prior: Beta prior; (1, 1) is flat.
        higher_is_better: False for opt-outs.

    Returns: One result per arm; an arm without trials has only its prior.

    Raises:
        ValueError: If a pair is none or the prior is not positive.

    References: Miller (2014), "Formulas for Bayesian A/B testing"; Stucchio (2015).

    Examples:
        >>> r = rank_proportions([(10, 100), (18, 100)])
        >>> round(r[1].p_best, 3)
        0.946
    """
    for pair in counts:
        check_counts(*pair)
    if not min(prior) > 0:
        raise ValueError(f"prior == {prior}, must be positive.")
    if not counts:
        return []
    a = np.array([prior[0] + hits for hits, _ in counts], dtype=np.float64)
    b = np.array([prior[1] + n - hits for hits, n in counts], dtype=np.float64)
    if not higher_is_better:
        a, b = b, a
    mean = a / (a + b)
    spread = np.sqrt(mean * (1 - mean) / (a + b + 1))
    reach = np.where(mean < 0.5, 1.0, -1.0)[:, None] * BETA_EDGES
    edges = (mean[:, None] + spread[:, None] * reach).ravel()
    edges = np.unique(np.concatenate(([0.0], edges[(edges > 0) & (edges < 1)], [1.0])))
    nodes, weights = place_panels(edges)
    a, b = a[:, None], b[:, None]
    logs = special.xlogy(a - 1, nodes) + special.xlog1py(b - 1, -nodes) - special.betaln(a, b)
    below = np.log(np.maximum(special.betainc(a, b, nodes), 1e-300))
    return _rank(below, np.exp(logs), weights)


def compare_losses(effect: float, error: float) -> RankResult:
    """Rank a treatment against one control in closed form, from their difference.

    P(d > 0) = Φ(μ/σ) and the loss E[(−d)⁺] = σφ(μ/σ) − μΦ(−μ/σ). Valid as `rank_means`, also
    where the arms are not independent.

    Args:
        effect: Treatment minus control.
        error: Its standard error.

    Returns: `nan` without a positive finite error.

    References: expectation of a truncated normal, Johnson, Kotz & Balakrishnan (1994), 13.10.

    Examples:
        >>> r = compare_losses(1.0, 0.5**0.5)
        >>> round(r.p_best, 4), round(r.expected_loss, 5)
        (0.9214, 0.02513)
    """
    if not (math.isfinite(effect) and 0 < error < math.inf):
        return RankResult(NAN, NAN)
    z = effect / error
    return RankResult(math.erfc(-z / ROOT_TWO) / 2, error * _mean_excess(-z))


def _mean_excess(z: float) -> float:
    """E[(Z + z)⁺] of a standard normal Z, without cancellation for z ≪ 0."""
    density = INVERSE_ROOT_TAU * math.exp(-z * z / 2)
    if z > -5:
        return density + z * math.erfc(-z / ROOT_TWO) / 2
    # Mills' ratio as scaled erfc: φ(z)·(1 + z·m), and its series where that cancels too
    if z > -50:
        mills = math.sqrt(math.pi / 2) * float(special.erfcx(-z / ROOT_TWO))
        return density * (1 + z * mills)
    return density / (z * z) * (1 - 3 / (z * z))


def _rank(log_below: Array, density: Array, weights: Array) -> list[RankResult]:
    """Both integrals of every arm from log F and f at the nodes: a row per arm."""
    rivals = log_below.sum(axis=0) - log_below
    best = (density * np.exp(rivals)) @ weights
    loss = (np.exp(log_below) * -np.expm1(rivals)) @ weights
    return [
        RankResult(min(1.0, p), max(0.0, cost))
        for p, cost in zip(best.tolist(), loss.tolist(), strict=True)
    ]
