"""Many changes of the aggregates as one: a statement costs the sink the same for each. Pure.

Numbers are added up per key, lists are put one behind the other, and of a receipt without a
submit the last word counts. So what a delta changes does not depend on how many are applied
together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import count
from operator import add
from types import MappingProxyType
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.storage.arrow import INT
from pipeline.storage.change import Change, table_of
from pipeline.storage.deltas import COHORT_KEY, numbers

KEYS = MappingProxyType(
    {
        "cohorts": tuple(name for name, _ in COHORT_KEY),
        "deliverability": ("connection", "hour_start_ms", "state", "err"),
        "receipt_latency": ("connection", "hour_start_ms", "up_to_ms"),
        "activity": ("bucket_start_ms", "topic"),
        "join_health": ("campaign_id",),
    }
)
"""Table whose numbers are added up → its key."""
LISTED = frozenset({"dead_letters", "gaps", "fact_files"})
"""Tables that only grow."""
GONE, WAITING = "unmatched_gone", "unmatched_receipts"
WRAPS_AT = 2**63
"""The first number beyond Arrow's 64 bits."""
Tables = Sequence[pa.Table]


def unite(changes: Sequence[Change]) -> dict[str, pa.Table]:
    """The tables of all changes, in the order to apply them.

    Raises:
        ValueError: If a table has no rule here.
    """
    found: dict[str, list[pa.Table]] = {}
    for change in changes:
        for name, stream in change.tables.items():
            found.setdefault(name, []).append(table_of(stream))
    if len(changes) == 1:
        return {name: table for name, (table,) in found.items()}
    waiting = found.pop(WAITING, [])
    united = {name: _rule(name)(tables) for name, tables in found.items()}
    return united | ({WAITING: _last_words(changes, waiting)} if waiting else {})


def _last_words(changes: Sequence[Change], waiting: Sequence[pa.Table]) -> pa.Table:
    """Who still waits; all of them are in `GONE` as well, which comes before."""
    rows: dict[str, int] = {}
    following, told = 0, iter(waiting)
    for tables in (change.tables for change in changes):
        if GONE in tables:
            for event_id in table_of(tables[GONE])["event_id"].to_pylist():
                rows.pop(event_id, None)
        if WAITING in tables:
            event_ids = next(told)["event_id"].to_pylist()
            rows.update(zip(event_ids, count(following)))
            following += len(event_ids)
    whole = pa.concat_tables(waiting, promote_options="default")
    return whole.take(pa.array(rows.values(), type=INT))


def _rule(name: str) -> Callable[[Tables], pa.Table]:
    if name in KEYS:
        return lambda tables: _added(tables, KEYS[name])
    if name in LISTED or name == GONE:
        return lambda tables: pa.concat_tables(tables, promote_options="default").combine_chunks()
    raise ValueError(f"table == {name!r}, must have a rule in {__name__}.")


def _added(tables: Tables, key: Sequence[str]) -> pa.Table:
    """Rows of equal keys as one, their numbers added up; exact, whatever their size.

    Members are upgraded one by one: a number that a table does not have is 0.
    """
    names = dict.fromkeys(name for table in tables for name in table.schema.names)
    added = [name for name in names if name not in key]
    whole = [_completed(table, key, added) for table in tables]
    sums = added_by_arrow(whole, key, added)
    return added_one_by_one(whole, key, added) if sums is None else sums


def _completed(table: pa.Table, key: Sequence[str], added: Sequence[str]) -> pa.Table:
    known = table.schema.names
    if known == [*key, *added]:
        return table
    columns = {name: table[name] for name in key}
    zeros = pa.repeat(pa.scalar(0, INT), table.num_rows)
    return pa.table(columns | {name: table[name] if name in known else zeros for name in added})


def added_by_arrow(tables: Tables, key: Sequence[str], added: Sequence[str]) -> pa.Table | None:
    """The sums, in any order of rows; `None` unless all of them surely fit in 64 bits.

    Arrow does not say when a sum has wrapped around.
    """
    if any(table.schema != tables[0].schema for table in tables):
        return None
    rows = pa.concat_tables(tables).combine_chunks()
    if not all(_adds_up(rows[name]) for name in added):
        return None
    groups = rows.group_by(list(key), use_threads=False)  # equal tables give equal tables
    sums = groups.aggregate([(name, "sum") for name in added])
    columns = [*key, *(f"{name}_sum" for name in added)]
    return sums.select(columns).rename_columns([*key, *added])


def _adds_up(column: pa.ChunkedArray) -> bool:
    """Whether these are integers of which no sum can leave 64 bits."""
    if column.type != INT or column.null_count:
        return False
    ends = [end.as_py() or 0 for end in pc.min_max(column).values()]
    largest: int = max(map(abs, ends))
    return largest * len(column) < WRAPS_AT


def added_one_by_one(tables: Tables, key: Sequence[str], added: Sequence[str]) -> pa.Table:
    """The sums with Python's integers, which have no end."""
    sums: dict[tuple[Any, ...], list[int]] = {}
    for table in tables:
        keys = zip(*(table[name].to_pylist() for name in key), strict=True)
        values = zip(*(map(int, table[name].to_pylist()) for name in added), strict=True)
        for place, row in zip(keys, values, strict=True):
            known = sums.get(place)
            sums[place] = list(row) if known is None else list(map(add, known, row))
    kinds = tables[0].schema
    columns = zip(key, _columns(sums, len(key)), strict=True)
    keyed = {name: pa.array(values, type=kinds.field(name).type) for name, values in columns}
    totals = zip(added, map(numbers, _columns(sums.values(), len(added))), strict=True)
    return pa.table(keyed | dict(totals))


def _columns(rows: Iterable[Sequence[Any]], width: int) -> list[tuple[Any, ...]]:
    """Rows as columns; also of no rows."""
    return list(zip(*rows, strict=True)) or [()] * width
