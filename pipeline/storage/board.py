"""People who went on the shelf together: facts one behind the other, then the names."""

from __future__ import annotations

import zlib
from array import array
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate

import msgspec


class Names(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """Who is on a board of the shelf, in order of places."""

    subjects: list[str]
    sizes: list[int]
    """Octets of everybody's facts."""
    campaigns: list[tuple[str, ...]]
    """All that occur: those that assigned one person, sorted."""
    which: list[int]
    """Everybody's place in `campaigns`."""

    def assigned_to(self, campaign_id: str) -> list[int]:
        """Whom a campaign has assigned."""
        wanted = {which for which, ids in enumerate(self.campaigns) if campaign_id in ids}
        return [index for index, which in enumerate(self.which) if which in wanted]

    def count(self, people: Iterable[int]) -> Counter[str]:
        """campaign_id → how many of these people it has assigned."""
        counts = Counter[str]()
        for which, number in Counter(map(self.which.__getitem__, people)).items():
            counts.update(dict.fromkeys(self.campaigns[which], number))
        return counts


def names_of(
    subjects: Sequence[str], sizes: Iterable[int], campaigns: Iterable[tuple[str, ...]]
) -> Names:
    """The names of people, a value each."""
    known: dict[tuple[str, ...], int] = {}
    which = [known.setdefault(ids, len(known)) for ids in campaigns]
    return Names(list(subjects), list(sizes), list(known), which)


@dataclass(slots=True)
class Board:
    """A board, and where it lies."""

    place: int
    """The first person's; the next one has the next number."""
    people: int
    file: int
    start: int
    """Where the facts begin."""
    names_start: int
    """Where the names begin, and the facts end."""
    octets: int
    """Of the names."""
    checksum: int
    """Of the names, CRC-32."""
    ends: array[int] | None = None
    """Where everybody's facts end, after where they begin; `None`: the names were not read."""

    @property
    def row(self) -> tuple[int, ...]:
        """As `shelf_boards` has it."""
        start, names_start = self.start, self.names_start
        return self.place, self.people, self.file, start, names_start, self.octets, self.checksum

    @property
    def places(self) -> range:
        """All that it has."""
        return range(self.place, self.place + self.people)

    @property
    def end(self) -> int:
        """The octet behind it."""
        return self.names_start + self.octets

    def remember_ends(self, sizes: Iterable[int]) -> array[int]:
        """Say how long everybody's facts are."""
        self.ends = array("Q", accumulate(sizes, initial=self.start))
        return self.ends


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Names).decode


def board_of(place: int, file: int, start: int, names: Names) -> tuple[Board, bytes]:
    """A board that will lie there, and its names as they are written behind the facts."""
    body = _encode(names)
    names_start, people = start + sum(names.sizes), len(names.subjects)
    board = Board(place, people, file, start, names_start, len(body), zlib.crc32(body))
    board.remember_ends(names.sizes)
    return board, body


def read_names(board: Board, body: bytes) -> Names | None:
    """The names of a board; `None`: they are damaged."""
    if zlib.crc32(body) != board.checksum:
        return None
    return _decode(body)
