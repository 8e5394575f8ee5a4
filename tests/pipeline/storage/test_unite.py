"""Changes applied together are the changes applied one after the other."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.batch import Delivery, RecordBatch
from pipeline.flush import DecodedBatch, Flush
from pipeline.join.cohorts import VECTOR
from pipeline.join.deltas import Deltas
from pipeline.rows import UnmatchedReceipt
from pipeline.storage.arrow import INT, TEXT
from pipeline.storage.change import PRIVATE, Change, travelling
from pipeline.storage.deltas import MAKERS, tables_of
from pipeline.storage.unite import (
    GONE,
    KEYS,
    LISTED,
    WAITING,
    added_by_arrow,
    added_one_by_one,
    unite,
)
from schemas.topics import MESSAGE_RECEIPT

HUGE = 2**80
NUMBERS = st.sampled_from([-HUGE, -3, 0, 1, 2**62, HUGE])
SPECIAL = {GONE, WAITING}
KEY = KEYS["activity"]
LARGEST = 2**63 - 1
IN_64_BITS = st.sampled_from([-LARGEST - 1, -(2**62), -1, 0, 1, 2**61, 2**62, LARGEST])


def receipt(event_id: str, state: str) -> UnmatchedReceipt:
    """One that waits."""
    return UnmatchedReceipt(
        connection="c", smsc_message_id=event_id, subject="s", state=state,
        received_at_ms=1, reason="no_submit",
    )  # fmt: skip


@st.composite
def deltas(draw: st.DrawFn) -> Deltas:
    """Few keys, so that they meet."""
    cohorts = st.tuples(st.just("c"), st.sampled_from("ab"), st.just(0), st.just(1),
                        st.sampled_from(["", "city"]), st.just(""))  # fmt: skip
    vectors = st.lists(NUMBERS, min_size=len(VECTOR), max_size=len(VECTOR))
    small = st.integers(-5, 5)
    states = st.sampled_from([None, "DELIVERED", "EXPIRED"])
    unmatched = draw(st.dictionaries(st.sampled_from("xyz"), states))
    return Deltas(
        draw(small),
        0,
        0,
        cohorts=draw(st.dictionaries(cohorts, vectors, max_size=3)),
        activity=draw(st.dictionaries(st.tuples(small, st.sampled_from("tu")), small)),
        health=draw(
            st.dictionaries(st.sampled_from("cd"), st.lists(small, min_size=3, max_size=3))
        ),
        unmatched={key: state and receipt(key, state) for key, state in unmatched.items()},
    )


def change_of(each: Deltas, missing: int = 0) -> Change:
    """As a delta carries it."""
    batch = RecordBatch(MESSAGE_RECEIPT.name, 0, 0, missing, [])
    flush = Flush([DecodedBatch(Delivery(batch, lambda: None))], each)
    tables = tables_of(flush, now_ms=1)
    return Change(each.applied, 0, 0, 0, travelling(tables))


def rows(tables: dict[str, pa.Table], name: str) -> list[tuple[object, ...]]:
    """Of one table, sorted; numbers that travel as text are numbers."""
    if name not in tables:
        return []
    key = KEYS.get(name, tables[name].schema.names)
    return sorted(
        tuple(value if column in key else int(value) for column, value in row.items())
        for row in tables[name].to_pylist()
    )


def added(changes: Sequence[Change], name: str) -> list[tuple[object, ...]]:
    """What a statement per change would leave, read naively."""
    width, sums = len(KEYS[name]), {}
    for row in (row for change in changes for row in rows(unite([change]), name)):
        before = sums.get(row[:width], (0,) * (len(row) - width))
        sums[row[:width]] = tuple(map(sum, zip(before, row[width:], strict=True)))
    return sorted((*key, *values) for key, values in sums.items())


@settings(deadline=None)
@given(st.lists(deltas(), min_size=1, max_size=4))
def test_numbers_of_a_key_are_added_up(several: list[Deltas]) -> None:
    """Beyond 64 bits, too, and with keys that only some of them have."""
    changes = [change_of(each) for each in several]
    united = unite(changes)
    for name in ("cohorts", "activity", "join_health"):
        assert rows(united, name) == added(changes, name)


@st.composite
def table(draw: st.DrawFn, columns: Sequence[str], texts: str = "") -> pa.Table:
    """Any rows, keys with nulls among them; numbers of `texts` are digits of any size."""
    count = draw(st.integers(0, 5))

    def column(values: st.SearchStrategy[Any], kind: pa.DataType) -> pa.Array:
        return pa.array(draw(st.lists(values, min_size=count, max_size=count)), kind)

    starts = st.sampled_from([None, 0, 10])
    keys = [column(starts, INT), column(st.sampled_from([None, "", "t"]), TEXT)]
    values = [
        column(NUMBERS.map(str), TEXT)
        if name in texts
        else column(st.integers(-9, 9) | IN_64_BITS, INT)
        for name in columns
    ]
    return pa.table(dict(zip((*KEY, *columns), (*keys, *values), strict=True)))


@st.composite
def tables_of_several_versions(draw: st.DrawFn) -> list[pa.Table]:
    """Each has some of the numbers, in an order of its own."""
    known = st.lists(st.sampled_from("abc"), unique=True)
    texts = st.sampled_from(["", "", "b"])
    count = draw(st.integers(2, 4))
    return [draw(table(draw(known), draw(texts))) for _ in range(count)]


@settings(deadline=None)
@given(tables_of_several_versions())
def test_sums_are_exact_whatever_the_tables(tables: list[pa.Table]) -> None:
    """Huge numbers, digits, columns that some do not have, tables without rows."""
    names = list(dict.fromkeys(name for each in tables for name in each.schema.names))
    added = [name for name in names if name not in KEY]
    sums: defaultdict[tuple[object, ...], list[int]] = defaultdict(lambda: [0] * len(added))
    for row in (row for each in tables for row in each.to_pylist()):
        known = sums[tuple(row[name] for name in KEY)]
        known[:] = [total + int(row.get(name, 0)) for name, total in zip(added, known, strict=True)]
    united = unite([Change(0, 0, 0, 0, travelling({"activity": each})) for each in tables])
    found = united["activity"]
    assert found.schema.names == [*KEY, *added]
    assert found.num_rows == len(sums)
    for row in found.to_pylist():
        assert [int(row[name]) for name in added] == sums[tuple(row[name] for name in KEY)]


@settings(deadline=None)
@given(st.lists(table("ab"), min_size=1, max_size=4))
def test_arrow_adds_up_as_python_does_or_not_at_all(tables: list[pa.Table]) -> None:
    """To the type, the same every time, and always where no sum can come near 64 bits."""
    fast, exact = (way(tables, KEY, "ab") for way in (added_by_arrow, added_one_by_one))
    order = [(name, "ascending") for name in KEY]
    assert fast is None or fast.sort_by(order).equals(exact.sort_by(order))
    assert fast == added_by_arrow(tables, KEY, "ab")
    largest = max(
        (abs(row[n]) for each in tables for row in each.to_pylist() for n in "ab"), default=0
    )
    assert (fast is None) == (largest * sum(each.num_rows for each in tables) > LARGEST)


@pytest.mark.parametrize(
    ("events", "is_fast"),
    [
        ([2**62, 2**62 - 1], False),
        ([2**62 - 1, 2**62 - 1], True),
        ([-(2**62), -1], False),
        ([-(2**63)], False),
        ([2**63 - 1], True),
        ([1, None], False),
    ],
)
def test_arrow_is_not_trusted_near_64_bits(events: list[int | None], is_fast: bool) -> None:  # noqa: FBT001
    """It would wrap around silently; nor with a number that is not there, which is an error."""
    rows = pa.table(
        {"bucket_start_ms": [0] * len(events), "topic": ["t"] * len(events)}
        | {"events": pa.array(events, INT)}
    )
    assert (added_by_arrow([rows], KEY, ["events"]) is not None) == is_fast


@settings(deadline=None)
@given(st.lists(deltas(), min_size=1, max_size=4))
def test_the_last_word_about_a_receipt_counts(several: list[Deltas]) -> None:
    """Whoever was ever spoken of leaves the table first; who waits in the end comes back."""
    united = unite([change_of(each) for each in several])
    last = {key: row for each in several for key, row in each.unmatched.items()}
    found = {name: united[name].to_pylist() for name in SPECIAL & united.keys()}
    waiting = {row["event_id"]: row["state"] for row in found.get(WAITING, [])}
    assert waiting == {key: row.state for key, row in last.items() if row is not None}
    assert {row["event_id"] for row in found.get(GONE, [])} == last.keys()
    assert sorted(found, key=list(united).index) == [GONE, WAITING][: len(found)]


def test_lists_are_put_one_behind_the_other() -> None:
    """A gap in each of two deltas: two rows."""
    united = unite([change_of(Deltas(0, 0, 0), missing) for missing in (3, 4)])
    assert united["gaps"]["missing"].to_pylist() == [3, 4]


@pytest.mark.parametrize("order", [1, -1])
def test_a_number_that_an_older_member_does_not_know_is_0(order: int) -> None:
    """Nothing of the newer one's is dropped, whichever delta comes first."""
    old = pa.table({"campaign_id": ["c"], "receipts": [2]})
    new = pa.table({"campaign_id": ["c"], "receipts": [3], "late": [7]})
    changes = [Change(0, 0, 0, 0, travelling({"join_health": each})) for each in (old, new)]
    united = unite(changes[::order])["join_health"]
    assert united.to_pylist() == [{"campaign_id": "c", "receipts": 5, "late": 7}]
    lists = [
        Change(0, 0, 0, 0, travelling({"gaps": pa.table(columns)}))
        for columns in ({"missing": [1]}, {"missing": [2], "why": ["x"]})
    ]
    assert unite(lists[::order])["gaps"].num_rows == 2


def test_every_table_that_travels_has_a_rule() -> None:
    """Or the first sink that applies two deltas at once would end."""
    read_by_the_sink_itself = {"allocations", "connections"}
    travels = MAKERS.keys() - PRIVATE - read_by_the_sink_itself
    assert travels | {"fact_files"} == KEYS.keys() | LISTED | SPECIAL


def test_a_table_without_a_rule_is_refused() -> None:
    """It is never guessed whether its rows are added up."""
    change = Change(0, 0, 0, 0, travelling({"new": pa.table({"a": [1]})}))
    with pytest.raises(ValueError, match="table == 'new', must have a rule"):
        unite([change, change])
