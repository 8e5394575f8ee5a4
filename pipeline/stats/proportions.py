"""One proportion with its interval, and the difference of two."""

from __future__ import annotations

import math
from typing import Literal

from scipy import special

from pipeline.stats.exact import compare_exactly
from pipeline.stats.results import (
    NAN,
    Counts,
    DifferenceResult,
    EstimateResult,
    check_choice,
    check_confidence,
    check_counts,
    two_sided_critical,
    two_sided_pvalue,
)
from pipeline.stats.score import score_interval, score_statistic

MIN_EXPECTED = 5
"""Cochran (1954): below this expected count the normal approximation does not hold its level."""


def estimate_proportion(
    successes: int,
    trials: int,
    *,
    confidence_level: float = 0.95,
    method: Literal["wilson", "clopper_pearson"] = "wilson",
) -> EstimateResult:
    """Estimate one proportion with an interval that never leaves [0, 1].

    Wilson's score interval covers the level on average; Clopper-Pearson covers it at least,
    whatever the truth, and is wider: use it where a promise is made (opt-outs, faults). Valid
    for independent trials and a **fixed horizon**.

    Args:
        successes: 0 to `trials`.
        trials: For a recipient metric the assigned recipients.
        confidence_level: Of the interval.
        method: Which of the two.

    Returns: `nan` without trials.

    Raises:
        ValueError: If the level is outside (0, 1), successes outside 0…trials, method unknown.

    References: Wilson (1927); Newcombe (1998a), method 3; Clopper & Pearson (1934); the choice:
        Brown, Cai & DasGupta (2001).

    Examples:
        >>> [round(v, 4) for v in estimate_proportion(81, 263)]  # Newcombe (1998a), table I
        [0.308, 0.2553, 0.3662]
        >>> exact = estimate_proportion(81, 263, method="clopper_pearson")
        >>> round(exact.ci_lower, 4), round(exact.ci_upper, 4)  # the same table, method 5
        (0.2527, 0.3676)
    """
    check_confidence(confidence_level)
    check_choice("method", method, ("wilson", "clopper_pearson"))
    check_counts(successes, trials)
    if trials == 0:
        return EstimateResult(NAN, NAN, NAN)
    bounds = (
        wilson_bounds(successes, trials, two_sided_critical(confidence_level))
        if method == "wilson"
        else _clopper_pearson(successes, trials, (1 - confidence_level) / 2)
    )
    return EstimateResult(successes / trials, *bounds)


def wilson_bounds(successes: int, trials: int, z: float) -> tuple[float, float]:
    """Wilson's limits for a normal quantile; `trials` must be positive.

    Solved for p: |p̂ − p| = z·√(p(1−p)/n). The limit at 0 or n successes is exact.

    Examples:
        >>> [round(bound, 4) for bound in wilson_bounds(0, 20, 1.959964)]  # Newcombe (1998a)
        [0.0, 0.1611]
    """
    share = successes / trials
    centre = share + z * z / (2 * trials)
    spread = z * math.sqrt(share * (1 - share) / trials + z * z / (4 * trials * trials))
    scale = 1 + z * z / trials
    lower = max(0.0, (centre - spread) / scale) if successes else 0.0
    upper = min(1.0, (centre + spread) / scale) if successes < trials else 1.0
    return lower, upper


def _clopper_pearson(successes: int, trials: int, tail: float) -> tuple[float, float]:
    failures = trials - successes
    lower = float(special.betaincinv(successes, failures + 1, tail)) if successes else 0.0
    upper = float(special.betainccinv(successes + 1, failures, tail)) if failures else 1.0
    return lower, upper


