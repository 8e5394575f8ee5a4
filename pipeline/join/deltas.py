"""What the join hands over: the change since the last time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec

from pipeline.join.cohorts import CohortKey
from pipeline.join.facts import News
from pipeline.join.latency import LatencyKey
from pipeline.rows import UnmatchedReceipt

WHOLE_SYSTEM = ""
"""Key of `Deltas.health` for what belongs to no campaign."""

DeliverabilityKey = tuple[str, int, str, str]
ActivityKey = tuple[int, str]


class Retired(msgspec.Struct, frozen=True, gc=False):
    """A person put aside: give `facts` to `JoinEngine.fetch` before the next word about them."""

    facts: bytes
    campaigns: tuple[str, ...]
    """Campaigns that assigned the person, sorted."""


@dataclass(frozen=True, slots=True)
class Shelved:
    """Quiet people, a row each, as columns: of a backlog a flush has thirty thousand."""

    first: int = 0
    """The place of the first; the next one has the next number."""
    subjects: Sequence[str] = ()
    facts: Sequence[bytes] = ()
    """Give a person's to `JoinEngine.fetch` before the next word about them."""
    campaigns: Sequence[tuple[str, ...]] = ()
    """Campaigns that assigned the person, sorted."""

    @property
    def places(self) -> range:
        """Where they belong."""
        return range(self.first, self.first + len(self.subjects))


@dataclass(slots=True)
class Deltas:
    """What changed since the last `JoinEngine.take`; add it to what was there."""

    applied: int
    """Events that were new."""
    duplicates: int
    """Events whose event_id was known."""
    watermark_ms: int
    """Newest occurred_at_ms ever seen, 0 before the first."""
    cohorts: dict[CohortKey, list[int]] = field(default_factory=dict)
    """Changes in the order of `cohorts.VECTOR`."""
    deliverability: dict[DeliverabilityKey, int] = field(default_factory=dict)
    """(connection, hour_start_ms, state, err) → final receipts."""
    health: dict[str, list[int]] = field(default_factory=dict)
    """campaign_id, or "" for the whole system → double_assigned, receipts, unmatched_receipts."""
    activity: dict[ActivityKey, int] = field(default_factory=dict)
    """(start of ten seconds of event time, topic) → events."""
    unmatched: dict[str, UnmatchedReceipt | None] = field(default_factory=dict)
    """event_id → the receipt that has no submit, or None: it has one now."""
    round: int = 0
    """Number of this `take`; it goes with its news to `JoinEngine.replay`."""
    news: list[News] = field(default_factory=list)
    """What `JoinEngine.replay` needs after a restart besides the events, in order."""
    news_from: int = 0
    """The first round whose news are still needed."""
    retired: dict[str, Retired] = field(default_factory=dict)
    """subject → what must be kept of people whose horizon has passed."""
    shelved: Shelved = field(default_factory=Shelved)
    """What must be kept of people who were quiet for long."""
    emptied: list[int] = field(default_factory=list)
    """Places of people who are at hand again."""
    latencies: dict[LatencyKey, int] = field(default_factory=dict)
    """(connection, hour of the submit, upper end) → message parts."""
