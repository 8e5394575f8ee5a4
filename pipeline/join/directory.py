"""Names → numbers for millions, in some 60 octets each where a dict of strings takes 140.

The names are not kept as objects: all of them would have to be made at a start, and each lies in
another place of memory. Kept are their hashes in open tables, asked for a whole batch at once, so
that the processor waits for many of them together. A hash that is found counts only with the name
itself: there is one long text per batch that was added, an octet a letter if all are ASCII.

Tables are per *segment* of consecutive numbers, so none is copied for long when it grows, and
memory comes back: names that were added together go when all of them have left, and a segment that
most have left ends, so that who remains goes to a small dict.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from pipeline.join.sketch import Integers, Sketch, hash_of, hashes_of

BITS: Final = 21
"""Two million numbers a segment: ten million have five, each of which is asked for a stranger."""
_FEW: Final = 8
"""A full segment takes 120 MB; an eighth of its people, 260,000, take 70 in dicts."""
_MANY: Final = 50
"""Names, from which on asking for all together is quicker than for one after the other."""
_SLOTS: Final = 1 << 10


class Directory:
    """Who has which number. A number is given once, a name has one at most.

    Args:
        bits: A segment has two to the power of it numbers.
    """

    __slots__ = ("_bits", "_few", "_names_of_few", "_open", "_segments")

    def __init__(self, bits: int = BITS) -> None:
        self._bits = bits
        self._segments: dict[int, Segment] = {}
        self._open = 0
        """The segment that gets the next numbers."""
        self._few: dict[str, int] = {}
        """Who remained of segments that ended."""
        self._names_of_few: dict[int, str] = {}

    def __len__(self) -> int:
        return len(self._few) + sum(each.living for each in self._segments.values())

    def add(self, names: Sequence[str], numbers: Sequence[int]) -> None:
        """Who is not here gets a number.

        Args:
            names: All different.
            numbers: Theirs, ascending, and higher than all given before.
        """
        begin = 0
        while begin < len(numbers):
            segment = numbers[begin] >> self._bits
            start, stop = segment << self._bits, segment + 1 << self._bits
            end = bisect_right(numbers, stop - 1)
            indices = np.fromiter(numbers[begin:end], np.int64, end - begin) - start
            self._open_at(segment).add(names[begin:end], indices)
            begin = end

    def remove(self, name: str) -> int | None:
        """A name has no number any more. Returns the one it had."""
        number = self.find_one(name)
        if number is None:
            return None
        segment = number >> self._bits
        if segment in self._segments:
            self._segments[segment].remove(number - (segment << self._bits))
            self._end(segment)
        else:
            del self._few[name], self._names_of_few[number]
        return number

    def find(self, names: Sequence[str]) -> dict[str, int]:
        """The numbers of those who have one; for many at once."""
        if len(names) < _MANY:
            return {name: at for name in names if (at := self.find_one(name)) is not None}
        few, found = self._few, dict[str, int]()
        if few:
            found = {name: few[name] for name in names if name in few}
        if self._segments:
            hashes = hashes_of(names)
            for number, segment in self._segments.items():
                start = number << self._bits
                found |= ((name, start + index) for name, index in segment.find(names, hashes))
        return found

    def find_one(self, name: str) -> int | None:
        """The number of a name; `None`: has none."""
        value = hash_of(name)
        for number, segment in self._segments.items():
            index = segment.find_one(name, value)
            if index is not None:
                return (number << self._bits) + index
        return self._few.get(name)

    def within(self, numbers: range) -> dict[str, int]:
        """Who has one of these numbers, in their order."""
        found: dict[str, int] = {}
        for segment in range(numbers.start >> self._bits, (numbers.stop - 1 >> self._bits) + 1):
            start, stop = segment << self._bits, segment + 1 << self._bits
            some = range(max(numbers.start, start), min(numbers.stop, stop))
            if segment in self._segments:
                some = range(some.start - start, some.stop - start)
                its = self._segments[segment].within(some)
                found |= ((name, start + index) for name, index in its)
            elif few := self._names_of_few:
                found |= ((few[number], number) for number in some if number in few)
        return found

    def has(self, name: str, number: int) -> bool:
        """Whether a name that was given this number has it still."""
        segment = number >> self._bits
        if segment in self._segments:
            return self._segments[segment].has(number - (segment << self._bits))
        return self._few.get(name) == number

    def _open_at(self, number: int) -> Segment:
        if number not in self._segments:
            self._segments[number] = Segment(1 << self._bits)
            before, self._open = self._open, number
            self._end(before)
        return self._segments[number]

    def _end(self, number: int) -> None:
        """End a segment that will get nobody any more and has but few."""
        size = 1 << self._bits
        segment = self._segments.get(number)
        if segment is None or number == self._open or segment.living > size // _FEW:
            return
        left = self.within(range(number * size, (number + 1) * size))
        self._few |= left
        self._names_of_few |= {each: name for name, each in left.items()}
        del self._segments[number]


class Segment:
    """Names and their indices, from 0 on.

    Args:
        size: How many indices there are.
    """

    __slots__ = (
        "_firsts",
        "_hashes",
        "_indices",
        "_is_here",
        "_pages",
        "_sketch",
        "_used",
        "living",
    )

    def __init__(self, size: int) -> None:
        self._is_here = np.zeros(size, np.bool_)
        self._clear()
        self._firsts: list[int] = []
        """The first index of each page."""
        self._pages: list[Page] = []
        self.living = 0

    def add(self, names: Sequence[str], indices: Integers) -> None:
        """As `Directory.add`."""
        page = Page(names, indices)
        self._firsts.append(page.first)
        self._pages.append(page)
        self._is_here[indices] = True
        self.living += len(names)
        hashes = hashes_of(names)
        self._sketch.add(hashes)
        self._make_room(len(names))
        self._insert(hashes, indices)

    def remove(self, index: int) -> None:
        """Nobody has this index any more."""
        self._is_here[index] = False
        at = self._page_of(index)
        self._pages[at].living -= 1
        if not self._pages[at].living:
            del self._firsts[at], self._pages[at]
        self.living -= 1
        if not self.living and len(self._hashes) > _SLOTS:
            self._clear()

    def has(self, index: int) -> bool:
        """Whether somebody has it."""
        return bool(self._is_here[index])

    def find(self, names: Sequence[str], hashes: Integers) -> Iterator[tuple[str, int]]:
        """Those who are here."""
        for each in self._sketch.may_hold(hashes):
            index = self.find_one(names[each], hashes.item(each))
            if index is not None:
                yield names[each], index

    def find_one(self, name: str, value: int) -> int | None:
        """The index of a name with this hash."""
        mask = len(self._hashes) - 1
        slot = value & mask
        while there := self._hashes.item(slot):
            if there == value and self._is(name, index := self._indices.item(slot)):
                return index
            slot = slot + 1 & mask
        return None

    def within(self, indices: range) -> Iterator[tuple[str, int]]:
        """Who has one of these, in their order."""
        for at in range(max(self._page_of(indices.start), 0), len(self._pages)):
            page = self._pages[at]
            if page.first >= indices.stop:
                return
            start, stop = max(page.first, indices.start), min(page.last + 1, indices.stop)
            here = np.flatnonzero(self._is_here[start:stop]) + start
            yield from zip(page.names(here), here.tolist(), strict=True)

    def _is(self, name: str, index: int) -> bool:
        return self.has(index) and self._name(index) == name

    def _name(self, index: int) -> str:
        return self._pages[self._page_of(index)].name(index)

    def _page_of(self, index: int) -> int:
        return bisect_right(self._firsts, index) - 1

    def _clear(self) -> None:
        """Give back the memory of all who were here."""
        self._used = 0
        self._sketch = Sketch(len(self._is_here))
        self._allot(_SLOTS)

    def _allot(self, slots: int) -> None:
        self._hashes = np.zeros(slots, np.int64)
        """0: free."""
        self._indices = np.zeros(slots, np.int32)

    def _make_room(self, more: int) -> None:
        """At most half of the slots are in use: beyond that, looking for a free one takes long."""
        self._used += more
        slots = len(self._hashes)
        if 2 * self._used <= slots:
            return
        hashes, indices = self._hashes, self._indices
        stay = np.flatnonzero((hashes != 0) & self._is_here[indices])
        self._used = len(stay) + more
        while 3 * slots < 8 * self._used:  # room for some, or the next ones would find none
            slots *= 4
        self._allot(min(slots, 2 * len(self._is_here)))
        self._insert(hashes[stay], indices[stay])

    def _insert(self, hashes: Integers, indices: npt.NDArray[np.integer]) -> None:
        """Each at its slot or, if that is taken, at the next one that is not.

        Slots of those who left are free, too, or who comes and leaves often would meet them all.
        """
        mask = len(self._hashes) - 1
        slots = hashes & mask
        while len(slots):
            free = (self._hashes[slots] == 0) | ~self._is_here[self._indices[slots]]
            self._indices[slots[free]] = indices[free]
            won = free & (self._indices[slots] == indices)  # of those at one slot the last
            self._hashes[slots[won]] = hashes[won]
            lost = ~won
            slots, hashes, indices = slots[lost] + 1 & mask, hashes[lost], indices[lost]


class Page:
    """Names that were added together, as one text; who had no index in between is ''."""

    __slots__ = ("_ends", "_text", "first", "last", "living")

    def __init__(self, names: Sequence[str], indices: Integers) -> None:
        self.first, self.last = indices.item(0), indices.item(-1)
        self.living = len(names)
        """How many of them are still here."""
        lengths = np.zeros(self.last - self.first + 2, np.uint32)
        lengths[indices - self.first + 1] = np.fromiter(map(len, names), np.uint32, len(names))
        self._ends = lengths.cumsum(dtype=np.uint32)
        self._text = "".join(names)

    def name(self, index: int) -> str:
        """Whose index it is."""
        begin = index - self.first
        return self._text[self._ends.item(begin) : self._ends.item(begin + 1)]

    def names(self, indices: Integers) -> list[str]:
        """Whose they are."""
        begins, text = indices - self.first, self._text
        starts, ends = self._ends[begins].tolist(), self._ends[begins + 1].tolist()
        return [text[start:end] for start, end in zip(starts, ends, strict=True)]
