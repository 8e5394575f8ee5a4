"""What the worker reads in one piece: consecutive records of one partition. Pure.

Offsets tell a story here: `first_offset` is where reading stood, `next_offset` where it stands
after this batch. Two batches of a partition fit together when these are equal; a hole between
*records* is Kafka's (compaction, retention), a hole between *batches* is ours and a defect.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol


class Record(Protocol):
    """The part of a Kafka record that the worker looks at."""

    @property
    def offset(self) -> int:
        """Position in the partition."""

    @property
    def value(self) -> bytes | None:
        """The event, or `None` for a tombstone."""

    @property
    def timestamp(self) -> int:
        """Kafka's time, ms: when its producer made it; below 0: unknown."""


@dataclass(frozen=True, slots=True)
class RecordBatch:
    """Records of one partition in offset order; `generation` is the group's when fetched."""

    topic: str
    partition: int
    first_offset: int
    next_offset: int
    records: Sequence[Record]
    generation: int = 0
    left_ms: int | None = None
    """Of a range without records: Kafka's time of the record that follows it; `None`: unknown."""

    @property
    def missing(self) -> int:
        """How many offsets of the range carry no record."""
        return self.next_offset - self.first_offset - len(self.records)

    @property
    def written_before_ms(self) -> int | None:
        """Kafka's time of the first record behind the last hole; `None`: unknown.

        What is missing was written before that record was.
        """
        behind_ms, following = self.left_ms, self.next_offset
        for record in reversed(self.records):
            if record.offset + 1 != following:
                break
            behind_ms, following = record.timestamp, record.offset
        return behind_ms if behind_ms is not None and behind_ms >= 0 else None

    def starting_at(self, offset: int) -> RecordBatch | None:
        """The part from `offset` on; `None` when nothing is left.

        Raises:
            LostRecordsError: If the batch starts after `offset`: records between were dropped.
        """
        if offset < self.first_offset:
            raise LostRecordsError(
                f"{self.topic}[{self.partition}] continues at {self.first_offset}, "
                f"but {offset} is next."
            )
        if offset >= self.next_offset:
            return None
        if offset == self.first_offset:
            return self
        rest = [record for record in self.records if record.offset >= offset]
        return replace(self, first_offset=offset, records=rest)


class LostRecordsError(Exception):
    """Batches of a partition do not fit together. The process ends and reads again."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """A batch as the transport hands it over; `ack` after the database has it."""

    batch: RecordBatch
    ack: Callable[[], None]
