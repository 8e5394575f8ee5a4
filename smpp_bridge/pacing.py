"""How fast: rate limit, brake after throttling, waits before a reconnect. Pure; time comes in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from smpp_bridge.protocol.constants import REFUSED_BINDS

BURST_S: Final = 0.1
"""Tokens that may be saved up: a tenth of a second's worth, so an hour of rest is no burst."""
BRAKE_S: Final = (0.5, 30.0)
"""First and longest pause after RTHROTTLED or RMSGQFUL (smpp.md §3.5: Jasmin 30 s, too slow)."""
LEAST_PER_S: Final = 1.0
CUT: Final = 0.8
RAISED_PER_S: Final = 0.05
SEARCHED_PER_S: Final = 1.0
"""Before the limit has been met twice, and when it was not met for `SEARCHES_AFTER_S`."""
SEARCHES_AFTER_S: Final = 10.0
MAX_UNANSWERED: Final = 3
"""Attempts without an answer; a message on which the SMSC drops the link would be sent for ever."""
STABLE_S: Final = 30.0
"""A session that lived that long was a good one: the next wait is short again."""
BACKOFF_S: Final = (0.25, 30.0)
REFUSED_BACKOFF_S: Final = (5.0, 300.0)
"""Retrying a refused bind fast only locks the account."""


class TokenBucket:
    """At most `rate_per_s` takes a second; `None` is no limit. Times are monotonic seconds."""

    __slots__ = ("_configured", "_filled_at", "_rate", "_size", "_tokens")

    def __init__(self, rate_per_s: float | None, *, now: float = 0.0) -> None:
        if rate_per_s is not None and not rate_per_s > 0:
            raise ValueError(f"rate_per_s == {rate_per_s}, must be above 0.")
        self._configured = rate_per_s
        self._rate = rate_per_s
        self._size = max(1.0, (rate_per_s or 0.0) * BURST_S)
        self._tokens = self._size
        self._filled_at = now

    def limit_to(self, rate_per_s: float, now: float) -> None:
        """Be as slow as that, if the configured rate is not slower."""
        if self._rate is None:
            self._filled_at = now
        self._rate = min(rate_per_s, self._configured or rate_per_s)
        self._size = max(1.0, self._rate * BURST_S)
        self._tokens = min(self._tokens, self._size)

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


class LearnedRate:
    """What an operator takes per second, learned from its throttling.

    Begins with a part of what it had just taken, cut when it throttles again, raised slowly
    while it accepts, fast while the limit is not known (after TCP: slow start, then congestion
    avoidance, RFC 5681 §3.1).
    """

    __slots__ = ("_count", "_previous", "_raised_at", "_searches_from", "_second", "limit")

    def __init__(self) -> None:
        self.limit: float | None = None
        """Messages per second; `None` before the first throttling."""
        self._second = 0
        self._count = self._previous = 0
        self._raised_at = 0.0
        self._searches_from = 0.0

    def accepted(self, now: float) -> None:
        """A message was taken."""
        self._turn(int(now))
        self._count += 1
        if self.limit is not None:
            growth = SEARCHED_PER_S if now >= self._searches_from else RAISED_PER_S
            self.limit *= 1.0 + growth * min(1.0, now - self._raised_at)
            self._raised_at = now

    def throttled(self, now: float) -> float:
        """A message was refused for its haste; returns the new limit.

        Examples:
            >>> rate = LearnedRate()
            >>> for _ in range(10): rate.accepted(0.5)
            >>> rate.throttled(0.5)
            8.0
        """
        self._turn(int(now))
        self._searches_from = now if self.limit is None else now + SEARCHES_AFTER_S
        known = self.limit or max(self._count, self._previous)
        self.limit = max(LEAST_PER_S, CUT * known)
        self._raised_at = now
        return self.limit

    def _turn(self, second: int) -> None:
        if second != self._second:
            self._previous = self._count if second == self._second + 1 else 0
            self._second, self._count = second, 0


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
