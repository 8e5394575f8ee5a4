"""Sample ratio mismatch: were people split as planned?"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final, NamedTuple

from scipy import special

from pipeline.stats.results import NAN, check_positive

MIN_EXPECTED: Final = 5
"""Cochran (1954): below this expected count Pearson's chi-square does not hold its level. One
person in a planned share of 1 % would already be an alarm."""
CONCENTRATION: Final = 10_000.0
"""Weight of the plan in the prior of the live test: deviations of about half a percentage point
(0.5/√10,000) are found soonest, and mismatches of that order are the ones that occur."""


class SampleRatioResult(NamedTuple):
    """The live test of the split."""

    pvalue: float
    """Valid however often one looks."""
    bayes_factor: float
    """Of any other split over the planned one; `inf` when somebody is in an arm without share."""


def check_sample_ratio(counts: Mapping[str, int], shares: Mapping[str, float]) -> float:
    """Test by Pearson's chi-square that `counts` follow `shares`; the p-value.

    Arms with a share of 0 do not count as a degree of freedom; anybody in one is a mismatch.
    Valid for **one look** at a finished split; for every refresh of a page use
    `watch_sample_ratio`.

    Args:
        counts: Arm → recipients assigned.
        shares: Arm → planned share; may name more arms.

    Returns: 0.0 when somebody is in an arm without a share; `nan` with fewer than two arms or
        while fewer than `MIN_EXPECTED` people are expected in the smallest.

    Raises:
        ValueError: If a share is negative or they do not add up to 1 over the counted arms.

    References: Fabijan et al. (2019); alert below 0.001.

    Examples:
        >>> p = check_sample_ratio({"A": 821588, "B": 815482}, {"A": 0.5, "B": 0.5})
        >>> f"{p:.1e}"  # Kohavi, Tang and Xu (2020), chapter 3: 1.8E-6
        '1.8e-06'
    """
    planned = _planned(counts, shares)
    if planned is None:
        return 0.0
    total = sum(count for count, _ in planned)
    if len(planned) < 2 or total * min(share for _, share in planned) < MIN_EXPECTED:
        return NAN
    distance = sum((count - total * share) ** 2 / (total * share) for count, share in planned)
    return float(special.chdtrc(len(planned) - 1, distance))


def watch_sample_ratio(
    counts: Mapping[str, int],
    shares: Mapping[str, float],
    *,
    concentration: float = CONCENTRATION,
) -> SampleRatioResult:
    """Test the split while it grows: Dirichlet-multinomial mixture against the plan.

    The Bayes factor is a martingale under the plan, so the chance that 1/factor ever falls
    below a level is at most that level (Ville), whatever the number of looks. Valid for any
    counts, small ones too; slower than the chi-square at one fixed look.

    Args:
        counts: Arm → recipients assigned so far.
        shares: Arm → planned share.
        concentration: Prior weight of the plan, in recipients; fixed before launch.

    Returns: p-value min(1, 1/factor) and the factor; p = 0 when somebody is in an arm without
        a share; `nan` with fewer than two arms.

    Raises:
        ValueError: As `check_sample_ratio`, or if the concentration is not positive.

    References: Lindon & Malek (2022), arXiv 2011.03567, equations 7-9.

    Examples:
        >>> live = watch_sample_ratio({"A": 821588, "B": 815482}, {"A": 0.5, "B": 0.5})
        >>> f"{live.pvalue:.1e}"
        '1.6e-04'
        >>> round(watch_sample_ratio({"A": 1, "B": 0}, {"A": 0.5, "B": 0.5}).pvalue, 6)
        1.0
    """
    check_positive("concentration", concentration)
    planned = _planned(counts, shares)
    if planned is None:
        return SampleRatioResult(0.0, math.inf)
    if len(planned) < 2:
        return SampleRatioResult(NAN, NAN)
    total = sum(count for count, _ in planned)
    log_factor = -_log_rise(concentration, total)
    for count, share in planned:
        log_factor += _log_rise(concentration * share, count) - count * math.log(share)
    factor = math.exp(log_factor) if log_factor < 700 else math.inf
    return SampleRatioResult(math.exp(min(0.0, -log_factor)), factor)


def _log_rise(start: float, steps: int) -> float:
    """The log of Γ(start + steps) / Γ(start)."""
    return math.lgamma(start + steps) - math.lgamma(start)


def _planned(
    counts: Mapping[str, int], shares: Mapping[str, float]
) -> list[tuple[int, float]] | None:
    """Counts and shares of the arms that have a share; nothing if anybody is in another one."""
    whole = sum(shares[arm] for arm in counts)
    if abs(whole - 1) > 1e-6 or any(shares[arm] < 0 for arm in counts):
        raise ValueError(f"shares == {dict(shares)}, must be 0 or more and add up to 1.")
    if any(count and not shares[arm] for arm, count in counts.items()):
        return None
    # people write 0.3333333: the shares of the test add up to exactly 1
    return [(count, shares[arm] / whole) for arm, count in counts.items() if shares[arm]]


def check_equal_rates(hits: Mapping[str, int], trials: Mapping[str, int]) -> float:
    """Test by Pearson's chi-square that all arms have the same rate; the p-value.

    A check of delivery, not a comparison with a control. Valid for **one look** and expected
    counts of 5 or more.

    Args:
        hits: Arm → successes.
        trials: Arm → trials; arms without any are left out.

    Returns: `nan` with fewer than two arms or when nobody or everybody succeeded.

    References: Pearson (1900); Cochran (1954).

    Examples:
        >>> p = check_equal_rates({"A": 74, "B": 31}, {"A": 117, "B": 63})
        >>> round(p, 4)  # scipy.stats.chi2_contingency([[74, 31], [43, 32]], correction=False)
        0.0684
    """
    arms = [(hits[arm], trials[arm]) for arm in hits if trials[arm] > 0]
    all_hits, all_trials = sum(h for h, _ in arms), sum(n for _, n in arms)
    if len(arms) < 2 or all_hits in {0, all_trials}:
        return NAN
    pooled = all_hits / all_trials
    distance = sum((h - n * pooled) ** 2 / (n * pooled * (1 - pooled)) for h, n in arms)
    return float(special.chdtrc(len(arms) - 1, distance))
