"""`state.duckdb`: aggregates, people's facts and Kafka offsets, changed together or not at all.

DuckDB owns the offsets. A flush is one transaction, so after a crash at any moment the file
holds exactly the effect of the offsets it names. The file lock keeps a second writer out.
Not thread-safe: one call at a time.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
import msgspec
import pyarrow as pa

from pipeline.batch import LostRecordsError, RecordBatch
from pipeline.flush import Flush
from pipeline.rows import FactFile, Lag, Partition
from pipeline.storage import deltas, old_shelf, statements
from pipeline.storage.log_files import LogFiles, LogRows
from pipeline.storage.log_rows import logs_of
from pipeline.storage.shelf import Shelf
from pipeline.storage.swap import make_folder
from runtime.process import CannotRun
from schemas.codec import SchemaError

FILE = "state.duckdb"
LOCKED = "Could not set lock on file"
"""DuckDB's words; its type of error says only that the file could not be opened."""
_REBUILD = "Run `smslab worker --rebuild`, which counts everything again from Kafka."
FORGOTTEN_AT_ONCE = 5_000
"""People per flush, about 10 ms of its transaction."""
FORGET_EVERY_MS = 3600 * 1000
"""After a portion that was not full."""
_FLUSH = statements.flush_statements()
_BEFORE = {
    "allocations": ("allocations_gone",),
    "definitions": ("definitions_gone",),
    "history": ("history_gone",),
}
"""Table of a flush → statements that make room for its rows."""
UNREADABLE = (duckdb.Error, SchemaError, msgspec.MsgspecError)
"""What reading a broken database raises, or one with rows that this version does not understand."""
_log = logging.getLogger(__name__)


class LockedError(CannotRun):
    """Another process has the file open."""


class State:
    """The open database. Make it with `open_state`."""

    keeps_facts = False
    """Whether the bytes of a flush's events wait to be written as Parquet."""

    history_ms: int | None = None
    """How long people who were put aside are remembered; `None`: for ever."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, shelf: Shelf, log: LogFiles) -> None:
        self.connection = connection
        self.shelf = shelf
        self.log = log
        self._log_from = 0
        self._forgot_ms = 0

    def close(self) -> None:
        """Write the log into the file and give it free."""
        self.shelf.close()
        self.log.close()
        self.connection.close()

    def offsets(self) -> dict[tuple[str, int], int]:
        """(topic, partition) → next offset to read."""
        query = 'SELECT topic, "partition", next_offset FROM offsets'
        rows = self.connection.execute(query).fetchall()
        return {(topic, partition): offset for topic, partition, offset in rows}

    @property
    def sequence(self) -> int:
        """How many flushes it holds."""
        (sequence,) = self._one("SELECT sequence FROM progress")
        return int(sequence)

    def partitions(self) -> list[Partition]:
        """Who counts what; nobody but us."""
        return []

    def watermark_ms(self, lags: Sequence[Lag] | None, asked_ms: int) -> int | None:
        """Event time up to which everything is known; `None`: nothing can be said now.

        With nothing left to read it is the moment of asking: cohorts mature in silence too.

        Args:
            lags: Of every partition; `None` without an answer from Kafka.
            asked_ms: When Kafka was asked.
        """
        if lags is not None and not any(lag.waiting for lag in lags):
            return asked_ms
        (newest_ms,) = self._one("SELECT watermark_ms FROM progress")
        return int(newest_ms)

    def commit(self, flush: Flush, now_ms: int) -> None:
        """Store one flush in one transaction; on any error nothing of it is stored.

        Raises:
            LostRecordsError: If a range does not start at the stored offset.
            duckdb.Error, OSError: If the disk is full or a file is broken. Never acknowledge then.
        """
        change = flush.deltas
        with self.transaction():
            stored = self.offsets()
            _check_ranges(stored, flush.ranges)
            self.shelf.append(change.shelved)
            self._put(flush, now_ms)
            self._advance({(b.topic, b.partition): b.next_offset for b in flush.ranges}, stored)
            self.shelf.leave(change.emptied)
            self._forget(flush.until_ms(now_ms))
            is_shorter = change.news_from > self._log_from
            if is_shorter:
                for name in ("state_log_old", "event_log_old", "event_log_left"):
                    self.connection.execute(_FLUSH[name], [change.news_from])
        self._log_from = change.news_from
        self.shelf.tidy()
        if is_shorter:
            self.log.tidy()
        for topic, partition, first, following, missing, _ in deltas.gaps_of(flush):
            fields = {
                "topic": topic,
                "partition": partition,
                "first_offset": first,
                "next_offset": following,
                "missing": missing,
            }
            _log.warning("Kafka no longer has some records", extra={"fields": fields})

    def _put(self, flush: Flush, now_ms: int) -> None:
        """Change every table, inside the transaction."""
        for name, table in deltas.tables_of(flush, now_ms).items():
            self.run(name, table)
        self._put_logs(flush)
        change = flush.deltas
        self._drop_old_activity(max((start for start, _ in change.activity), default=0), now_ms)
        self._add_progress(change.applied, change.duplicates, change.watermark_ms)

    def _advance(
        self, ends: Mapping[tuple[str, int], int], stored: Collection[tuple[str, int]]
    ) -> None:
        """(topic, partition) → next offset, inside the transaction; `stored` have one already.

        Parameters, because a flush has few: an Arrow table to merge costs three times as much.
        """
        moved = {f"{topic}/{partition}": end for (topic, partition), end in ends.items()}
        self.connection.execute(_FLUSH["offsets"], [list(moved), list(moved.values())])
        new = [(*place, end) for place, end in ends.items() if place not in stored]
        if new:
            self.connection.execute(_FLUSH["offsets_new"], list(map(list, zip(*new, strict=True))))

    def _put_logs(self, flush: Flush) -> None:
        """Before `_add_progress`, which begins the next sequence."""
        logs = logs_of(flush, self.sequence + 1, keeps_facts=self.keeps_facts)
        for name, rows in logs.items():
            self.put_log(name, rows)

    def put_log(self, name: str, rows: LogRows) -> None:
        """Inside a transaction: rows of a log; their bodies go into a file."""
        if rows.bodies:
            self.run(name, self.log.put(rows))

    def _forget(self, until_ms: int) -> None:
        """Drop some of those who were put aside too long ago, inside the transaction."""
        if self.history_ms is None or until_ms - self._forgot_ms < FORGET_EVERY_MS:
            return
        old = [until_ms - self.history_ms, FORGOTTEN_AT_ONCE]
        ((dropped,),) = self.connection.execute(_FLUSH["history_old"], old).fetchall()
        if dropped < FORGOTTEN_AT_ONCE:
            self._forgot_ms = until_ms

    def _drop_old_activity(self, newest_ms: int, now_ms: int) -> None:
        before_ms = deltas.activity_from_ms(newest_ms, now_ms)
        if before_ms > 0:  # event time has no less: nothing to delete
            self.connection.execute(_FLUSH["activity_old"], [before_ms])

    def _add_progress(self, applied: int, duplicates: int, watermark_ms: int) -> None:
        self.connection.execute(_FLUSH["progress"], [applied, duplicates, watermark_ms])

    def run(self, name: str, table: pa.Table) -> None:
        """Run the statement of one table of a flush, inside a transaction."""
        self.connection.register(f"delta_{name}", table)
        try:
            for before in _BEFORE.get(name, ()):
                self.connection.execute(_FLUSH[before])
            self.connection.execute(_FLUSH[name])
        finally:
            self.connection.unregister(f"delta_{name}")

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Everything inside, or nothing."""
        self.connection.begin()
        try:
            yield
            self.log.sync()  # before the rows that tell of it
        except BaseException:
            _quietly(self.connection.rollback)  # a broken file cannot roll back; keep the cause
            raise
        self.connection.commit()

    def tell_files(self, files: Sequence[FactFile], now_ms: int) -> None:
        """Inside a transaction: these files are listed now. Whoever publishes has this list."""

    def _one(self, query: str) -> tuple[Any, ...]:
        (row,) = self.connection.execute(query).fetchall()  # fetchone() would keep the result open
        return tuple(row)


