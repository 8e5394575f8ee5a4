"""Rare events at every look: beta-binomial confidence sequences, exact for any count."""

from __future__ import annotations

import math

from scipy import optimize, special

from pipeline.stats.results import (
    NAN,
    Counts,
    DifferenceResult,
    EstimateResult,
    check_counts,
    check_open,
)
from pipeline.stats.sequential import tune_sequence


def tune_rare(expected_rate: float, expected_n: float, alpha: float) -> tuple[float, float]:
    """The beta prior (a, b) that makes the sequence narrow at a rate and a sample size.

    Its mean is the rate, its weight 1/ρ² people, as for the normal mixture. A wrong guess
    costs width, never validity.

    Raises:
        ValueError: If the rate or alpha is outside (0, 1) or `expected_n` not positive.

    References: Howard et al. (2021), section 3.5; ρ² from Waudby-Smith et al., equation 161.

    Examples:
        >>> [round(v, 2) for v in tune_rare(0.004, 10_000, 0.05)]
        [5.04, 1255.02]
    """
    check_open("expected_rate", expected_rate)
    weight = 1 / tune_sequence(expected_n, alpha)
    return expected_rate * weight, (1 - expected_rate) * weight


def watch_rare_proportion(
    successes: int,
    trials: int,
    *,
    expected_rate: float,
    expected_n: float,
    confidence_level: float = 0.95,
) -> EstimateResult:
    """Estimate a rare proportion with an interval that holds at every look, from the first on.

    Every p with B(a+S, b+n−S) / (B(a, b)·p^S·(1−p)^(n−S)) < 1/α: the mixture is a martingale
    at the true p, so it ever reaches 1/α with a chance of at most α (Ville). No
    approximation: valid for independent recipients and any counts.

    Args:
        successes: So far.
        trials: So far.
        expected_rate: A guess fixed at launch.
        expected_n: Recipients of the arm at the planned decision.
        confidence_level: Over all looks together.

    Returns: [0, 1] and a `nan` estimate without trials.

    Raises:
        ValueError: If a rate or level is outside (0, 1), `expected_n` not positive, or
            successes outside 0…trials.

    References: Robbins (1970); Howard et al. (2021), arXiv 1810.08240, beta-binomial mixture.

    Examples:
        >>> r = watch_rare_proportion(40, 10_000, expected_rate=0.004, expected_n=10_000)
        >>> [round(v, 5) for v in r]
        [0.004, 0.00245, 0.00609]
    """
    check_counts(successes, trials)
    check_open("confidence_level", confidence_level)
    alpha = 1 - confidence_level
    prior = tune_rare(expected_rate, expected_n, alpha)
    if trials == 0:
        return EstimateResult(NAN, 0.0, 1.0)
    level = _log_marginal(successes, trials, prior) + math.log(alpha)
    return EstimateResult(successes / trials, *_roots(successes, trials, level))


def watch_rare_proportions(
    control: Counts,
    treatment: Counts,
    *,
    expected_rate: float,
    expected_n: float,
    confidence_level: float = 0.95,
) -> DifferenceResult:
    """Compare two rare proportions at every look: treatment minus control.

    Each arm's own sequence at half the error, joined by the union bound: treatment's limits
    less the control's opposite ones. Finite-sample valid, wider than `watch_proportions`. The
    p-value is at most α exactly when the two arms' intervals are apart.

    Args:
        control: (successes, trials) so far.
        treatment: The same.
        expected_rate: A guess fixed at launch.
        expected_n: Recipients of **one** arm at the planned decision.
        confidence_level: Over all looks together.

    Returns: Bounds −1 to 1 and p = 1 while nothing is known; `nan` rates without trials.

    Raises:
        ValueError: As `watch_rare_proportion`.

    References: Howard et al. (2021), arXiv 1810.08240; union bound: Bonferroni.

    Examples:
        >>> r = watch_rare_proportions(
        ...     (40, 10_000), (100, 10_000), expected_rate=0.004, expected_n=10_000
        ... )
        >>> round(r.effect_size, 4), round(r.ci_lower, 5), round(r.pvalue, 3)
        (0.006, 0.00029, 0.026)
    """
    check_open("confidence_level", confidence_level)
    half = (1 - confidence_level) / 2
    bounds = [
        watch_rare_proportion(
            *arm, expected_rate=expected_rate, expected_n=expected_n, confidence_level=1 - half
        )
        for arm in (control, treatment)
    ]
    prior = tune_rare(expected_rate, expected_n, half)
    first, second = bounds
    return DifferenceResult(
        first.estimate,
        second.estimate,
        second.estimate - first.estimate,
        second.ci_lower - first.ci_upper,
        second.ci_upper - first.ci_lower,
        min(1.0, 2 * math.exp(-_least_evidence(control, treatment, prior))),
    )


def _log_marginal(successes: int, trials: int, prior: tuple[float, float]) -> float:
    a, b = prior
    found = special.betaln(a + successes, b + trials - successes) - special.betaln(a, b)
    return float(found)


def _log_likelihood(p: float, successes: int, failures: int) -> float:
    hit = successes * math.log(p) if successes else 0.0
    return hit + (failures * math.log1p(-p) if failures else 0.0)


def _roots(successes: int, trials: int, level: float) -> tuple[float, float]:
    """Where the log likelihood falls to `level` on either side of its peak.

    Either term alone is above the sum, so exp(level/S) and 1 − exp(level/F) bracket the roots.
    """
    failures = trials - successes
    peak = successes / trials

    def gap(p: float) -> float:
        return _log_likelihood(p, successes, failures) - level

    lower = math.exp(level / successes) if successes else 0.0
    upper = -math.expm1(level / failures) if failures else 1.0
    # one outcome alone: the bracket is the root; rounding may put it just inside
    if successes and failures and lower > 0 and gap(lower) < 0:
        lower = float(optimize.brentq(gap, lower, peak, xtol=1e-18, rtol=1e-12))
    if successes and failures and upper < 1 and gap(upper) < 0:
        upper = float(optimize.brentq(gap, peak, upper, xtol=1e-18, rtol=1e-12))
    return lower, upper


def _least_evidence(control: Counts, treatment: Counts, prior: tuple[float, float]) -> float:
    """The log of min over p of the larger of the two arms' martingales, at least 0.

    Between the two estimates one rises and the other falls, so the minimum is where they meet.
    """
    arms = sorted((control, treatment), key=lambda arm: arm[0] / arm[1] if arm[1] else 0.0)
    if not all(trials for _, trials in arms):
        return 0.0
    low, high = (hits / trials for hits, trials in arms)

    def evidence(arm: Counts, p: float) -> float:
        likelihood = _log_likelihood(p, arm[0], arm[1] - arm[0])
        return _log_marginal(*arm, prior) - likelihood

    def gap(p: float) -> float:
        return evidence(arms[0], p) - evidence(arms[1], p)

    # at 0 or 1 an arm with both outcomes has infinite evidence; step inside
    low, high = max(low, 1e-15), min(high, 1 - 1e-15)
    if not low < high or gap(low) >= 0 or gap(high) <= 0:
        return 0.0
    meet = float(optimize.brentq(gap, low, high, xtol=1e-18, rtol=1e-12))
    return max(0.0, evidence(arms[0], meet))