def compare_proportions(
    control: Counts,
    treatment: Counts,
    *,
    confidence_level: float = 0.95,
    method: Literal["newcombe", "score"] = "newcombe",
) -> DifferenceResult:
    """Compare two proportions: treatment minus control.

    `newcombe` joins the Wilson limits of the arms; its p-value is the z test with the variance
    pooled under equality, or Boschloo's exact test where an expected count is below 5. Interval
    and p-value then rest on different variances and can disagree at the edge, so a decision
    reads the interval only. `score` inverts one statistic (Miettinen & Nurminen) for both:
    they always agree, at ten times the computing.

    Valid for independent recipients and a **fixed horizon**: look once, when the plan says so.
    While data arrive use `watch_proportions`, for rare events `watch_rare_proportions`.

    Args:
        control: (successes, trials).
        treatment: (successes, trials).
        confidence_level: Of the interval.
        method: Which interval.

    Returns: `nan` where an arm has no trials; the p-value is `nan` when nobody or everybody
        succeeded. Never raises on data.

    Raises:
        ValueError: If the level is outside (0, 1), a pair is none or the method unknown.

    References: Newcombe (1998b), method 10; Miettinen & Nurminen (1985), equation 9; Lydersen,
        Fagerland & Laake (2009) on small counts; Fagerland et al. (2015) on the choice.

    Examples:
        >>> r = compare_proportions((48, 80), (56, 70))  # Newcombe (1998b), table II, case (a)
        >>> round(r.effect_size, 4), round(r.ci_lower, 4), round(r.ci_upper, 4)
        (0.2, 0.0524, 0.3339)
        >>> r = compare_proportions((48, 80), (56, 70), method="score")  # the same, method 6
        >>> round(r.ci_lower, 4), round(r.ci_upper, 4)
        (0.0528, 0.3382)
    """
    z = two_sided_critical(confidence_level)
    check_choice("method", method, ("newcombe", "score"))
    check_counts(*control)
    check_counts(*treatment)
    (control_hits, control_n), (treatment_hits, treatment_n) = control, treatment
    if control_n == 0 or treatment_n == 0:
        shares = [h / n if n else NAN for h, n in (control, treatment)]
        return DifferenceResult(shares[0], shares[1], NAN, NAN, NAN, NAN)
    p1, p2 = control_hits / control_n, treatment_hits / treatment_n
    if method == "score":
        bounds = score_interval(control, treatment, z)
        pvalue = two_sided_pvalue(score_statistic(control, treatment, 0.0))
    else:
        bounds = newcombe_bounds(control, treatment, z)
        pvalue = _pvalue(control, treatment)
    undefined = control_hits + treatment_hits in {0, control_n + treatment_n}
    return DifferenceResult(p1, p2, p2 - p1, *bounds, NAN if undefined else pvalue)


def newcombe_bounds(control: Counts, treatment: Counts, z: float) -> tuple[float, float]:
    """Newcombe's hybrid score limits of treatment − control for a normal quantile.

    Examples:
        >>> [round(b, 4) for b in newcombe_bounds((3, 10), (9, 10), 1.959964)]  # case (b)
        [0.1705, 0.809]
    """
    p1, p2 = control[0] / control[1], treatment[0] / treatment[1]
    low1, high1 = wilson_bounds(*control, z)
    low2, high2 = wilson_bounds(*treatment, z)
    effect = p2 - p1
    return effect - math.hypot(p2 - low2, high1 - p1), effect + math.hypot(high2 - p2, p1 - low1)


def _pvalue(control: Counts, treatment: Counts) -> float:
    """Pooled z, or exact where the smaller arm expects fewer than 5 of either outcome."""
    hits, trials = control[0] + treatment[0], control[1] + treatment[1]
    rarer = min(hits, trials - hits)
    if rarer * min(control[1], treatment[1]) < MIN_EXPECTED * trials:
        return compare_exactly(control, treatment)
    pooled = hits / trials
    variance = pooled * (1 - pooled) * (1 / control[1] + 1 / treatment[1])
    effect = treatment[0] / treatment[1] - control[0] / control[1]
    return two_sided_pvalue(effect / math.sqrt(variance))
