"""The published snapshot: what is written is read, while it is being replaced."""

from __future__ import annotations

import math
import threading
from pathlib import Path
from typing import Any, get_args, get_type_hints

import duckdb
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.rows import Counters, Moments, Row, SnapshotInfo, Variant
from pipeline.storage.reader import ResultsReader
from pipeline.storage.serve import TABLES, columns_of, write_snapshot

INT64 = st.integers(-(2**63), 2**63 - 1)
TEXT = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), max_size=12)


def value_for(hint: Any) -> st.SearchStrategy[Any]:
    """Any value of a column."""
    if hint is Counters:
        return st.builds(Counters, **dict.fromkeys(Counters.__struct_fields__, INT64))
    if hint is Moments:
        huge = st.integers(-(10**37), 10**37)
        return st.builds(Moments, **dict.fromkeys(Moments.__struct_fields__, huge))
    plain = {bool: st.booleans(), int: INT64, float: st.floats(allow_infinity=False), str: TEXT}
    if hint in plain:
        return plain[hint]
    if str(hint).startswith("dict"):
        return st.dictionaries(TEXT, st.one_of(st.integers(-1000, 1000), TEXT), max_size=3)
    options = [value_for(o) for o in get_args(hint) if isinstance(o, type) and o is not type(None)]
    literals = [o for o in get_args(hint) if isinstance(o, str)]
    return st.sampled_from(literals) if literals else st.one_of(st.none(), *options)


def rows_of(row_type: type[Row]) -> st.SearchStrategy[Row]:
    """Any row."""
    hints = get_type_hints(row_type)
    fields = {name: value_for(hints[name]) for name in row_type.__struct_fields__}
    return st.builds(row_type, **fields)


def comparable(row: Row) -> Any:
    """Values that can be compared, `nan` too."""
    return [
        "nan" if isinstance(v, float) and math.isnan(v) else v for v in msgspec.structs.astuple(row)
    ]


@pytest.mark.parametrize("row_type", list(TABLES), ids=lambda t: t.__name__)
@settings(max_examples=4, deadline=None)
@given(data=st.data())
def test_every_row_survives_the_file(
    row_type: type[Row], data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Undefined comes back as undefined, sums of 128 bits to the last digit, evidence as it was."""
    path = tmp_path_factory.mktemp("serve") / "serve.duckdb"
    rows = data.draw(st.lists(rows_of(row_type), min_size=1, max_size=3))
    write_snapshot(path, {row_type: rows})
    found = ResultsReader(path)._rows(row_type)
    assert [comparable(row) for row in found] == [comparable(row) for row in rows]


def test_every_table_exists_and_every_column_is_explained(tmp_path: Path) -> None:
    """An analyst finds all tables, even empty, each with comments."""
    path = tmp_path / "serve.duckdb"
    write_snapshot(path, {})
    reader = ResultsReader(path)
    _, tables = reader.query("SELECT table_name FROM duckdb_tables() WHERE comment IS NOT NULL")
    assert {name for (name,) in tables} == set(TABLES.values())
    _, columns = reader.query(
        "SELECT count(*) FROM duckdb_columns() WHERE comment IS NULL AND NOT internal"
    )
    assert columns == [(0,)]
    assert len(columns_of(Variant)) == 5


def test_without_a_file_there_is_nothing_and_no_error(tmp_path: Path) -> None:
    """A page that starts before the worker shows an empty state."""
    reader = ResultsReader(tmp_path / "serve.duckdb")
    assert reader.generation() is None
    assert reader.snapshot_info() is None
    assert reader.campaigns() == []


def test_an_analyst_cannot_write(tmp_path: Path) -> None:
    """The contract is read-only."""
    path = tmp_path / "serve.duckdb"
    write_snapshot(path, {})
    with pytest.raises(duckdb.Error):
        ResultsReader(path).query("DROP TABLE campaigns")


def snapshot(number: int) -> dict[type[Row], list[Row]]:
    """A snapshot in which two tables say the same number."""
    info = SnapshotInfo(
        snapshot=number,
        snapshot_at_ms=0,
        events_applied=0,
        duplicates_ignored=0,
        is_broker_in_memory=False,
        kafka_cluster_id="",
        schema_version=1,
    )
    variant = Variant(
        campaign_id="c", variant_id=str(number), share=1.0, template="t", is_control=True
    )
    return {SnapshotInfo: [info], Variant: [variant]}


def test_a_reader_never_sees_a_half_written_snapshot(tmp_path: Path) -> None:
    """While the file is replaced again and again, every query sees one whole snapshot."""
    path = tmp_path / "serve.duckdb"
    write_snapshot(path, snapshot(0))
    stop = threading.Event()

    def replace_again_and_again() -> None:
        number = 0
        while not stop.is_set():
            number += 1
            write_snapshot(path, snapshot(number))

    writer = threading.Thread(target=replace_again_and_again)
    writer.start()
    try:
        reader = ResultsReader(path)
        seen = set()
        while len(seen) < 5:
            _, found = reader.query("SELECT snapshot, variant_id FROM snapshot_info, variants")
            ((number, variant_id),) = found
            assert variant_id == str(number)
            seen.add(number)
    finally:
        stop.set()
        writer.join()
    assert [p.name for p in tmp_path.iterdir()] == ["serve.duckdb"]


def test_a_snapshot_that_fails_leaves_the_old_one(tmp_path: Path) -> None:
    """Nothing else stays in the folder, and the next one is written as ever."""
    path = tmp_path / "serve.duckdb"
    write_snapshot(path, snapshot(1))
    before = path.read_bytes()
    (wrong,) = snapshot(2)[SnapshotInfo]
    assert isinstance(wrong, SnapshotInfo)
    with pytest.raises(OverflowError):
        write_snapshot(path, {SnapshotInfo: [msgspec.structs.replace(wrong, snapshot=2**64)]})
    assert list(tmp_path.iterdir()) == [path]
    assert path.read_bytes() == before
    write_snapshot(path, snapshot(2))
    assert ResultsReader(path).snapshot_info() == wrong
