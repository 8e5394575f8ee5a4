"""The shelf: facts of quiet people in files, found by place in one read.

`<number>.shelf` holds `PER_FILE` places one after the other. A flush appends and syncs before its
transaction, which lists names and sizes; what a crash left behind that is not listed is cut off.
A file goes when nobody of it is on the shelf any more.
"""

from __future__ import annotations

import os
from array import array
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import accumulate
from pathlib import Path

import duckdb
import pyarrow as pa

from pipeline.join.deltas import Shelved
from pipeline.storage.log_files import write_at
from pipeline.storage.statements import named
from runtime.process import CannotRun

FOLDER = "shelf"
PER_FILE = 1 << 18
_PORTION = 5_000
"""People who are looked at together, 0.2 s of work."""
_TOGETHER = 1_000
"""People whose facts are written together: 0.4 MB, which is still in the processor's cache then."""
_SQL = named("shelf")


class Shelf:
    """The files of a worker's folder. Not thread-safe.

    Raises:
        CannotRun: If a file is shorter than the database says.
    """

    def __init__(self, folder: Path, connection: duckdb.DuckDBPyConnection) -> None:
        self._folder = folder / FOLDER
        self._connection = connection
        self._ends: dict[int, array[int]] = {}
        """File → where its places end, after a 0."""
        self._living: Counter[int] = Counter()
        self._open: dict[int, int] = {}
        self._load()

    def people(self) -> Iterator[tuple[list[str], list[int]]]:
        """Subjects and places of everybody, by file; read it once, whole."""
        for number in sorted(self._ends):
            query = self._connection.sql(_SQL["people"], params=_places_of(number))
            found: pa.Table = query.to_arrow_table()
            self._living[number] = found.num_rows
            yield found["subject"].to_pylist(), found["place"].to_pylist()

    def assigned(self) -> dict[str, int]:
        """campaign_id → how many of these people it has assigned."""
        return dict(self._connection.execute(_SQL["assigned"]).fetchall())

    @property
    def end(self) -> int:
        """The place after the last that is listed, emptied ones included."""
        last = max(self._ends, default=None)
        return 0 if last is None else last * PER_FILE + len(self._ends[last]) - 1

    def append(self, shelved: Shelved) -> None:
        """Write facts at their places, and sync.

        Raises:
            OSError: If the disk is full; what was written is not listed, and written over.
        """
        places, end = shelved.places, self.end
        assert not places or places.start == end, f"place {places.start} given, {end} is the next"
        while places:
            number, used = divmod(places.start, PER_FILE)
            written = places[: PER_FILE - used]
            self._append(number, shelved.facts[written.start - end : written.stop - end])
            places = places[len(written) :]

    def _append(self, number: int, portion: Sequence[bytes]) -> None:
        """Write facts at the end of one file, and sync."""
        ends = self._ends.setdefault(number, array("Q", (0,)))
        new = array("Q", accumulate(map(len, portion), initial=ends[-1]))
        file = self._file(number)
        for start in range(0, len(portion), _TOGETHER):
            write_at(file, b"".join(portion[start : start + _TOGETHER]), new[start])
        os.fsync(file)
        ends.extend(new[1:])
        self._living[number] += len(portion)

    def read(self, places: Iterable[int]) -> list[bytes]:
        """The facts at some places.

        Raises:
            KeyError, IndexError: If there is no such place.
        """
        found = []
        for place in places:
            number, index = divmod(place, PER_FILE)
            ends = self._ends[number]
            found.append(os.pread(self._file(number), ends[index + 1] - ends[index], ends[index]))
        return found

    def assigned_to(self, campaign_id: str) -> Iterator[list[tuple[str, int, bytes]]]:
        """(subject, place, facts) of everybody whom a campaign assigned, in small portions.

        People who have left meanwhile are among them.
        """
        for number in sorted(self._ends):
            chosen = [*_places_of(number), campaign_id]
            rows = self._connection.execute(_SQL["assigned_to"], chosen).fetchall()
            for start in range(0, len(rows), _PORTION):
                portion = rows[start : start + _PORTION]
                facts = self.read(place for _, place in portion)
                yield [(*row, each) for row, each in zip(portion, facts, strict=True)]

    def leave(self, places: Collection[int]) -> None:
        """Inside a transaction: these are empty; drop the files of which everything is."""
        for number, count in Counter(place // PER_FILE for place in places).items():
            self._living[number] -= count
            if not self._living[number] and number < max(self._ends):  # the last tells the end
                for name in ("drop", "drop_emptied"):
                    self._connection.execute(_SQL[name], _places_of(number))
                del self._ends[number]

    def tidy(self) -> None:
        """After a transaction: remove the files that it has dropped."""
        for number in [number for number in self._open if number not in self._ends]:
            os.close(self._open.pop(number))
            self._path(number).unlink(missing_ok=True)

    def close(self) -> None:
        """Close all files."""
        for file in self._open.values():
            os.close(file)
        self._open = {}

    def _load(self) -> None:
        cursor = self._connection.execute(_SQL["sizes"], [PER_FILE])
        while row := cursor.fetchone():
            number, sizes = row
            self._ends[number] = array("Q", accumulate(sizes, initial=0))
        for path in self._folder.glob("*.shelf"):
            if int(path.stem) not in self._ends:
                path.unlink()
        for number, ends in self._ends.items():
            file = self._file(number)
            if os.fstat(file).st_size < ends[-1]:
                raise CannotRun(
                    f"SMS_WORKER_DATA: {self._path(number)} lacks what state.duckdb lists. Run "
                    "`smslab worker --rebuild`, which counts everything again from Kafka."
                )
            os.ftruncate(file, ends[-1])

    def _file(self, number: int) -> int:
        file = self._open.get(number)
        if file is None:
            self._folder.mkdir(exist_ok=True)
            file = self._open[number] = os.open(self._path(number), os.O_RDWR | os.O_CREAT, 0o600)
        return file

    def _path(self, number: int) -> Path:
        return self._folder / f"{number:06}.shelf"


def _places_of(number: int) -> list[int]:
    return [number * PER_FILE, (number + 1) * PER_FILE]
