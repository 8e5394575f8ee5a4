"""Shares that follow the evidence: Thompson sampling with a floor, without random numbers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from pipeline.stats.best import rank_means
from pipeline.stats.means import MeanSummary
from pipeline.stats.results import NAN, DifferenceResult, check_confidence, two_sided_pvalue
from pipeline.stats.results import two_sided_critical as critical


def allocate_shares(
    p_best: Mapping[str, float], *, floor: float, holdout: float = 0.0
) -> dict[str, float]:
    """Allocate traffic by the chance to be best, with an additive floor: f + (1 − Kf)·p.

    Thompson sampling in expectation: the share of an arm is the chance that its draw would
    win, which quadrature gives exactly. Plain for two arms too. The holdout is stable: it is
    taken off first and never changes.

    Args:
        p_best: Arm → chance to be best; adds up to 1.
        floor: Least share of an arm of the non-holdout traffic; equal shares if K·floor ≥ 1.
        holdout: Share of everybody who gets nothing.

    Returns: Arm → share of everybody; adds up to 1 − holdout. Equal shares while a chance is
        `nan`: nothing is known yet.

    Raises:
        ValueError: If floor or holdout is outside [0, 1) or the chances do not add up to 1.

    References: Chapelle & Li (2011); Russo et al. (2018), arXiv 1707.02038; additive floor:
        growthbook/growthbook issue 6145.

    Examples:
        >>> shares = allocate_shares({"A": 0.9, "B": 0.1}, floor=0.1, holdout=0.1)
        >>> {arm: round(share, 3) for arm, share in shares.items()}
        {'A': 0.738, 'B': 0.162}
    """
    for name, value in (("floor", floor), ("holdout", holdout)):
        if not 0 <= value < 1:
            raise ValueError(f"{name} == {value}, must be in [0, 1).")
    if not p_best:
        return {}
    total = sum(p_best.values())
    if abs(total - 1) > 1e-3:
        raise ValueError(f"p_best == {dict(p_best)}, must add up to 1.")
    count = len(p_best)
    if math.isnan(total) or count * floor >= 1:
        return dict.fromkeys(p_best, (1 - holdout) / count)
    return {
        arm: (1 - holdout) * (floor + (1 - count * floor) * chance / total)
        for arm, chance in p_best.items()
    }


def update_shares(
    matured: Mapping[str, MeanSummary],
    current: Mapping[str, float],
    *,
    minimum_n: int,
    floor: float,
    holdout: float = 0.0,
    higher_is_better: bool = True,
) -> dict[str, float]:
    """Update the shares of a bandit from matured outcomes.

    Until **every** arm has enough matured recipients nothing moves: outcomes that are late
    make a young arm look bad. Log every change; the shares belong to the later analysis
    (`compare_within_periods`).

    Args:
        matured: Arm → outcomes whose window has passed.
        current: Arm → share in force.
        minimum_n: Matured recipients per arm before the first move.
        floor: As `allocate_shares`.
        holdout: As `allocate_shares`.
        higher_is_better: Direction of the metric.

    Returns: The new shares, or the current ones while an arm has too few or no spread.

    Raises:
        ValueError: If the arms differ, or as `allocate_shares`.

    References: as `allocate_shares`; delayed feedback: Chapelle & Li (2011), section 4.

    Examples:
        >>> young = {"A": MeanSummary.from_values([1, 0]), "B": MeanSummary.from_values([0, 0])}
        >>> update_shares(young, {"A": 0.5, "B": 0.5}, minimum_n=100, floor=0.05)
        {'A': 0.5, 'B': 0.5}
    """
    if set(matured) != set(current):
        raise ValueError(f"current == {dict(current)}, must name the arms {sorted(matured)}.")
    if any(arm.n < minimum_n for arm in matured.values()):
        return dict(current)
    errors = [math.sqrt(v) if v > 0 else NAN for v in (a.mean_variance for a in matured.values())]
    means = [arm.mean for arm in matured.values()]
    ranked = rank_means(means, errors, higher_is_better=higher_is_better)
    if any(math.isnan(rank.p_best) for rank in ranked):
        return dict(current)
    p_best = {arm: rank.p_best for arm, rank in zip(matured, ranked, strict=True)}
    return allocate_shares(p_best, floor=floor, holdout=holdout)


def compare_within_periods(
    control: Sequence[MeanSummary],
    treatment: Sequence[MeanSummary],
    *,
    confidence_level: float = 0.95,
) -> DifferenceResult:
    """Compare two arms of a bandit: differences within periods of equal shares, then weighted.

    Shares that follow the evidence also follow the time of day; summing over periods would
    compare mornings with evenings. Weights are the recipients of a period, variances Welch's
    of each, the test normal. Valid for hundreds of recipients an arm and period, and a
    **fixed horizon** that does not depend on the outcomes.

    Args:
        control: One summary per period.
        treatment: The same periods.
        confidence_level: Of the interval.

    Returns: Periods with fewer than two recipients in either arm are left out; `nan` when none
        is left or nothing varies.

    Raises:
        ValueError: If the periods differ or the level is outside (0, 1).

    References: post-stratification, Holt & Smith (1979); for bandits Hadad et al. (2021).

    Examples:
        >>> night = MeanSummary.from_moments(900, 1.0, 1.0), MeanSummary.from_moments(100, 1.0, 1.0)
        >>> day = MeanSummary.from_moments(100, 5.0, 1.0), MeanSummary.from_moments(900, 5.0, 1.0)
        >>> compare_within_periods([night[0], day[0]], [night[1], day[1]]).effect_size
        0.0
    """
    check_confidence(confidence_level)
    if len(control) != len(treatment):
        raise ValueError(f"treatment == {len(treatment)} periods, must be {len(control)}.")
    periods = [(c, t) for c, t in zip(control, treatment, strict=True) if min(c.n, t.n) > 1]
    total = sum(c.n + t.n for c, t in periods)
    if not total:
        return DifferenceResult(NAN, NAN, NAN, NAN, NAN, NAN)
    weights = [(c.n + t.n) / total for c, t in periods]
    weighted = list(zip(weights, periods, strict=True))
    first = sum(w * c.mean for w, (c, _) in weighted)
    second = sum(w * t.mean for w, (_, t) in weighted)
    effect = sum(w * (t.mean - c.mean) for w, (c, t) in weighted)
    variance = sum(w * w * (c.mean_variance + t.mean_variance) for w, (c, t) in weighted)
    if not variance > 0:
        return DifferenceResult(first, second, effect, NAN, NAN, NAN)
    error = math.sqrt(variance)
    spread = critical(confidence_level) * error
    pvalue = two_sided_pvalue(effect / error)
    return DifferenceResult(first, second, effect, effect - spread, effect + spread, pvalue)
