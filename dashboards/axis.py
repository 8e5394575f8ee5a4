"""The axis of the forest plot: its span, its ticks, and where a value stands. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

STEPS: Final = (0.01, 0.02, 0.05, 0.1, 0.2, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 50.0, 100.0)
MAX_TICKS: Final = 6
SMALLEST: Final = 0.02
"""Half of the narrowest axis: ±2 %."""


@dataclass(frozen=True, slots=True)
class Axis:
    """A span of values with its ticks."""

    low: float
    high: float
    ticks: tuple[float, ...]

    def at(self, value: float) -> float:
        """Where a value stands, 0 to 1; values outside stand at the edge."""
        bounded = min(max(value, self.low), self.high)
        return (bounded - self.low) / (self.high - self.low)


def axis_for(main: Sequence[float], others: Sequence[float], margin: float = 0.0) -> Axis:
    """An axis that holds 0, all `main` values, and `others` as far as twice that.

    Undefined values are left out. `margin` widens it beyond the largest value, relative.
    """
    wanted = [abs(v) for v in main if math.isfinite(v)]
    limit = 2 * max([*wanted, SMALLEST]) if wanted else math.inf
    values = [v for v in main if math.isfinite(v)]
    values += [min(max(v, -limit), limit) for v in others if math.isfinite(v)]
    low = min([*values, -SMALLEST / 2]) * (1 + margin)
    high = max([*values, SMALLEST / 2]) * (1 + margin)
    step = next((s for s in STEPS if (high - low) / s <= MAX_TICKS - 1), high - low)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    ticks = tuple(round(i * step, 10) for i in range(first, last + 1))
    return Axis(ticks[0], ticks[-1], ticks)
