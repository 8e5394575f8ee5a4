"""The log of changes of one partition: which delta the sink applies, which it has already. Pure.

Whoever owns a partition numbers its deltas 1, 2, 3 … in the same transaction that moves its
offsets, and publishes each until Kafka has it. So the log may repeat deltas, also much later and
from a process that has lost the partition, but two deltas of one number are the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, auto

from schemas.events import CohortDelta


class DeltaGapError(Exception):
    """A delta does not continue what was applied: something is missing. The sink stops."""


class Decision(Enum):
    """What a delta is to the sink."""

    APPLY = auto()
    KNOWN = auto()
    """Applied before."""
    FOREIGN = auto()
    """Of another chain: a state that was put aside, or a worker in a folder of its own."""


@dataclass(frozen=True, slots=True)
class Applied:
    """How far the sink is with one partition."""

    chain: str
    sequence: int = 0
    offsets: Mapping[str, int] = field(default_factory=dict)
    """Topic → next offset."""


def judge(applied: Applied | None, delta: CohortDelta) -> Decision:
    """What to do with a delta after `applied` (`None`: the partition is new to the sink).

    Raises:
        DeltaGapError: If deltas or offsets between `applied` and this one are missing, or its
            ranges overlap what was applied under another number.
    """
    if applied is None:
        applied = Applied(delta.chain)
    if delta.chain != applied.chain:
        return Decision.FOREIGN
    if delta.sequence <= applied.sequence:
        return Decision.KNOWN
    if delta.sequence != applied.sequence + 1:
        raise DeltaGapError(
            f"partition {delta.partition}: delta {delta.sequence} came after {applied.sequence} "
            f"of chain {delta.chain}; those between are missing."
        )
    _check_ranges(applied, delta)
    return Decision.APPLY


def advance(delta: CohortDelta, applied: Applied | None) -> Applied:
    """How far the sink is after it has applied a delta."""
    ends = {each.topic: each.next_offset for each in delta.ranges}
    known = applied.offsets if applied else {}
    return Applied(delta.chain, delta.sequence, {**known, **ends})


def _check_ranges(applied: Applied, delta: CohortDelta) -> None:
    ends = dict(applied.offsets)
    for each in delta.ranges:
        expected = ends.get(each.topic, each.first_offset)
        if each.first_offset != expected:
            raise DeltaGapError(
                f"{each.topic}[{delta.partition}] of delta {delta.sequence} starts at "
                f"{each.first_offset}, but {expected} was applied."
            )
        ends[each.topic] = each.next_offset
