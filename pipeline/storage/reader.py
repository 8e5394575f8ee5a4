"""Reads `serve.duckdb`: one method per question. Opens the file per call, read-only."""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

import duckdb

from pipeline import rows as row_types
from pipeline.rows import Counters, Maturity, Moments, Row
from pipeline.storage.serve import TABLES, Column, columns_of

R = TypeVar("R", bound=Row)


class ResultsReader:
    """The published results in a file that is replaced while one reads."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def generation(self) -> tuple[int, int] | None:
        """Changes whenever the file is replaced; `None` without a file."""
        try:
            stat = self._path.stat()
        except FileNotFoundError:
            return None
        return stat.st_ino, stat.st_mtime_ns

    def snapshot_info(self) -> row_types.SnapshotInfo | None:
        """What the snapshot contains; `None` when there is none yet."""
        if self.generation() is None:
            return None
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

    def deliverability(self) -> list[row_types.Deliverability]:
        """Final receipts by connection, hour, state and error."""
        return self._rows(row_types.Deliverability, "ORDER BY receipts DESC")

    def unmatched_receipts(self) -> list[row_types.UnmatchedReceipt]:
        """Receipts without their submit."""
        return self._rows(row_types.UnmatchedReceipt, "ORDER BY received_at_ms DESC")

    def dead_letters(self) -> list[row_types.DeadLetter]:
        """Records that could not be used."""
        return self._rows(row_types.DeadLetter, "ORDER BY seen_at_ms DESC")

    def join_health(self) -> list[row_types.JoinHealth]:
        """What the join knows about data faults."""
        return self._rows(row_types.JoinHealth)

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

    def _rows(self, row_type: type[R], rest: str = "", values: Sequence[object] = ()) -> list[R]:
        if self.generation() is None:
            return []
        columns = columns_of(row_type)
        names = ", ".join(f'"{column.name}"' for column in columns)
        sql = f"SELECT {names} FROM {TABLES[row_type]} {rest}"  # noqa: S608 - names are ours
        with self._open() as database:
            found = database.execute(sql, list(values)).fetchall()
        return [_row(row_type, columns, values) for values in found]

    def _open(self) -> contextlib.closing[duckdb.DuckDBPyConnection]:
        return contextlib.closing(duckdb.connect(self._path, read_only=True))


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
