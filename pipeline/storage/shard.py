"""The database of one partition, where several workers share the work.

It holds what belongs to the partition's people and the deltas that Kafka does not have yet; the
aggregates are the sink's. A flush is one transaction over both (a transactional outbox), so a
delta exists exactly when its offsets are stored. The lock of the file keeps a second owner out:
who holds it may count, whatever Kafka's consumer group believes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import duckdb

from pipeline.flush import Flush
from pipeline.rows import FactFile
from pipeline.storage.change import PRIVATE, Change, pack, travelling
from pipeline.storage.deltas import fact_files_table, tables_of
from pipeline.storage.state import State, open_state, unreadable
from pipeline.storage.statements import more_tables
from schemas.codec import encode
from schemas.events import CohortDelta, OffsetRange

FOLDER = "shards"
FORGOTTEN_EVERY = 10
"""Deltas. Forgetting costs a statement; what is told again after a restart the sink skips."""


def shard_folder(data: Path, partition: int) -> Path:
    """Where the state of a partition lies."""
    return data / FOLDER / f"{partition:02d}"


class ShardState(State):
    """The open database of one partition. Make it with `open_shard`.

    Args:
        opened: The database.
        partition: Whose people it holds.
        worker: Our name, for the deltas.
    """

    def __init__(self, opened: State, partition: int, worker: str) -> None:
        super().__init__(opened.connection, opened.shelf, opened.log)
        self._partition = partition
        self._worker = worker
        self._published = 0
        self._waiting = self._outbox()  # as `published`, for whoever has the database
        self._posted: list[tuple[int, bytes]] = []

    @property
    def chain(self) -> str:
        """Random name of the partition's log of changes."""
        (chain,) = self._one("SELECT chain FROM shard")
        return str(chain)

    @property
    def deltas(self) -> int:
        """How many this chain has."""
        (deltas,) = self._one("SELECT deltas FROM shard")
        return int(deltas)

    def unpublished(self) -> list[tuple[int, bytes]]:
        """Deltas that Kafka may not have, in order: number and record value, a row per piece."""
        return list(self._waiting)

    def published(self, sequence: int) -> None:
        """Kafka has everything up to this delta; a flush after it forgets it."""
        self._published = sequence
        self._waiting = [each for each in self._waiting if each[0] > sequence]

    def _outbox(self) -> list[tuple[int, bytes]]:
        return self.connection.execute(
            'SELECT "sequence", event FROM outbox ORDER BY "sequence", piece'
        ).fetchall()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Everything inside, or nothing; then its deltas wait for Kafka."""
        self._posted = []
        with super().transaction():
            yield
        self._waiting += self._posted

    def tell_files(self, files: Sequence[FactFile], now_ms: int) -> None:
        """The sink lists them with a delta of their own."""
        if files:
            tables = {"fact_files": fact_files_table(files)}
            self._post(pack(Change(0, 0, 0, 0, travelling(tables))), (), now_ms)

    def _put(self, flush: Flush, now_ms: int) -> None:
        tables = tables_of(flush, now_ms)
        for name in tables.keys() & PRIVATE:
            self.run(name, tables[name])
        self._put_logs(flush)
        change = flush.deltas
        self._add_progress(change.applied, change.duplicates, change.watermark_ms)
        pieces = pack(
            Change(
                change.applied,
                change.duplicates,
                change.watermark_ms,
                max((start for start, _ in change.activity), default=0),
                travelling(tables),
            )
        )
        self._post(pieces, ranges_of(flush), now_ms)

    def _post(self, pieces: list[bytes], ranges: tuple[OffsetRange, ...], now_ms: int) -> None:
        ((chain, sequence),) = self.connection.execute(
            "UPDATE shard SET deltas = deltas + 1 RETURNING chain, deltas"
        ).fetchall()
        if sequence % FORGOTTEN_EVERY == 0:
            self.connection.execute('DELETE FROM outbox WHERE "sequence" <= ?', [self._published])
        for number, body in enumerate(pieces):
            event = CohortDelta(
                event_id=f"{chain}:{sequence}:{number}",
                occurred_at_ms=now_ms,
                partition=self._partition,
                chain=str(chain),
                sequence=sequence,
                worker=self._worker,
                ranges=ranges,
                piece=number,
                pieces=len(pieces),
                body=body,
            )
            value = encode(event)
            self._posted.append((sequence, value))
            self.connection.execute(
                "INSERT INTO outbox VALUES (?, ?, ?)", [sequence, number, value]
            )


def open_shard(data: Path, partition: int, worker: str, *, wait_s: float = 0.0) -> ShardState:
    """Open or make the database of a partition.

    Raises:
        LockedError: If another worker has it.
        CannotRun: If the file is of another version or broken.
    """
    folder = shard_folder(data, partition)
    opened = open_state(folder, wait_s=wait_s)
    try:
        opened.connection.execute(more_tables("shard_tables"))
        return ShardState(opened, partition, worker)
    except duckdb.Error as error:
        opened.close()
        raise unreadable(folder, error) from error


def ranges_of(flush: Flush) -> tuple[OffsetRange, ...]:
    """What a flush has read, one range per topic: batches of a topic fit together."""
    ranges: dict[str, OffsetRange] = {}
    for batch in flush.ranges:
        first = ranges[batch.topic].first_offset if batch.topic in ranges else batch.first_offset
        ranges[batch.topic] = OffsetRange(
            topic=batch.topic, first_offset=first, next_offset=batch.next_offset
        )
    return tuple(ranges.values())
