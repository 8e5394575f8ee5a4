"""What a bridge has done since it started."""

from __future__ import annotations

from dataclasses import dataclass

from schemas.events import SubmitOutcome


@dataclass(slots=True)
class Counts:
    """Running totals; reported once a second."""

    submits: int = 0
    accepted: int = 0
    rejected: int = 0
    unknown: int = 0
    expired: int = 0
    receipts: int = 0
    inbound: int = 0
    unreadable: int = 0

    def settle(self, outcome: SubmitOutcome) -> None:
        """A part has its result."""
        setattr(self, outcome, getattr(self, outcome) + 1)
