"""Means from exact sums, and the difference of two by Welch."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from typing import Self

from scipy import special

from pipeline.stats.results import (
    NAN,
    DifferenceResult,
    EstimateResult,
    check_confidence,
    divide,
)


@dataclass(frozen=True, slots=True)
class MeanSummary:
    """Count, Σx and Σx², exact: adding summaries in any order gives the same to the last digit."""

    n: int = 0
    total: Fraction = Fraction(0)
    squares: Fraction = Fraction(0)

    @classmethod
    def from_values(cls, values: Iterable[int | Fraction]) -> Self:
        """Summarise whole or exact values."""
        exact = [Fraction(value) for value in values]
        return cls(len(exact), sum(exact, Fraction(0)), sum((v * v for v in exact), Fraction(0)))

    @classmethod
    def from_moments(cls, n: int, mean: float, variance: float) -> Self:
        """From what a paper or another tool prints: count, mean and unbiased variance.

        Examples:
            >>> s = MeanSummary.from_moments(4, 2.5, 5 / 3)  # 1, 2, 3, 4
            >>> s.mean, round(s.variance, 12)
            (2.5, 1.666666666667)
        """
        total = n * Fraction(mean)
        return cls(n, total, total * total / n + (n - 1) * Fraction(variance))

    def __add__(self, other: Self) -> MeanSummary:
        return MeanSummary(self.n + other.n, self.total + other.total, self.squares + other.squares)

    def shift(self, by: Fraction) -> MeanSummary:
        """The summary of x + by."""
        squares = self.squares + by * (2 * self.total + by * self.n)
        return MeanSummary(self.n, self.total + by * self.n, squares)

    @property
    def mean(self) -> float:
        """`nan` when empty."""
        return divide(self.total.numerator, self.total.denominator * self.n)

    @property
    def variance(self) -> float:
        """Unbiased; `nan` below two values.

        One division of whole numbers: nothing cancels, and nothing is reduced on the way.
        """
        n = self.n
        if n < 2:
            return NAN
        a, b = self.total.numerator, self.total.denominator
        c, d = self.squares.numerator, self.squares.denominator
        return (n * c * b * b - a * a * d) / (d * b * b * n * (n - 1))

    @property
    def mean_variance(self) -> float:
        """Squared standard error of the mean."""
        return self.variance / self.n if self.n else NAN


def estimate_mean(summary: MeanSummary, *, confidence_level: float = 0.95) -> EstimateResult:
    """Estimate a mean with Student's interval.

    Variance from the sample, n − 1 degrees of freedom. Valid when the mean is near normal and
    for a **fixed horizon**.

    Returns: `nan` bounds below two values, `nan` estimate when empty.

    Raises:
        ValueError: If the level is outside (0, 1).

    References: Student (1908).

    Examples:
        >>> body = MeanSummary.from_moments(25, 98.6, 0.5**2)
        >>> [round(v, 4) for v in estimate_mean(body)]  # t(24) = 2.0639
        [98.6, 98.3936, 98.8064]
    """
    check_confidence(confidence_level)
    if summary.n < 2:
        return EstimateResult(summary.mean, NAN, NAN)
    quantile = _student_critical(summary.n - 1, confidence_level)
    spread = quantile * math.sqrt(summary.mean_variance)
    return EstimateResult(summary.mean, summary.mean - spread, summary.mean + spread)


def compare_means(
    control: MeanSummary, treatment: MeanSummary, *, confidence_level: float = 0.95
) -> DifferenceResult:
    """Compare two means by Welch's test, variances not assumed equal: treatment minus control.

    Interval and p-value use the same variance and always agree. Valid for a **fixed horizon**
    only, and for arms large enough that means are near normal (hundreds of converters for
    revenue with a long tail). While data arrive use `watch_means`.

    Returns: `nan` bounds and p-value below two values an arm or without any variance.

    Raises:
        ValueError: If the level is outside (0, 1).

    References: Welch (1947); degrees of freedom by Satterthwaite (1946).

    Examples:
        >>> a = MeanSummary.from_values([7, -16, -2, -12, -1, 34, 37, 8, 0, 20])
        >>> b = MeanSummary.from_values([19, 8, 11, 1, -1, 44, 55, 16, 46, 34])
        >>> r = compare_means(a, b)  # Student's sleep data in 0.1 h; R, ?t.test: p-value = 0.07939
        >>> round(r.pvalue, 5), round(r.ci_lower, 3), round(r.ci_upper, 3)
        (0.07939, -2.055, 33.655)
    """
    check_confidence(confidence_level)
    effect = treatment.mean - control.mean
    bounds = welch_bounds(
        effect,
        (control.mean_variance, control.n),
        (treatment.mean_variance, treatment.n),
        confidence_level,
    )
    return DifferenceResult(control.mean, treatment.mean, effect, *bounds)


def welch_bounds(
    effect: float, first: tuple[float, int], second: tuple[float, int], confidence_level: float
) -> tuple[float, float, float]:
    """Limits and p-value of a difference of two estimates that are near normal.

    Args:
        effect: The difference.
        first: Squared standard error and count of one arm.
        second: The same of the other.
        confidence_level: Of the limits.

    Returns: Lower limit, upper limit, two-sided p-value; `nan` without any variance.

    References: Welch (1947), Satterthwaite (1946).

    Examples:
        >>> [round(v, 4) for v in welch_bounds(1.58, (0.3200566, 10), (0.4008989, 10), 0.95)]
        [-0.2055, 3.3655, 0.0794]
    """
    variance = first[0] + second[0]
    if not variance > 0:
        return NAN, NAN, NAN
    error = math.sqrt(variance)
    # shares of the variance, not its squares: they cannot underflow
    shares = first[0] / variance, second[0] / variance
    freedom = 1 / (shares[0] ** 2 / (first[1] - 1) + shares[1] ** 2 / (second[1] - 1))
    spread = _student_critical(freedom, confidence_level) * error
    pvalue = 2 * float(special.stdtr(freedom, -abs(effect) / error))
    return effect - spread, effect + spread, pvalue


def _student_critical(freedom: float, confidence_level: float) -> float:
    return -float(special.stdtrit(freedom, (1 - confidence_level) / 2))
