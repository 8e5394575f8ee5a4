"""Sample ratio mismatch: were people split as planned?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from scipy import stats

from pipeline.stats.proportions import NAN

MIN_EXPECTED: Final = 5
"""Cochran (1954): below this expected count Pearson's chi-square does not hold its level. One
person in a planned share of 1 % would already be an alarm."""


def sample_ratio_mismatch(counts: Mapping[str, int], shares: Mapping[str, float]) -> float:
    """p-value of Pearson's chi-square that `counts` follow `shares`.

    Arms with a share of 0 do not count as a degree of freedom; anybody in one is a mismatch.

    Returns: 0.0 when somebody is in an arm without a share; `nan` with fewer than two arms or
        while fewer than `MIN_EXPECTED` people are expected in the smallest.

    Raises:
        ValueError: If a share is negative or they do not add up to 1 over the counted arms.

    References: Fabijan et al. (2019); alert below 0.001.

    Examples:
        >>> p = sample_ratio_mismatch({"A": 821588, "B": 815482}, {"A": 0.5, "B": 0.5})
        >>> f"{p:.1e}"  # Kohavi, Tang and Xu (2020), chapter 3: 1.8E-6
        '1.8e-06'
    """
    whole = sum(shares[arm] for arm in counts)
    if abs(whole - 1) > 1e-6 or any(shares[arm] < 0 for arm in counts):
        raise ValueError(f"shares == {dict(shares)}, must be 0 or more and add up to 1.")
    if any(count and not shares[arm] for arm, count in counts.items()):
        return 0.0
    planned = {arm: count for arm, count in counts.items() if shares[arm]}
    total = sum(planned.values())
    # the exact total: scipy compares the sums to eight digits, people write 0.3333333
    expected = [total * shares[arm] / whole for arm in planned]
    if len(planned) < 2 or min(expected) < MIN_EXPECTED:
        return NAN
    return float(stats.chisquare(list(planned.values()), expected).pvalue)


def equal_rates(hits: Mapping[str, int], trials: Mapping[str, int]) -> float:
    """p-value of the chi-square test that all arms have the same rate; `nan` when undefined."""
    arms = [arm for arm in hits if trials[arm] > 0]
    table = [[hits[arm] for arm in arms], [trials[arm] - hits[arm] for arm in arms]]
    if len(arms) < 2 or any(sum(row) == 0 for row in table):
        return NAN
    return float(stats.chi2_contingency(table, correction=False).pvalue)
