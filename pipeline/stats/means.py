"""Means from exact sums, and the difference of two by Welch."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Self

from scipy import stats

from pipeline.stats.proportions import NAN, DifferenceResult, Interval, check_confidence


@dataclass(frozen=True, slots=True)
class MeanSummary:
    """Count, Σx and Σx², exact: adding summaries in any order gives the same to the last digit."""

    n: int = 0
    total: Fraction = Fraction(0)
    squares: Fraction = Fraction(0)

    def __add__(self, other: Self) -> MeanSummary:
        return MeanSummary(self.n + other.n, self.total + other.total, self.squares + other.squares)

    @property
    def mean(self) -> float:
        """`nan` when empty."""
        return float(self.total / self.n) if self.n else NAN

    @property
    def variance(self) -> float:
        """Unbiased; `nan` below two values."""
        if self.n < 2:
            return NAN
        return float((self.squares - self.total * self.total / self.n) / (self.n - 1))

    @property
    def mean_variance(self) -> float:
        """Squared standard error of the mean."""
        return self.variance / self.n if self.n else NAN


def mean_interval(summary: MeanSummary, *, confidence_level: float = 0.95) -> Interval:
    """Student's interval of a mean; `nan` below two values.

    Raises:
        ValueError: If the level is outside (0, 1).
    """
    check_confidence(confidence_level)
    if summary.n < 2:
        return Interval(NAN, NAN)
    quantile = float(stats.t.ppf((1 + confidence_level) / 2, summary.n - 1))
    spread = quantile * math.sqrt(summary.mean_variance)
    return Interval(summary.mean - spread, summary.mean + spread)


def compare_means(
    control: MeanSummary, treatment: MeanSummary, *, confidence_level: float = 0.95
) -> DifferenceResult:
    """Difference of two means by Welch's test, variances not assumed equal.

    Valid for a **fixed horizon** only, and for arms large enough that means are near normal
    (hundreds of converters for revenue with a long tail).

    Returns: `nan` bounds and p-value below two values an arm or without any variance.

    Raises:
        ValueError: If the level is outside (0, 1).

    References: Welch (1947); degrees of freedom by Satterthwaite (1946).

    Examples:
        >>> a = MeanSummary(10, Fraction("20.6"), Fraction("44.48"))
        >>> b = MeanSummary(12, Fraction("31.2"), Fraction("84.9"))
        >>> round(compare_means(a, b).effect_size, 3)
        0.54
    """
    check_confidence(confidence_level)
    effect = treatment.mean - control.mean
    first, second = control.mean_variance, treatment.mean_variance
    variance = first + second
    if not variance > 0:
        return DifferenceResult(control.mean, treatment.mean, effect, NAN, NAN, NAN)
    freedom = variance**2 / (first**2 / (control.n - 1) + second**2 / (treatment.n - 1))
    error = math.sqrt(variance)
    spread = float(stats.t.ppf((1 + confidence_level) / 2, freedom)) * error
    pvalue = float(2 * stats.t.sf(abs(effect) / error, freedom))
    return DifferenceResult(
        control.mean, treatment.mean, effect, effect - spread, effect + spread, pvalue
    )
