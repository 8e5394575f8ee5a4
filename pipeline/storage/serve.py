"""Writes `serve.duckdb`: every result table, replaced as one file, so readers never see a mix."""

from __future__ import annotations

import contextlib
import itertools
import json
import math
import os
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, get_type_hints

import duckdb
import pyarrow as pa

from pipeline import rows as row_types
from pipeline.rows import Counters, Moments, Row
from pipeline.storage.sentences import field_sentence, plain

TABLES: Final[dict[type[Row], str]] = {
    row_types.Campaign: "campaigns",
    row_types.Variant: "variants",
    row_types.Cohort: "cohorts",
    row_types.VariantResult: "variant_results",
    row_types.Comparison: "comparisons",
    row_types.Segment: "segments",
    row_types.SegmentCheck: "segment_checks",
    row_types.HealthCheck: "health_checks",
    row_types.Verdict: "verdicts",
    row_types.Allocation: "allocations",
    row_types.JoinHealth: "join_health",
    row_types.ConnectionState: "connections",
    row_types.Activity: "activity",
    row_types.Lag: "lags",
    row_types.Partition: "partitions",
    row_types.Deliverability: "deliverability",
    row_types.ReceiptLatency: "receipt_latency",
    row_types.UnmatchedReceipt: "unmatched_receipts",
    row_types.DeadLetter: "dead_letters",
    row_types.Gap: "gaps",
    row_types.FactFile: "fact_files",
    row_types.SnapshotInfo: "snapshot_info",
}
"""Row type → table."""

_numbers = itertools.count()
_NESTED: Final[dict[str, type[Row]]] = {"counters": Counters, "moments": Moments}
_HUGE: Final = pa.decimal128(38, 0)
SQL_TYPES: Final = {
    "str": "VARCHAR",
    "int": "BIGINT",
    "float": "DOUBLE",
    "bool": "BOOLEAN",
    "json": "JSON",
    "huge": "HUGEINT",
}
_ARROW_TYPES: Final = {
    "str": pa.string(),
    "int": pa.int64(),
    "float": pa.float64(),
    "bool": pa.bool_(),
    "json": pa.string(),
    "huge": _HUGE,
}


class Column:
    """One column: name, kind, and the nested Struct that it belongs to, if any."""

    __slots__ = ("inside", "kind", "name")

    def __init__(self, name: str, kind: str, inside: str | None = None) -> None:
        self.name = name
        self.kind = kind
        self.inside = inside

    def value(self, row: Row) -> Any:
        """The column's value of a row; `nan` becomes NULL."""
        value = getattr(row if self.inside is None else getattr(row, self.inside), self.name)
        if self.kind == "float" and value is not None and math.isnan(value):
            return None
        if self.kind == "json":
            return json.dumps(value, ensure_ascii=False, default=str)
        return value


@cache
def columns_of(row_type: type[Row]) -> list[Column]:
    """The columns of a row type, nested Structs flattened, in order."""
    hints = get_type_hints(row_type)
    columns: list[Column] = []
    for name in row_type.__struct_fields__:
        nested = hints[name]
        if nested is Counters:
            columns += [Column(n, "int", name) for n in Counters.__struct_fields__]
        elif nested is Moments:
            columns += [Column(n, "huge", name) for n in Moments.__struct_fields__]
        else:
            columns.append(Column(name, _kind(nested)))
    return columns


def table_sentence(row_type: type[Row]) -> str:
    """What a row of the table is."""
    return plain(row_type.__doc__ or "")


def column_sentence(row_type: type[Row], column: Column) -> str:
    """What a column holds.

    Raises:
        KeyError: If nobody has written it under the field in `pipeline.rows`.
    """
    return field_sentence(_NESTED.get(column.inside or "", row_type), column.name)


def write_snapshot(path: Path, rows: Mapping[type[Row], Sequence[Row]]) -> None:
    """Write every table into a new file beside `path` and put it in its place.

    Raises:
        duckdb.Error, OSError: If the disk is full or gone; the old snapshot stays.
    """
    alias = f"s{next(_numbers)}"
    fresh = path.with_name(f".{path.name}.{os.getpid()}.{alias}")
    fresh.unlink(missing_ok=True)
    try:
        fresh.write_bytes(_empty())
        with contextlib.closing(_memory().cursor()) as database:
            database.execute(f"ATTACH {_quoted(str(fresh))} AS {alias}")
            database.begin()
            for row_type, table in TABLES.items():
                _fill(database, f"{alias}.{table}", row_type, rows.get(row_type, ()))
            database.commit()
            database.execute(f"CHECKPOINT {alias}")  # DETACH would not say that the disk is full
            database.execute(f"DETACH {alias}")
        os.replace(fresh, path)  # noqa: PTH105 - the point is the atomic replace of rename(2)
    except BaseException:
        _memory.cache_clear()  # the file may still be attached
        raise
    finally:
        fresh.unlink(missing_ok=True)


@cache
def _memory() -> duckdb.DuckDBPyConnection:
    """To attach files to: opening one as a database of its own takes 20-40 ms more."""
    return duckdb.connect(config={"threads": 1})


@cache
def _empty() -> bytes:
    """A snapshot without rows: making tables and comments takes longer than filling them."""
    with TemporaryDirectory(prefix="smslab-") as folder:
        path = Path(folder) / "empty.duckdb"
        with contextlib.closing(duckdb.connect(path)) as database:
            database.begin()  # or each of hundreds of comments is a transaction
            database.execute(_tables())
            database.commit()
        return path.read_bytes()


def _tables() -> str:
    """The script that makes every table with its comments."""
    statements = []
    for row_type, table in TABLES.items():
        columns = columns_of(row_type)
        body = ", ".join(f'"{column.name}" {SQL_TYPES[column.kind]}' for column in columns)
        statements.append(f"CREATE TABLE {table} ({body})")
        statements.append(f"COMMENT ON TABLE {table} IS {_quoted(table_sentence(row_type))}")
        statements += [
            f'COMMENT ON COLUMN {table}."{column.name}" IS '
            f"{_quoted(column_sentence(row_type, column))}"
            for column in columns
        ]
    return ";\n".join(statements)


def _fill(
    database: duckdb.DuckDBPyConnection, table: str, row_type: type[Row], rows: Sequence[Row]
) -> None:
    if not rows:
        return
    columns = columns_of(row_type)
    batch = pa.table(
        {c.name: pa.array([c.value(r) for r in rows], _ARROW_TYPES[c.kind]) for c in columns}
    )
    database.register("batch", batch)
    database.execute(f"INSERT INTO {table} SELECT * FROM batch")  # noqa: S608 - names are ours
    database.unregister("batch")


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _kind(hint: Any) -> str:
    text = str(hint)
    if text.startswith("dict"):
        return "json"
    for kind in ("bool", "float", "int", "str"):
        if hint is {"bool": bool, "float": float, "int": int, "str": str}[kind]:
            return kind
    return "int" if "int" in text else "float" if "float" in text else "str"
