"""What one connection has done since the process started."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from schemas.events import SubmitOutcome


@dataclass(slots=True)
class Counts:
    """Running totals; reported once a second and at `/metrics`."""

    submits: int = 0
    accepted: int = 0
    rejected: int = 0
    unknown: int = 0
    expired: int = 0
    throttled: int = 0
    """RTHROTTLED and RMSGQFUL from the SMSC."""
    receipts: int = 0
    inbound: int = 0
    unreadable: int = 0
    """PDUs and requests that went to the dead letters."""
    unstored: int = 0
    """deliver_sm refused because Kafka did not take them; they come again."""
    receipt_states: Counter[str] = field(default_factory=Counter)
    statuses: Counter[int] = field(default_factory=Counter)
    """Answers to submit_sm by command_status."""

    def settle(self, outcome: SubmitOutcome) -> None:
        """A part has a result."""
        setattr(self, outcome, getattr(self, outcome) + 1)

    def receipt(self, state: str) -> None:
        """A receipt came."""
        self.receipts += 1
        self.receipt_states[state] += 1


def ignore(_seconds: float) -> None:
    """Measure nothing."""


@dataclass(frozen=True, slots=True)
class Meters:
    """Where latencies of one connection go, in seconds."""

    submit: Callable[[float], None] = ignore
    """submit_sm to its answer."""
    ack: Callable[[float], None] = ignore
    """deliver_sm to our answer."""
    publish: Callable[[float], None] = ignore
    """A submit result to Kafka's confirmation."""


NO_METERS = Meters()
