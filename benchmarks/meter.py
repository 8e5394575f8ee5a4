"""Counts what a consumer process reads, and measures it from the warm-up to the last event."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from benchmarks.figures import WARM_UP
from schemas.codec import decoder_for
from schemas.events import MessageSubmitted
from schemas.topics import MESSAGE_SUBMITTED

Found = dict[str, float]
"""count, checksum, measured, wall_s, cpu_s."""
TOPIC: Final = MESSAGE_SUBMITTED


@dataclass(slots=True)
class Meter:
    """Of a process that reads one topic of submit results to its end."""

    total: int
    count: int = 0
    checksum: int = 0
    found: Found | None = None
    """What was measured, at the end."""
    _decode: Callable[[bytes], Any] = field(default=decoder_for(TOPIC.name).decode)
    _start: tuple[int, float, float] | None = None

    def take(self, value: bytes) -> None:
        """Decode one record and count it."""
        event: MessageSubmitted = self._decode(value)
        self.count += 1
        self.checksum += event.latency_ms or 0

    def look(self) -> None:
        """Start or end the measurement when it is time."""
        if self._start is None and self.count >= self.total * WARM_UP:
            self._start = self.count, time.perf_counter(), cpu_s()
        if self.count >= self.total and self.found is None:
            assert self._start is not None
            count, at_s, used_s = self._start
            self.found = {
                "count": self.count,
                "checksum": self.checksum,
                "measured": self.count - count,
                "wall_s": time.perf_counter() - at_s,
                "cpu_s": cpu_s() - used_s,
            }


def cpu_s() -> float:
    """CPU-seconds of this process with all its threads."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime
