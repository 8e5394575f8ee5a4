"""What one connection has done since the process started."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Final

from schemas.events import SubmitOutcome
from smpp_bridge.adapters.seldom import tell_unexpected
from smpp_bridge.protocol.constants import CommandStatus

BUCKETS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
"""Seconds, from a loopback answer to the response timeout."""

OTHER: Final = "other"
_COUNTED: Final = frozenset((*CommandStatus, *range(0x400, 0x500)))
"""Named by SMPP, or a vendor's (§5.1.3)."""


class Statuses(Counter[int | str]):
    """Counts by command_status. Those that nobody names are one, for a peer may send 2^32."""

    def __getitem__(self, status: int | str) -> int:
        return super().__getitem__(_counted(status))

    def __setitem__(self, status: int | str, number: int) -> None:
        super().__setitem__(_counted(status), number)


def status_label(status: int | str) -> str:
    """As Prometheus knows a key of `Statuses`."""
    return status if isinstance(status, str) else f"0x{status:08x}"


def _counted(status: int | str) -> int | str:
    return status if status in _COUNTED else OTHER


class Latency:
    """A histogram of seconds that costs a list access per message; read when scraped."""

    __slots__ = ("counts", "total_s")

    def __init__(self) -> None:
        self.counts = [0] * (len(BUCKETS) + 1)
        """By bucket, not summed up; the last is above all of `BUCKETS`."""
        self.total_s = 0.0

    def observe(self, seconds: float) -> None:
        """One message took that long."""
        self.counts[bisect_left(BUCKETS, seconds)] += 1
        self.total_s += seconds


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
    """Replies; one of several parts counts once."""
    incomplete: int = 0
    """Long replies of which a part did not come in time; its parts are published."""
    unreadable: int = 0
    """PDUs and requests that could not be used; on the dead letters, if not too many wait there."""
    oversized: int = 0
    """Answers of the SMSC that were cut before they went to the ESME."""
    unstored: int = 0
    """deliver_sm refused because Kafka did not take them; they come again."""
    unexpected: int = 0
    """PDUs whose handling failed in a way that nobody foresaw."""
    receipt_states: Counter[str] = field(default_factory=Counter)
    spellings: Counter[str] = field(default_factory=Counter)
    """Receipts of a sample, by how they spell the id of the submit_sm_resp."""
    statuses: Statuses = field(default_factory=Statuses)
    """Answers to submit_sm by command_status."""
    submit_latency: Latency = field(default_factory=Latency)
    """submit_sm to its answer."""
    ack_latency: Latency = field(default_factory=Latency)
    """deliver_sm to our answer."""
    publish_latency: Latency = field(default_factory=Latency)
    """A submit result to Kafka's confirmation."""

    def failed(self, error: Exception) -> None:
        """Count and tell what nobody foresaw."""
        self.unexpected += 1
        tell_unexpected(error)

    def settle(self, outcome: SubmitOutcome) -> None:
        """A part has a result."""
        setattr(self, outcome, getattr(self, outcome) + 1)

    def receipt(self, state: str) -> None:
        """A receipt came."""
        self.receipts += 1
        self.receipt_states[state] += 1

    def totals(self) -> dict[str, int | Counter[Any]]:
        """Everything but the histograms, by name."""
        values = {name: getattr(self, name) for name in self.__slots__}
        return {name: value for name, value in values.items() if not isinstance(value, Latency)}
