"""The session's timers as a value: told what happened and asked with the time as argument."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum, auto


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds (SMPP 3.4 §7.2)."""

    response_s: float = 60.0
    """Advice of operators reaches from 30 s to 10 min; 2 s is too short."""
    enquire_link_s: float = 30.0
    """Silence after which the link is checked."""
    session_init_s: float = 10.0
    """A peer that connects must bind within this time."""
    inactivity_s: float = math.inf
    """Without a message for this time the session unbinds; for ever, unless set."""


class Due(Enum):
    """What a tick asks for."""

    CHECK_LINK = auto()
    LINK_DEAD = auto()
    NOT_BOUND_IN_TIME = auto()
    INACTIVE = auto()


class Timers:
    """Which of them is due."""

    __slots__ = ("_check_sent_at", "_heard_at", "_opened_at", "_timeouts", "_worked_at")

    def __init__(self, timeouts: Timeouts, now: float) -> None:
        self._timeouts = timeouts
        self._opened_at = self._heard_at = self._worked_at = now
        self._check_sent_at: float | None = None

    def heard(self, now: float) -> None:
        """Any octets prove that the link lives."""
        self._heard_at = now
        self._check_sent_at = None

    def worked(self, now: float) -> None:
        """A message went one way or the other (SMPP 3.4 §7.2, inactivity_timer)."""
        self._worked_at = now

    def link_checked(self, now: float) -> None:
        """An enquire_link was sent."""
        self._check_sent_at = now

    def tick(self, now: float, *, is_open: bool) -> Due | None:
        """What is due at `now`, the worst first; `is_open` = connected but not bound."""
        if is_open and now - self._opened_at >= self._timeouts.session_init_s:
            return Due.NOT_BOUND_IN_TIME
        if self._check_sent_at is not None:
            dead = now - self._check_sent_at >= self._timeouts.response_s
            return Due.LINK_DEAD if dead else None
        if not is_open and now - self._worked_at >= self._timeouts.inactivity_s:
            return Due.INACTIVE
        if now - self._heard_at >= self._timeouts.enquire_link_s:
            return Due.CHECK_LINK
        return None
