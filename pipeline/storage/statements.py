"""The SQL of the worker's private database, read from `sql/`; the vector's columns filled in."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from pipeline.join.cohorts import VECTOR
from pipeline.rows import Counters

LAYOUT = 9
"""Raised when a table or a fact changes in a way that an older version would misread."""
READABLE = frozenset(range(3, LAYOUT + 1))
"""Layouts that become this one by the tables, columns and fields of facts they lack, and by
`old_shelf`."""

_FOLDER = Path(__file__).parent / "sql"
_NAME = re.compile(r"^-- name: (\w+)$", re.MULTILINE)
_COUNTERS = frozenset(Counters.__struct_fields__)


def type_of(column: str) -> str:
    """Counters fit in 64 bits; sums of products do not."""
    return "BIGINT" if column in _COUNTERS else "HUGEINT"


def tables() -> str:
    """The script that makes missing tables."""
    columns = ", ".join(f"{name} {type_of(name)}" for name in VECTOR)
    return _read("tables").format(vector_columns=columns, layout=LAYOUT)


def more_tables(script: str) -> str:
    """The script that makes the missing tables of one role only."""
    return _read(script)


def named(script: str) -> Mapping[str, str]:
    """Name → statement of `sql/<script>.sql`."""
    parts = _NAME.split(_read(script))
    return dict(zip(parts[1::2], (part.strip() for part in parts[2::2]), strict=True))


def flush_statements() -> Mapping[str, str]:
    """The statements of one flush; large sums come as text and are cast."""
    statements = dict(named("flush"))
    values = {name: f"d.{name}::{type_of(name)}" for name in VECTOR}
    sums = ", ".join(f"{name} = cohorts.{name} + {value}" for name, value in values.items())
    statements["cohorts"] = statements["cohorts"].format(
        vector_sums=sums, vector_values=", ".join(values.values())
    )
    return statements


def _read(script: str) -> str:
    return (_FOLDER / f"{script}.sql").read_text(encoding="utf-8")
