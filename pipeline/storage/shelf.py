"""The shelf: facts and names of quiet people in files, found by place in one read.

`<number>.shelf` holds boards, the people of a flush each, taken over from an older layout the
people of a file. A flush appends and syncs before its transaction, which lists the board; what a
crash left behind that is not listed is cut off. A file goes when nobody of it is on the shelf any
more.
"""

from __future__ import annotations

import os
from bisect import bisect_right
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from operator import attrgetter
from pathlib import Path

import duckdb

from pipeline.join.deltas import Shelved
from pipeline.storage.board import Board, Names, board_of, names_of, read_names
from pipeline.storage.disk import broken, cut, make_file, write_at
from pipeline.storage.statements import named

FOLDER = "shelf"
PER_FILE = 1 << 18
"""People; then the next file begins."""
PER_BOARD = 1 << 18
"""People at most: whoever lowers the limit puts millions on the shelf at once."""
_AT_ONCE = 5_000
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
        self._boards: list[Board] = []
        """In order of places."""
        self._firsts: list[int] = []
        """The first place of each."""
        self._living: Counter[int] = Counter()
        """File → people who are there; of the last one it may be 0."""
        self._filled: Counter[int] = Counter()
        """File → people who came."""
        self._dropped: list[int] = []
        """Files that `tidy` removes."""
        self._open: dict[int, int] = {}
        self._load()

    def people(self) -> Iterator[tuple[Sequence[str], Sequence[int], Mapping[str, int]]]:
        """Everybody, by board: subjects, places; campaign_id → how many of them it assigned.

        Raises:
            CannotRun: If a file is damaged.
        """
        for _, boards in groupby(self._boards, attrgetter("file")):
            of_file = list(boards)
            gone = self._emptied(of_file)
            for board in of_file:
                names, places = self._names(board), board.places
                if gone.isdisjoint(places):
                    yield names.subjects, places, names.count(range(board.people))
                    continue
                living = [index for index, place in enumerate(places) if place not in gone]
                subjects = [names.subjects[index] for index in living]
                yield subjects, [places[index] for index in living], names.count(living)

    @property
    def end(self) -> int:
        """The place after the last that is listed, emptied ones included."""
        return self._boards[-1].places.stop if self._boards else 0

    def append(self, shelved: Shelved) -> None:
        """Inside a transaction: write people at their places, sync, and list them.

        Raises:
            OSError: If the disk is full; what was written is not listed, and written over.
        """
        subjects, first, end = shelved.subjects, shelved.first, self.end
        assert not subjects or first == end, f"place {first} given, {end} is the next"
        for start in range(0, len(subjects), PER_BOARD):
            part = slice(start, start + PER_BOARD)
            facts = shelved.facts[part]
            names = names_of(subjects[part], map(len, facts), shelved.campaigns[part])
            self._append(first + start, facts, names)

    def _append(self, place: int, facts: Sequence[bytes], names: Names) -> None:
        number, position = self._next_file()
        board, body = board_of(place, number, position, names)
        file = self._file(number)
        for start in range(0, len(facts), _TOGETHER):
            together = b"".join(facts[start : start + _TOGETHER])
            write_at(file, together, position)
            position += len(together)
        write_at(file, body, position)
        os.fsync(file)
        self._connection.execute(_SQL["add"], board.row)
        self._add(board)

    def read(self, places: Iterable[int]) -> list[bytes]:
        """The facts at some places.

        Raises:
            KeyError: If there is no such place.
            CannotRun: If a file is damaged.
        """
        found = []
        for place in places:
            board = self._board_at(place)
            ends, index = board.ends or self._ends(board), place - board.place
            start = ends[index]
            found.append(os.pread(self._file(board.file), ends[index + 1] - start, start))
        return found

    def assigned_to(self, campaign_id: str) -> Iterator[list[tuple[str, int, bytes]]]:
        """(subject, place, facts) of everybody whom a campaign assigned, in small portions.

        People who have left meanwhile are among them, unless their file is gone.

        Raises:
            CannotRun: If a file is damaged.
        """
        for board in list(self._boards):
            if board.file not in self._living:
                continue
            names = self._names(board)
            chosen = names.assigned_to(campaign_id)
            for first in range(0, len(chosen), _AT_ONCE):
                if board.file in self._living:
                    yield self._facts_of(board, names, chosen[first : first + _AT_ONCE])

    def leave(self, places: Collection[int]) -> None:
        """Inside a transaction: these are empty; drop the files of which everything is."""
        self._living.subtract(self._board_at(place).file for place in places)
        last = max(self._living, default=0)  # tells the end, and goes when another one does
        for number in [each for each, people in self._living.items() if not people]:
            if number != last:
                self._drop(number)

    def tidy(self) -> None:
        """After a transaction: remove the files that it has dropped."""
        for number in self._dropped:
            if number in self._open:
                os.close(self._open.pop(number))
            self._path(number).unlink(missing_ok=True)
        self._dropped = []

    def close(self) -> None:
        """Close all files."""
        for file in self._open.values():
            os.close(file)
        self._open = {}

    def _load(self) -> None:
        for row in self._connection.execute(_SQL["boards"]).fetchall():
            self._add(Board(*row))
        for number, boards in groupby(self._boards, attrgetter("file")):
            ((emptied,),) = self._in_places("emptied_count", list(boards)).fetchall()
            self._living[number] -= emptied
        for path in self._folder.glob("*.shelf"):
            if int(path.stem) not in self._living:
                path.unlink()
        for number, end in {board.file: board.end for board in self._boards}.items():
            cut(self._path(number), end)

    def _add(self, board: Board) -> None:
        self._boards.append(board)
        self._firsts.append(board.place)
        self._living[board.file] += board.people
        self._filled[board.file] += board.people

    def _next_file(self) -> tuple[int, int]:
        """The file that takes the next board, and from where."""
        if not self._boards:
            return 0, 0
        last = self._boards[-1]
        is_full = self._filled[last.file] >= PER_FILE
        return (last.file + 1, 0) if is_full else (last.file, last.end)

    def _drop(self, number: int) -> None:
        self._connection.execute(_SQL["drop"], [number])
        self._in_places("drop_emptied", [each for each in self._boards if each.file == number])
        self._boards = [each for each in self._boards if each.file != number]
        self._firsts = [each.place for each in self._boards]
        del self._living[number], self._filled[number]
        self._dropped.append(number)

    def _board_at(self, place: int) -> Board:
        index = bisect_right(self._firsts, place) - 1
        if index < 0 or place not in self._boards[index].places:
            raise KeyError(place)
        return self._boards[index]

    def _emptied(self, boards: Sequence[Board]) -> set[int]:
        """Places of these boards that are empty."""
        return {place for (place,) in self._in_places("emptied", boards).fetchall()}

    def _in_places(self, name: str, boards: Sequence[Board]) -> duckdb.DuckDBPyConnection:
        """A statement about the places of boards that follow each other."""
        places = [boards[0].places.start, boards[-1].places.stop]
        return self._connection.execute(_SQL[name], places)

    def _names(self, board: Board) -> Names:
        body = os.pread(self._file(board.file), board.octets, board.names_start)
        names = read_names(board, body)
        if names is None:
            raise broken(self._path(board.file), "is damaged")
        board.remember_ends(names.sizes)
        return names

    def _ends(self, board: Board) -> Sequence[int]:
        return board.remember_ends(self._names(board).sizes)

    def _facts_of(
        self, board: Board, names: Names, people: Iterable[int]
    ) -> list[tuple[str, int, bytes]]:
        places = [board.place + index for index in people]
        subjects = [names.subjects[place - board.place] for place in places]
        return list(zip(subjects, places, self.read(places), strict=True))

    def _file(self, number: int) -> int:
        file = self._open.get(number)
        if file is None:
            file = self._open[number] = make_file(self._path(number))
        return file

    def _path(self, number: int) -> Path:
        return path_of(self._folder.parent, number)


def path_of(folder: Path, number: int) -> Path:
    """Where a file of the shelf lies in a worker's folder."""
    return folder / FOLDER / f"{number:06}.shelf"
