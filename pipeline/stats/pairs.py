"""Two quantities of the same recipient, as exact sums."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from typing import Self

from pipeline.stats.means import MeanSummary

ZERO = Fraction(0)


@dataclass(frozen=True, slots=True)
class PairSummary:
    """Count, Σy, Σx and their products per assigned recipient; addable, exact.

    For a ratio metric y is the numerator and x the denominator; for variance reduction y is
    the outcome and x what was known before assignment.
    """

    n: int = 0
    y: Fraction = ZERO
    x: Fraction = ZERO
    yy: Fraction = ZERO
    xy: Fraction = ZERO
    xx: Fraction = ZERO

    @classmethod
    def from_values(cls, pairs: Iterable[tuple[int | Fraction, int | Fraction]]) -> Self:
        """Summarise exact (y, x)."""
        exact = [(Fraction(y), Fraction(x)) for y, x in pairs]
        return cls(
            len(exact),
            sum((y for y, _ in exact), ZERO),
            sum((x for _, x in exact), ZERO),
            sum((y * y for y, _ in exact), ZERO),
            sum((x * y for y, x in exact), ZERO),
            sum((x * x for _, x in exact), ZERO),
        )

    def __add__(self, other: Self) -> PairSummary:
        return PairSummary(
            self.n + other.n,
            self.y + other.y,
            self.x + other.x,
            self.yy + other.yy,
            self.xy + other.xy,
            self.xx + other.xx,
        )

    @property
    def outcome(self) -> MeanSummary:
        """Of y alone."""
        return MeanSummary(self.n, self.y, self.yy)

    @property
    def centred_xy(self) -> Fraction:
        """Σ(x − x̄)(y − ȳ); `n` must be positive."""
        return self.xy - self.x * self.y / self.n

    @property
    def centred_xx(self) -> Fraction:
        """Σ(x − x̄)²; `n` must be positive."""
        return self.xx - self.x * self.x / self.n

    @property
    def slope(self) -> Fraction:
        """Of the line of y over x by least squares; 0 without any variance of x."""
        spread = self.centred_xx if self.n else ZERO
        return self.centred_xy / spread if spread else ZERO

    def combine(self, slope: Fraction) -> MeanSummary:
        """The summary of y − slope·x."""
        squares = self.yy - 2 * slope * self.xy + slope * slope * self.xx
        return MeanSummary(self.n, self.y - slope * self.x, squares)
