"""Does the effect differ between segments? Exploratory: hypotheses for the next test."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from scipy import special

from pipeline.stats.multiplicity import adjust_pvalues
from pipeline.stats.results import NAN


class SegmentsResult(NamedTuple):
    """Effects of one comparison over the values of one attribute."""

    pvalues: list[float]
    """Per segment, adjusted by Benjamini & Hochberg; `nan` where undefined."""
    effect_size: float
    """Over all segments, weighted by precision."""
    heterogeneity: float
    """Cochran's Q."""
    df: int
    heterogeneity_pvalue: float


def compare_segments(
    effects: Sequence[float], errors: Sequence[float], pvalues: Sequence[float]
) -> SegmentsResult:
    """Compare an effect across segments: adjusted p-values, and whether the effects differ.

    Q = Σw(d − d̄)² with w = 1/SE², chi-square with segments − 1 degrees of freedom. Valid for
    segments known **before** assignment with near-normal effects, at a **fixed horizon**. A
    segment winner found here is a hypothesis, never a reason to ship to that segment.

    Args:
        effects: Treatment minus control, per segment.
        errors: Standard errors of them.
        pvalues: Of each segment's own test.

    Returns: Segments without a positive finite error do not count for Q; `nan` with fewer than
        two that do.

    Raises:
        ValueError: If the lengths differ or a p-value is outside [0, 1].

    References: Cochran (1954); Benjamini & Hochberg (1995).

    Examples:
        >>> r = compare_segments([0.02, 0.03, -0.01], [0.01, 0.01, 0.02], [0.046, 0.003, 0.62])
        >>> [round(p, 3) for p in r.pvalues], round(r.heterogeneity, 2), r.df
        ([0.069, 0.009, 0.62], 3.22, 2)
    """
    if not len(effects) == len(errors) == len(pvalues):
        raise ValueError(f"errors == {list(errors)}, must be one per effect and p-value.")
    adjusted = adjust_pvalues(pvalues, method="bh")
    known = _known(effects, errors)
    mean, spread = _pool(known)
    df = len(known) - 1
    if df < 1:
        return SegmentsResult(adjusted, mean, NAN, max(df, 0), NAN)
    return SegmentsResult(adjusted, mean, spread, df, float(special.chdtrc(df, spread)))


def shrink_effects(effects: Sequence[float], errors: Sequence[float]) -> list[float]:
    """Shrink several estimates towards their mean: the best of many looks better than it is.

    d̄ + τ²/(τ² + SE²)·(d − d̄) with τ² by moments. For money forecasts of the best of several
    arms or segments, beside the interval. Valid for near-normal estimates of comparable things.

    Args:
        effects: Treatment minus control, per arm or segment.
        errors: Standard errors of them.

    Returns: In the same order; an effect without a positive finite error is `nan`; with fewer
        than two others the effects themselves.

    Raises:
        ValueError: If the lengths differ.

    References: DerSimonian & Laird (1986), τ²; Efron & Morris (1975).

    Examples:
        >>> [round(e, 2) for e in shrink_effects([0.0, 1.0, 5.0], [1.0, 1.0, 1.0])]
        [0.29, 1.14, 4.57]
    """
    if len(effects) != len(errors):
        raise ValueError(f"errors == {list(errors)}, must be one per effect.")
    known = _known(effects, errors)
    mean, spread = _pool(known)
    if len(known) < 2:
        return [d if _is_known(d, e) else NAN for d, e in zip(effects, errors, strict=True)]
    weights = [1 / error**2 for _, error in known]
    scale = sum(weights) - sum(w * w for w in weights) / sum(weights)
    between = max(0.0, (spread - (len(known) - 1)) / scale)
    return [
        mean + between / (between + error**2) * (effect - mean) if _is_known(effect, error) else NAN
        for effect, error in zip(effects, errors, strict=True)
    ]


def _is_known(effect: float, error: float) -> bool:
    return math.isfinite(effect) and 0 < error < math.inf


def _known(effects: Sequence[float], errors: Sequence[float]) -> list[tuple[float, float]]:
    return [pair for pair in zip(effects, errors, strict=True) if _is_known(*pair)]


def _pool(known: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """The mean weighted by precision, and Cochran's Q."""
    if not known:
        return NAN, NAN
    # relative to the smallest error, so that no weight overflows
    smallest = min(error for _, error in known)
    weights = [(smallest / error) ** 2 for _, error in known]
    mean = sum(w * d for w, (d, _) in zip(weights, known, strict=True)) / sum(weights)
    return mean, sum(((d - mean) / error) ** 2 for d, error in known)
