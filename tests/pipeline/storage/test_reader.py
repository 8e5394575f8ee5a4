"""The reader: one consistent snapshot per block, new files seen at once, nothing left attached."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from pipeline.rows import Row, SnapshotInfo, Variant
from pipeline.storage.reader import ResultsReader, SnapshotUnreadable
from pipeline.storage.serve import write_snapshot


def rows(number: int) -> dict[type[Row], list[Row]]:
    """A snapshot whose tables say the same number."""
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


def number_of(reader: ResultsReader) -> int:
    """What a new question sees."""
    info = reader.snapshot_info()
    assert info is not None
    return info.snapshot


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The published file, in a folder with a name that SQL must quote."""
    folder = tmp_path / "it's here"
    folder.mkdir()
    return folder / "serve.duckdb"


@pytest.fixture
def reader(path: Path) -> Iterator[ResultsReader]:
    """A reader of it."""
    with contextlib.closing(ResultsReader(path)) as made:
        yield made


def test_a_block_sees_one_snapshot_while_the_file_is_replaced(
    path: Path, reader: ResultsReader
) -> None:
    """A page whose file is replaced under it shows no mix; the next page shows the new one."""
    write_snapshot(path, rows(1))
    with reader.snapshot() as before:
        assert before is not None
        info = before.snapshot_info()
        write_snapshot(path, rows(2))
        assert number_of(reader) == 2
        assert info is not None
        assert [v.variant_id for v in before.variants("c")] == [str(info.snapshot)] == ["1"]
        assert before.generation != reader.generation()
    assert number_of(reader) == 2


def test_only_the_newest_version_stays_attached(path: Path, reader: ResultsReader) -> None:
    """An hour of snapshots does not fill memory and disk with old files."""
    for number in range(5):
        write_snapshot(path, rows(number))
        assert number_of(reader) == number
    assert len(reader._attached) == 1
    assert reader._database is not None
    listed = reader._database.execute("SELECT path FROM duckdb_databases()").fetchall()
    assert sum(found == (str(path),) for found in listed) == 1


def test_threads_share_a_reader_while_the_file_is_replaced(
    path: Path, reader: ResultsReader
) -> None:
    """Many sessions, one reader: each block is one snapshot, and none goes back in time."""
    write_snapshot(path, rows(0))
    faults: list[str] = []
    stop = threading.Event()

    def read() -> None:
        newest = 0
        while not stop.is_set():
            with reader.snapshot() as found:
                assert found is not None
                info = found.snapshot_info()
                (variant,) = found.variants("c")
            if info is None or variant.variant_id != str(info.snapshot) or info.snapshot < newest:
                faults.append(f"{info} {variant} {newest}")
            newest = info.snapshot if info else newest

    readers = [threading.Thread(target=read) for _ in range(3)]
    for thread in readers:
        thread.start()
    try:
        for number in range(1, 12):
            write_snapshot(path, rows(number))
    finally:
        stop.set()
        for thread in readers:
            thread.join()
    assert faults == []
    assert number_of(reader) == 11


def test_a_damaged_file_is_said_to_be_unreadable(path: Path, reader: ResultsReader) -> None:
    """Not a database, or tables of another version: one exception of ours, then it recovers."""
    path.write_bytes(b"not a database" * 1000)
    with pytest.raises(SnapshotUnreadable, match="cannot be read"):
        reader.campaigns()
    path.unlink()
    with contextlib.closing(duckdb.connect(path)) as other:
        other.execute("CREATE TABLE campaigns (x INTEGER)")
    with pytest.raises(SnapshotUnreadable):
        reader.campaigns()
    write_snapshot(path, rows(7))
    assert number_of(reader) == 7


def test_a_file_that_is_gone_is_nothing(path: Path, reader: ResultsReader) -> None:
    """The worker's folder was emptied: an empty state, no error."""
    write_snapshot(path, rows(1))
    assert number_of(reader) == 1
    path.unlink()
    assert reader.snapshot_info() is None


def test_a_closed_reader_opens_again(path: Path, reader: ResultsReader) -> None:
    """Closing releases the file, not the reader."""
    write_snapshot(path, rows(1))
    assert number_of(reader) == 1
    reader.close()
    assert reader._attached == []
    assert number_of(reader) == 1
