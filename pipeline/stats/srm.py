"""Sample ratio mismatch: were people split as planned?"""

from __future__ import annotations

from collections.abc import Mapping

from scipy import stats

from pipeline.stats.proportions import NAN


def sample_ratio_mismatch(counts: Mapping[str, int], shares: Mapping[str, float]) -> float:
    """p-value of Pearson's chi-square that `counts` follow `shares`.

    Returns: `nan` with fewer than two arms or nobody.

    Raises:
        ValueError: If the shares do not add up to 1 over the counted arms.

    References: Fabijan et al. (2019); alert below 0.001.

    Examples:
        >>> p = sample_ratio_mismatch({"A": 821588, "B": 815482}, {"A": 0.5, "B": 0.5})
        >>> f"{p:.1e}"  # Kohavi, Tang and Xu (2020), chapter 3: 1.8E-6
        '1.8e-06'
    """
    if abs(sum(shares[arm] for arm in counts) - 1) > 1e-6:
        raise ValueError(f"shares == {dict(shares)}, must add up to 1.")
    total = sum(counts.values())
    if len(counts) < 2 or total == 0:
        return NAN
    expected = [total * shares[arm] for arm in counts]
    return float(stats.chisquare(list(counts.values()), expected).pvalue)


def equal_rates(hits: Mapping[str, int], trials: Mapping[str, int]) -> float:
    """p-value of the chi-square test that all arms have the same rate; `nan` when undefined."""
    arms = [arm for arm in hits if trials[arm] > 0]
    table = [[hits[arm] for arm in arms], [trials[arm] - hits[arm] for arm in arms]]
    if len(arms) < 2 or any(sum(row) == 0 for row in table):
        return NAN
    return float(stats.chi2_contingency(table, correction=False).pvalue)
