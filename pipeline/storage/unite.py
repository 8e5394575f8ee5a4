"""Many changes of the aggregates as one: a statement costs the sink the same for each. Pure.

Numbers are added up per key, lists are put one behind the other, and of a receipt without a
submit the last word counts. So what a delta changes does not depend on how many are applied
together.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import add
from types import MappingProxyType
from typing import Any

import pyarrow as pa

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
    return united | ({WAITING: _last_words(changes, waiting[0].schema)} if waiting else {})


def _last_words(changes: Sequence[Change], schema: pa.Schema) -> pa.Table:
    """Who still waits; all of them are in `GONE` as well, which comes before."""
    words: dict[str, dict[str, Any]] = {}
    for tables in (change.tables for change in changes if GONE in change.tables):
        for event_id in table_of(tables[GONE])["event_id"].to_pylist():
            words.pop(event_id, None)
        if WAITING in tables:
            words |= {row["event_id"]: row for row in table_of(tables[WAITING]).to_pylist()}
    return pa.Table.from_pylist(list(words.values()), schema)


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
    sums: dict[tuple[Any, ...], list[int]] = {}
    for table in tables:
        keys = zip(*(table[name].to_pylist() for name in key), strict=True)
        values = zip(*(_whole(table, name) for name in added), strict=True)
        for place, row in zip(keys, values, strict=True):
            known = sums.get(place)
            sums[place] = list(row) if known is None else list(map(add, known, row))
    totals = zip(added, map(numbers, zip(*sums.values(), strict=True)), strict=True)
    columns = zip(key, zip(*sums, strict=True), strict=True)
    kinds = tables[0].schema
    keyed = {name: pa.array(values, type=kinds.field(name).type) for name, values in columns}
    return pa.table(keyed | dict(totals))


def _whole(table: pa.Table, name: str) -> list[int]:
    if name not in table.schema.names:
        return [0] * table.num_rows
    return [int(value) for value in table[name].to_pylist()]
