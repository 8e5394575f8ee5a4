"""Money with a cap: one whale must not decide a test."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from itertools import accumulate

from pipeline.stats.means import MeanSummary
from pipeline.stats.results import check_open


def cap_amount(amount: int, cap: int) -> int:
    """Cap an amount on both sides, so that a large refund is tamed as a large order is.

    The stream adds cap_amount(new) − cap_amount(old) when a recipient's total changes, so that
    the sums stay those of capped totals.

    Raises:
        ValueError: If the cap is not positive.

    References: Winsor, in Tukey (1962).

    Examples:
        >>> cap_amount(1_000_000, 50_000), cap_amount(-70_000, 50_000), cap_amount(12, 50_000)
        (50000, -50000, 12)
    """
    if cap <= 0:
        raise ValueError(f"cap == {cap}, must be positive.")
    return max(-cap, min(cap, amount))


def choose_cap(counts: Mapping[int, int], *, quantile: float = 0.999) -> int:
    """Choose the cap for a plan: a quantile of the recipients of a past campaign.

    Blind to the arms and fixed before launch: a cap chosen from the data of the test, or per
    arm, biases it.

    Args:
        counts: Amount → recipients with it, those with 0 included.
        quantile: Share of recipients at or below the cap.

    Returns: The smallest amount with at least that share at or below it, at least 1.

    Raises:
        ValueError: If nobody is counted or the quantile is outside (0, 1).

    References: order statistic, Hyndman & Fan (1996), definition 1.

    Examples:
        >>> choose_cap({0: 9_900, 500: 85, 2_000: 10, 90_000: 5})
        2000
    """
    check_open("quantile", quantile)
    total = sum(counts.values())
    if total <= 0:
        raise ValueError(f"recipients == {total}, must be positive.")
    wanted = Fraction(repr(quantile)) * total
    amounts = sorted(counts)
    seen = accumulate(counts[amount] for amount in amounts)
    return max(1, next(a for a, share in zip(amounts, seen, strict=True) if share >= wanted))


def summarize_capped(counts: Mapping[int, int], cap: int) -> MeanSummary:
    """Summarise amounts under a cap, for `compare_means`.

    The estimate is of the capped mean: smaller than the mean when there are whales, so money
    forecasts show the raw figure beside it.

    Args:
        counts: Amount → recipients with it.
        cap: Of the plan.

    Returns: An exact summary.

    Raises:
        ValueError: If the cap is not positive.

    References: Tukey (1962).

    Examples:
        >>> s = summarize_capped({0: 3, 1_000_000: 1}, cap=1000)
        >>> s.n, s.mean
        (4, 250.0)
    """
    capped = [(cap_amount(amount, cap), count) for amount, count in counts.items()]
    return MeanSummary(
        sum(count for _, count in capped),
        Fraction(sum(amount * count for amount, count in capped)),
        Fraction(sum(amount * amount * count for amount, count in capped)),
    )
