"""The unit of work of the worker: what one database transaction carries. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from pipeline.batch import Delivery, RecordBatch
from pipeline.join.deltas import Deltas
from pipeline.rows import DeadLetter
from schemas.events import (
    AllocationChanged,
    CampaignDefined,
    CohortDelta,
    ConnectionReported,
    SubjectEvent,
)

_LINE_END: Final = ord("\n")
_PART: Final = 1 << 16


@dataclass(frozen=True, slots=True)
class RejectedRecord:
    """A record that could not be used: its row, and the bytes for the dead-letter topic."""

    row: DeadLetter
    data: bytes


@dataclass(frozen=True, slots=True)
class DecodedBatch:
    """A batch, its events in offset order, sorted by who takes them.

    Raises:
        ValueError: If there are `subject_events` without `lines`: a restart knows only those.
    """

    delivery: Delivery
    subject_events: Sequence[SubjectEvent] = ()
    definitions: Sequence[CampaignDefined] = ()
    connections: Sequence[ConnectionReported] = ()
    allocations: Sequence[AllocationChanged] = ()
    deltas: Sequence[CohortDelta] = ()
    rejected: Sequence[RejectedRecord] = ()
    lines: bytes = b""
    """`lines_of` the bytes of `subject_events`, in the same order."""

    def __post_init__(self) -> None:
        if self.subject_events and not self.lines:
            events = len(self.subject_events)
            raise ValueError(f"lines == b'', must have {events}, as many as subject_events.")


@dataclass(frozen=True, slots=True)
class Flush:
    """Batches that were joined together and the change they make."""

    batches: Sequence[DecodedBatch]
    deltas: Deltas

    @property
    def ranges(self) -> list[RecordBatch]:
        """The offset ranges it covers, in reading order per partition."""
        return [batch.delivery.batch for batch in self.batches]

    def until_ms(self, now_ms: int) -> int:
        """How far time has come: neither a wrong clock nor a wrong event alone can push it."""
        return min(now_ms, self.deltas.watermark_ms)

    @property
    def dead_letters(self) -> list[DeadLetter]:
        """Rows of the records that could not be used."""
        return [rejected.row for batch in self.batches for rejected in batch.rejected]


def lines_of(values: Sequence[bytes]) -> bytes:
    """JSON values as lines; JSON may hold line ends as white space only, where a space does too."""
    lines = b"\n".join(values)
    if _line_ends(lines) >= max(1, len(values)):
        lines = b"\n".join(value.replace(b"\n", b" ") for value in values)
    return lines


def _line_ends(data: bytes) -> int:
    """How many there are; a third of what it takes to look into each value, or of `data.count`.

    In parts that fit the caches: to compare everything at once, the kernel would have to find
    memory for the answer each time.
    """
    octets = np.frombuffer(data, np.uint8)
    parts = (octets[start : start + _PART] for start in range(0, len(octets), _PART))
    return sum(int(np.count_nonzero(part == _LINE_END)) for part in parts)