def open_state(folder: Path, *, wait_s: float = 2.0) -> State:
    """Open or make the database of a worker.

    Waits a moment for the lock, which a predecessor that was just killed may still hold. Of an
    older layout everybody on the shelf is written anew once: some seconds per million people.

    Raises:
        CannotRun: If another worker has the folder, or the file is of another version or broken.
    """
    make_folder(folder)
    connection = _connect(folder, wait_s)
    try:
        layout = _layout(connection)
        if layout in statements.READABLE:
            connection.begin()
            connection.execute(statements.tables())
            old_shelf.write_names(folder, connection)
            connection.commit()
            shelf, log = Shelf(folder, connection), LogFiles(folder, connection)
            return State(connection, shelf, log)
    except (duckdb.Error, OSError) as error:
        connection.close()
        raise unreadable(folder, error) from error
    except BaseException:
        connection.close()
        raise
    connection.close()
    raise CannotRun(
        f"SMS_WORKER_DATA == {str(folder)!r}: {FILE} has layout {layout}, this version reads "
        f"{statements.LAYOUT}. {_REBUILD}"
    )


def _layout(connection: duckdb.DuckDBPyConnection) -> int:
    """Layout of the file; a new file has ours."""
    (is_new,) = connection.execute(
        "SELECT count(*) = 0 FROM duckdb_tables() WHERE table_name = 'progress'"
    ).fetchall()[0]
    if is_new:
        return statements.LAYOUT
    ((layout,),) = connection.execute("SELECT layout FROM progress").fetchall()
    return int(layout)


def unreadable(folder: Path, error: Exception) -> CannotRun:
    """The sentence for a database that raised one of `UNREADABLE`."""
    return CannotRun(
        f"SMS_WORKER_DATA == {str(folder)!r}: {FILE} cannot be read "
        f"({' '.join(str(error).split())[:200]}). If the disk is full, free space. Otherwise the "
        f"file is broken: {_REBUILD}"
    )


def _connect(folder: Path, wait_s: float) -> duckdb.DuckDBPyConnection:
    deadline = time.monotonic() + wait_s
    while True:
        try:
            return duckdb.connect(folder / FILE, config={"threads": 2})
        except duckdb.IOException as error:
            if LOCKED not in str(error):
                raise unreadable(folder, error) from error
            if time.monotonic() > deadline:
                raise LockedError(
                    f"SMS_WORKER_DATA == {str(folder)!r}: another worker already works in this "
                    "folder. Stop it or set SMS_WORKER_DATA to another folder."
                ) from error
            time.sleep(0.1)
        except duckdb.Error as error:
            raise unreadable(folder, error) from error


def _check_ranges(offsets: Mapping[tuple[str, int], int], ranges: list[RecordBatch]) -> None:
    """Every range starts where the one before it, or the database, ended."""
    ends = dict(offsets)
    for batch in ranges:
        key = (batch.topic, batch.partition)
        expected = ends.get(key, batch.first_offset)
        if batch.first_offset != expected:
            raise LostRecordsError(
                f"{batch.topic}[{batch.partition}] starts at {batch.first_offset}, "
                f"but {expected} is stored."
            )
        ends[key] = batch.next_offset


def _quietly(action: Callable[[], object]) -> None:
    try:
        action()
    except duckdb.Error:
        _log.exception("rollback failed")
