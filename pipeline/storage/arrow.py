"""Rows in Python → Arrow tables that DuckDB reads."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import pyarrow as pa

TEXT: Final = pa.string()
INT: Final = pa.int64()


def table_of_rows(columns: Mapping[str, pa.DataType], rows: Iterable[Sequence[Any]]) -> pa.Table:
    """Name → type, and values in that order; also of no rows."""
    values = list(zip(*rows, strict=True)) or [()] * len(columns)
    kinds = columns.items()
    return pa.table(
        {name: pa.array(each, type=kind) for (name, kind), each in zip(kinds, values, strict=True)}
    )
