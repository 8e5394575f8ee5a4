"""Tells standing still from having nothing to do. Pure: time is an argument."""

from __future__ import annotations

from collections.abc import Mapping


class StalledError(Exception):
    """Records wait and none was stored for too long; the supervisor starts us anew."""


class Watchdog:
    """Watches the lag and the count of steps."""

    def __init__(self, limit_s: float, now_s: float) -> None:
        self._limit_s = limit_s
        self._steps = -1
        self._moved_at_s = now_s

    def check(self, now_s: float, *, lag: int | None, steps: int, where: str = "") -> None:
        """Compare with the last look; an unknown lag is judged by the steps alone later.

        Args:
            now_s: Monotonic seconds.
            lag: Records that wait, `None` when the broker does not answer.
            steps: How many flushes were stored, or portions of long work done, since the start.
            where: Begins the message.

        Raises:
            StalledError: If there was lag and no step for the whole limit.
        """
        if steps != self._steps or not lag:
            self._steps = steps
            self._moved_at_s = now_s
        if now_s - self._moved_at_s > self._limit_s:
            raise StalledError(
                f"{where}{lag} records wait and none was stored for {self._limit_s:.0f} s."
            )


class Watchdogs:
    """One for every partition that is open: one that stands is not hidden by the others."""

    def __init__(self, limit_s: float) -> None:
        self._limit_s = limit_s
        self._of: dict[int, Watchdog] = {}

    def check(
        self, now_s: float, *, lags: Mapping[int, int] | None, steps: Mapping[int, int]
    ) -> None:
        """Compare every partition with the last look.

        Args:
            now_s: Monotonic seconds.
            lags: Partition → records that wait; `None` when the broker does not answer.
            steps: As for one watchdog, of every partition that is open.

        Raises:
            StalledError: If one of them had lag and no step for the whole limit.
        """
        self._of = {place: self._of.get(place) or Watchdog(self._limit_s, now_s) for place in steps}
        for place, watchdog in self._of.items():
            lag = None if lags is None else lags.get(place, 0)
            watchdog.check(now_s, lag=lag, steps=steps[place], where=f"partition {place}: ")
