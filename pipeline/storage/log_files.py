"""Bodies of the logs, in files beside the database: written once, read at a restart or for Parquet.

In a table they were written again and again: DuckDB rewrites a row group at every checkpoint until
it has 122,880 rows, which these logs of few and large rows never have. `<number>.bodies` takes
them one behind the other. A flush appends and syncs before its transaction, whose rows say where;
what a crash left behind that is not listed is cut off. A file goes when no row tells of it any
more.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import duckdb
import pyarrow as pa

from pipeline.storage.arrow import INT
from pipeline.storage.disk import broken, cut, make_file, write_at
from pipeline.storage.statements import named

FOLDER: Final = "log"
FULL_BYTES: Final = 64 << 20
"""Then the next file begins: as much at most is kept for the sake of one row."""
_SQL = named("log_files")
_COLUMNS: Final = ("file", "start", "octets", "checksum")

Extent = tuple[int, int, int, int]
"""(file, first octet, octets, CRC-32) of a body."""


@dataclass(frozen=True, slots=True)
class LogRows:
    """Rows of a log, whose bodies go into a file: Arrow would only copy them twice."""

    table: pa.Table
    bodies: Sequence[bytes]
    """One per row."""


class LogFiles:
    """The files of one database. Not thread-safe, except `body`.

    Raises:
        CannotRun: If a file is shorter than the database says.
    """

    def __init__(self, folder: Path, connection: duckdb.DuckDBPyConnection) -> None:
        self._folder = folder / FOLDER
        self._connection = connection
        self._ends: dict[int, int] = dict(connection.execute(_SQL["ends"]).fetchall())
        self._number = max(self._ends, default=0)
        self._file: int | None = None
        self._is_dirty = False
        self._check()

    def put(self, rows: LogRows) -> pa.Table:
        """Append the bodies of rows, which then say where. Durable after `sync`.

        Raises:
            OSError: If the disk is full; what was written is not listed.
        """
        if self._ends.get(self._number, 0) >= FULL_BYTES:
            self._begin_file()
        at = self._ends.get(self._number, 0)
        extents: list[Extent] = []
        for body in rows.bodies:
            extents.append((self._number, at, len(body), zlib.crc32(body)))
            write_at(self._open(), body, at)
            at += len(body)
        self._ends[self._number] = at
        self._is_dirty = True
        table = rows.table
        for name, values in zip(_COLUMNS, zip(*extents, strict=True), strict=True):
            table = table.append_column(name, pa.array(values, type=INT))
        return table

    def sync(self) -> None:
        """Return when the disk has everything that was put."""
        if self._is_dirty:
            os.fsync(self._open())
            self._is_dirty = False

    def body(self, inline: bytes | None, extent: Sequence[int]) -> bytes:
        """The body that a row has or, since layout 8, tells of by its extent.

        Raises:
            CannotRun: If the file is gone or damaged.
        """
        if inline is not None:
            return inline
        number, start, octets, checksum = extent
        try:
            with self._path(number).open("rb") as file:
                body = os.pread(file.fileno(), octets, start)
        except FileNotFoundError as error:
            raise broken(self._path(number), "is gone") from error
        if len(body) != octets or zlib.crc32(body) != checksum:
            raise broken(self._path(number), "is damaged")
        return body

    def tidy(self) -> None:
        """After a transaction that has deleted rows: remove the files of which none is left."""
        listed = dict(self._connection.execute(_SQL["ends"]).fetchall())
        for number in self._ends.keys() - listed.keys() - {self._number}:
            del self._ends[number]
            self._path(number).unlink(missing_ok=True)

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _begin_file(self) -> None:
        self.sync()
        self.close()
        self._number += 1

    def _check(self) -> None:
        for path in self._folder.glob("*.bodies"):
            if int(path.stem) not in self._ends:
                path.unlink()
        for number, end in self._ends.items():
            cut(self._path(number), end)

    def _open(self) -> int:
        if self._file is None:
            self._file = make_file(self._path(self._number))
        return self._file

    def _path(self, number: int) -> Path:
        return self._folder / f"{number:06}.bodies"
