"""How long this process may act for its connection after the consumer group has confirmed it.

The group gives the connection to another bridge when it has heard nothing for the session
timeout, whatever this process does meanwhile: stands still, or cannot reach Kafka. A commit that
the group accepts is such a sign, and counts from the moment before it was sent, which is never
later than the group's own.
"""

from __future__ import annotations

import math
import time
from typing import Final

_CLOCK: Final = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
"""Goes on while a machine sleeps, unlike asyncio's."""


def boot_s() -> float:
    """Seconds since some moment, a suspended machine's included."""
    return time.clock_gettime(_CLOCK)


class Lease:
    """Held from a confirmation until `length_s` after it was asked for, or until `end`."""

    def __init__(self, length_s: float) -> None:
        self._length_s = length_s
        self._asked_at = -math.inf

    @property
    def is_held(self) -> bool:
        """Whether nobody else can have the connection."""
        return self.left_s > 0

    @property
    def left_s(self) -> float:
        """Seconds until it ends; not above 0 when it has."""
        return self._length_s - self.age_s

    @property
    def age_s(self) -> float:
        """Seconds since the question that was confirmed last."""
        return boot_s() - self._asked_at

    def renew(self, asked_at: float) -> None:
        """The group has accepted what was sent at `asked_at` (`boot_s`) or later."""
        self._asked_at = asked_at

    def end(self) -> None:
        """The group has refused."""
        self._asked_at = -math.inf
