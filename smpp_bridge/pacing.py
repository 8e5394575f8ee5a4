"""How fast: rate limit, brake after throttling, waits before a reconnect. Pure; time comes in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from smpp_bridge.protocol.constants import REFUSED_BINDS

BURST_S: Final = 0.1
"""Tokens that may be saved up: a tenth of a second's worth, so an hour of rest is no burst."""
BRAKE_S: Final = (0.5, 30.0)
"""First and longest pause after RTHROTTLED or RMSGQFUL (smpp.md §3.5: Jasmin 30 s, too slow)."""
BACKOFF_S: Final = (0.25, 30.0)
REFUSED_BACKOFF_S: Final = (5.0, 300.0)
"""Retrying a refused bind fast only locks the account."""


class TokenBucket:
    """At most `rate_per_s` takes a second; `None` is no limit. Times are monotonic seconds."""

    __slots__ = ("_filled_at", "_rate", "_size", "_tokens")

    def __init__(self, rate_per_s: float | None, *, now: float = 0.0) -> None:
        if rate_per_s is not None and not rate_per_s > 0:
            raise ValueError(f"rate_per_s == {rate_per_s}, must be above 0.")
        self._rate = rate_per_s
        self._size = max(1.0, (rate_per_s or 0.0) * BURST_S)
        self._tokens = self._size
        self._filled_at = now

    def take(self, now: float) -> bool:
        """Take one token if there is one.

        Examples:
            >>> bucket = TokenBucket(2.0)
            >>> [bucket.take(at) for at in (0.0, 0.1, 0.5, 0.6, 1.0)]
            [True, False, True, False, True]
        """
        if self._rate is None:
            return True
        self._fill(now)
        if self._tokens < 1.0:
            return False
        self._tokens -= 1.0
        return True

    def wait_s(self, now: float) -> float:
        """Seconds until the next token."""
        if self._rate is None:
            return 0.0
        self._fill(now)
        return max(0.0, (1.0 - self._tokens) / self._rate)

    def _fill(self, now: float) -> None:
        assert self._rate is not None
        if now > self._filled_at:
            self._tokens = min(self._size, self._tokens + (now - self._filled_at) * self._rate)
            self._filled_at = now


class Brake:
    """Pauses a connection that was told to slow down; longer each time until it is accepted."""

    __slots__ = ("_in_row", "until")

    def __init__(self) -> None:
        self.until = 0.0
        self._in_row = 0

    def pull(self, now: float) -> float:
        """A throttling answer came; returns the seconds to wait.

        The rest of the window is answered alike and says nothing new: one pause for all.
        """
        if now >= self.until:
            least, most = BRAKE_S
            self.until = now + min(most, least * 2.0 ** min(self._in_row, 16))
            self._in_row += 1
        return self.until - now

    def release(self, now: float) -> None:
        """A message was accepted; during a pause that is an answer to an older one."""
        if now >= self.until:
            self._in_row = 0

    def holds(self, now: float) -> bool:
        """Whether nothing may be sent."""
        return now < self.until


def reconnect_wait_s(
    failures: int, refused_with: int | None, uniform: Callable[[float, float], float]
) -> float:
    """Full-jitter exponential backoff; slower after RINVPASWD, RINVSYSID, RALYBND.

    Args:
        failures: Attempts in a row without a bind, 0 after a session that was bound.
        refused_with: command_status of a refused bind.
        uniform: Source of jitter, so that many links do not come back in step.
    """
    least, most = REFUSED_BACKOFF_S if refused_with in REFUSED_BINDS else BACKOFF_S
    return uniform(least / 2, min(most, least * 2.0 ** min(failures, 16)))
