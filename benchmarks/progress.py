"""From counts that grow to rates: events per wall second and per CPU-second."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field
from typing import Final

from benchmarks.figures import WARM_UP, WrongTotalError

EVERY_S: Final = 0.1
"""Between two looks. The end is seen at most this late, in a span of ten seconds and more."""
_STALLED_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class Look:
    """What was seen at one moment."""

    at_s: float
    count: int
    cpu_s: float


@dataclass(frozen=True, slots=True)
class Rates:
    """Between the end of the warm-up and the total."""

    per_s: float
    per_cpu_s: float
    cores: float
    """CPU-seconds per second of the measured process; below 1 it waited for somebody."""


@dataclass(slots=True)
class Progress:
    """The looks at one count, until it reaches `total`."""

    total: int
    warm_up: float = WARM_UP
    """Share of the total after which is measured."""
    until: float = 1.0
    """Share of the total up to which."""
    looks: list[Look] = field(default_factory=list)
    _changed_s: float = field(default_factory=time.perf_counter)

    @property
    def count(self) -> int:
        """What was seen last."""
        return self.looks[-1].count if self.looks else 0

    @property
    def is_complete(self) -> bool:
        """Whether the total was seen."""
        return self.count >= self.total

    def see(self, count: int, cpu_s: float) -> None:
        """Note a count, unless everything was seen before.

        Raises:
            WrongTotalError: If it stands still for a minute.
        """
        if self.is_complete:
            return
        now_s = time.perf_counter()
        if not self.looks or count != self.looks[-1].count:
            self._changed_s = now_s
        if now_s - self._changed_s > _STALLED_S:
            raise WrongTotalError(f"stands still at {count}, must be {self.total}.")
        self.looks.append(Look(now_s, count, cpu_s))

    def rates(self) -> Rates:
        """The rates after the warm-up; where one look already shows the end, from before it."""
        end = next(look for look in self.looks if look.count >= self.total * self.until)
        start = next(look for look in self.looks if look.count >= self.total * self.warm_up)
        if start is end and len(self.looks) > 1:
            start = self.looks[max(0, self.looks.index(end) - 1)]
        count, wall_s, cpu_s = (
            end.count - start.count,
            end.at_s - start.at_s,
            end.cpu_s - start.cpu_s,
        )
        return Rates(_ratio(count, wall_s), _ratio(count, cpu_s), _ratio(cpu_s, wall_s))


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else math.nan
