"""Reads `serve.duckdb`: one method per question, read-only.

One database in memory serves every thread; each version of the file is attached to it once
(about 1 ms, where opening a database of its own costs 20-30) and detached when nobody reads
it any more. `connect` of the same path would answer from the old file for as long as any
connection to it is open.
"""

from __future__ import annotations

import contextlib
import json
import math
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

import duckdb

from pipeline import rows as row_types
from pipeline.rows import Counters, Maturity, Moments, Row
from pipeline.storage.serve import TABLES, Column, columns_of

R = TypeVar("R", bound=Row)


Generation = tuple[int, int]
"""Inode and time of change of the file: another one for every snapshot."""
ATTEMPTS: Final = 20
"""The worker replaces the file at most every 50 ms; attaching takes about 1 ms."""
_CONFIG: Final[dict[str, str | bool | int | float | list[str]]] = {
    "threads": 1,
    "memory_limit": "256MB",
}
"""A page reads some hundred rows; the processor belongs to the worker."""


class SnapshotUnreadable(Exception):  # noqa: N818 - reads as the sentence it prints
    """The file is not a database, or has other tables than this version expects."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"{path} cannot be read: {reason}")
        self.path = path
        self.reason = reason


class Questions(ABC):
    """What can be asked of published results."""

    def snapshot_info(self) -> row_types.SnapshotInfo | None:
        """What the snapshot contains; `None` when there is none yet."""
        found = self._rows(row_types.SnapshotInfo)
        return found[0] if found else None

    def campaigns(self) -> list[row_types.Campaign]:
        """Every definition in force, newest first."""
        return self._rows(row_types.Campaign, "ORDER BY defined_at_ms DESC, campaign_id")

    def variants(self, campaign_id: str) -> list[row_types.Variant]:
        """The arms of a campaign, the control first."""
        return self._of(row_types.Variant, campaign_id, "ORDER BY is_control DESC, variant_id")

    def cohorts(self, campaign_id: str) -> list[row_types.Cohort]:
        """The whole-cohort rows of a campaign, oldest first."""
        return self._of(
            row_types.Cohort,
            campaign_id,
            "AND dimension = '' ORDER BY cohort_start_ms, variant_id",
        )

    def variant_results(
        self, campaign_id: str, maturity: Maturity | None = None
    ) -> list[row_types.VariantResult]:
        """What each arm did."""
        return self._by_maturity(row_types.VariantResult, campaign_id, maturity)

    def comparisons(
        self, campaign_id: str, maturity: Maturity | None = None
    ) -> list[row_types.Comparison]:
        """Treatment against control."""
        return self._by_maturity(row_types.Comparison, campaign_id, maturity)

    def segments(self, campaign_id: str) -> list[row_types.Segment]:
        """The goal by segment, the largest first; empty before the end."""
        order = "ORDER BY attribute, treatment, control_n + treatment_n DESC, value"
        return self._of(row_types.Segment, campaign_id, order)

    def segment_checks(self, campaign_id: str) -> list[row_types.SegmentCheck]:
        """Whether segments differ, by attribute and treatment."""
        return self._of(row_types.SegmentCheck, campaign_id, "ORDER BY attribute, treatment")

    def health_checks(self, campaign_id: str) -> list[row_types.HealthCheck]:
        """The trust lights."""
        return self._of(row_types.HealthCheck, campaign_id)

    def verdict(self, campaign_id: str) -> row_types.Verdict | None:
        """The verdict in force."""
        history = self.verdicts(campaign_id)
        return history[-1] if history else None

    def verdicts(self, campaign_id: str) -> list[row_types.Verdict]:
        """Every change of the verdict, oldest first."""
        return self._of(row_types.Verdict, campaign_id, "ORDER BY rowid")

    def connections(self) -> list[row_types.ConnectionState]:
        """The last report of every SMPP connection."""
        return self._rows(row_types.ConnectionState, "ORDER BY connection")

    def activity(self) -> list[row_types.Activity]:
        """Events per topic per ten seconds, oldest first."""
        return self._rows(row_types.Activity, "ORDER BY bucket_start_ms, topic")

    def lags(self) -> list[row_types.Lag]:
        """How far the worker is behind."""
        return self._rows(row_types.Lag, 'ORDER BY topic, "partition"')

    def partitions(self) -> list[row_types.Partition]:
        """Who counts which people; empty with one worker."""
        return self._rows(row_types.Partition, 'ORDER BY "partition"')

    def deliverability(self) -> list[row_types.Deliverability]:
        """Final receipts by connection, hour, state and error."""
        return self._rows(row_types.Deliverability, "ORDER BY receipts DESC")

    def unmatched_receipts(self) -> list[row_types.UnmatchedReceipt]:
        """Receipts without their submit."""
        return self._rows(row_types.UnmatchedReceipt, "ORDER BY received_at_ms DESC")

    def dead_letters(self) -> list[row_types.DeadLetter]:
        """Records that could not be used."""
        return self._rows(row_types.DeadLetter, "ORDER BY seen_at_ms DESC")

    def gaps(self) -> list[row_types.Gap]:
        """What Kafka no longer had when it was due, the newest first."""
        return self._rows(row_types.Gap, 'ORDER BY seen_at_ms DESC, topic, "partition"')

    def join_health(self) -> list[row_types.JoinHealth]:
        """What the join knows about data faults."""
        return self._rows(row_types.JoinHealth)

    def _by_maturity(
        self, row_type: type[R], campaign_id: str, maturity: Maturity | None
    ) -> list[R]:
        if maturity is None:
            return self._of(row_type, campaign_id)
        return self._of(row_type, campaign_id, "AND maturity = ?", (maturity,))

    def _of(
        self, row_type: type[R], campaign_id: str, rest: str = "", values: Sequence[object] = ()
    ) -> list[R]:
        return self._rows(row_type, f"WHERE campaign_id = ? {rest}", (campaign_id, *values))

    @abstractmethod
    def _rows(self, row_type: type[R], rest: str = "", values: Sequence[object] = ()) -> list[R]:
        """Rows of a table, with the rest of the SQL after FROM."""


class Snapshot(Questions):
    """One version of the file: all answers come from the same moment."""

    def __init__(
        self, path: Path, database: duckdb.DuckDBPyConnection, alias: str, generation: Generation
    ) -> None:
        self.generation = generation
        self._path = path
        self._database = database
        self._alias = alias

    def _rows(self, row_type: type[R], rest: str = "", values: Sequence[object] = ()) -> list[R]:
        columns = columns_of(row_type)
        names = ", ".join(f'"{column.name}"' for column in columns)
        sql = f"SELECT {names} FROM {self._alias}.{TABLES[row_type]} {rest}"  # noqa: S608 - names are ours
        with contextlib.closing(self._database.cursor()) as cursor, _readable(self._path):
            found = cursor.execute(sql, list(values)).fetchall()
        return [_row(row_type, columns, values) for values in found]


@dataclass(slots=True)
class _Attached:
    """An attached version and how many read it now."""

    alias: str
    generation: Generation
    readers: int = 0


class ResultsReader(Questions):
    """The published results in a file that is replaced while one reads. Threads may share it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._database: duckdb.DuckDBPyConnection | None = None
        self._attached: list[_Attached] = []
        self._count = 0

    def generation(self) -> Generation | None:
        """Changes whenever the file is replaced; `None` without a file."""
        try:
            stat = self._path.stat()
        except FileNotFoundError:
            return None
        return stat.st_ino, stat.st_mtime_ns

    @contextlib.contextmanager
    def snapshot(self) -> Iterator[Snapshot | None]:
        """The newest version, unchanged for as long as the block runs; `None` without a file.

        Raises:
            SnapshotUnreadable: If the file is not a database of ours.
        """
        attached = self._take()
        if attached is None:
            yield None
            return
        try:
            assert self._database is not None, "attached to it"
            yield Snapshot(self._path, self._database, attached.alias, attached.generation)
        finally:
            self._give_back(attached)

    def close(self) -> None:
        """Release the files; the next question opens them anew."""
        with self._lock:
            if self._database is not None:
                self._database.close()
            self._database = None
            self._attached = []

    def query(self, sql: str) -> tuple[list[str], list[tuple[Any, ...]]]:
        """Any SQL of an analyst, read-only: column names and rows.

        Raises:
            duckdb.Error: If the query is wrong.
            FileNotFoundError: If there is no snapshot yet.
        """
        if self.generation() is None:
            raise FileNotFoundError(self._path)
        with self._open() as database:
            cursor = database.execute(sql)
            names = [item[0] for item in cursor.description or ()]
            return names, cursor.fetchall()

    def _rows(self, row_type: type[R], rest: str = "", values: Sequence[object] = ()) -> list[R]:
        with self.snapshot() as snapshot:
            return [] if snapshot is None else snapshot._rows(row_type, rest, values)  # noqa: SLF001 - the same question

    def _take(self) -> _Attached | None:
        with self._lock:
            generation = self.generation()
            if generation is None:
                return None
            if not self._attached or self._attached[-1].generation != generation:
                self._attached.append(self._attach())
                self._detach_unread()
            self._attached[-1].readers += 1
            return self._attached[-1]

    def _give_back(self, attached: _Attached) -> None:
        with self._lock:
            attached.readers -= 1
            self._detach_unread()

    def _attach(self) -> _Attached:
        """Attach the file as it is: the same before and after, or it was replaced between."""
        if self._database is None:
            self._database = duckdb.connect(config=_CONFIG)
        for _ in range(ATTEMPTS):
            before = self.generation()
            self._count += 1
            alias = f"s{self._count}"
            with _readable(self._path):
                self._database.execute(f"ATTACH {_quoted(self._path)} AS {alias} (READ_ONLY)")
            if before is not None and before == self.generation():
                return _Attached(alias, before)
            self._database.execute(f"DETACH {alias}")
        raise OSError(f"{self._path} is replaced faster than it can be opened.")

    def _detach_unread(self) -> None:
        for old in [a for a in self._attached[:-1] if a.readers == 0]:
            self._attached.remove(old)
            if self._database is not None:
                self._database.execute(f"DETACH {old.alias}")

    def _open(self) -> contextlib.closing[duckdb.DuckDBPyConnection]:
        return contextlib.closing(duckdb.connect(self._path, read_only=True))


@contextlib.contextmanager
def _readable(path: Path) -> Iterator[None]:
    try:
        yield
    except duckdb.Error as error:
        raise SnapshotUnreadable(path, str(error)) from error


def _quoted(path: Path) -> str:
    return "'" + str(path).replace("'", "''") + "'"


def _row(row_type: type[R], columns: list[Column], values: Sequence[Any]) -> R:
    fields: dict[str, Any] = {}
    nested: dict[str, dict[str, Any]] = {}
    for column, value in zip(columns, values, strict=True):
        read = _value(column, value)
        if column.inside is None:
            fields[column.name] = read
        else:
            nested.setdefault(column.inside, {})[column.name] = read
    structs = {"counters": Counters, "moments": Moments}
    return row_type(**fields, **{name: structs[name](**inside) for name, inside in nested.items()})


def _value(column: Column, value: Any) -> Any:
    if column.kind == "float" and value is None:
        return math.nan
    if column.kind == "json":
        return json.loads(value)
    return int(value) if column.kind == "huge" else value
