"""Sets of hashes of millions that may say yes by mistake, never no."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

Integers = npt.NDArray[np.int64]
Booleans = npt.NDArray[np.bool_]
_BITS: Final = 16
"""A member of a `Sketch` has, and sets two of: at most (2/16)² ≈ 1.6 % mistakes."""


class Sketch:
    """Two octets a member (Bloom 1970, CACM 13/7): for those whom a mistake costs little.

    Args:
        members: At most; a power of two.
    """

    __slots__ = ("_bits", "_mask")

    def __init__(self, members: int) -> None:
        self._bits = np.zeros(members * _BITS // 8, np.uint8)
        self._mask = members * _BITS - 1

    def add(self, hashes: Integers) -> None:
        """More members."""
        bits = np.concatenate((hashes & self._mask, hashes >> 32 & self._mask))
        while len(bits):
            self._bits[bits >> 3] |= (1 << (bits & 7)).astype(np.uint8)
            bits = bits[~self._are_set(bits)]  # of several in one octet the last is

    def may_hold(self, hashes: Integers) -> Integers:
        """Which of them may be members: their places in `hashes`, ascending."""
        who = np.flatnonzero(self._are_set(hashes & self._mask))
        return who[self._are_set(hashes[who] >> 32 & self._mask)]

    def _are_set(self, bits: Integers) -> Booleans:
        found: Booleans = (self._bits[bits >> 3] >> (bits & 7) & 1) != 0
        return found


class Prints:
    """Ten octets a member: a sketch, and for those it holds an open table of 32 bits of the hash.

    Half of the table is free, so a stranger whom the sketch holds is compared with two members on
    average: less than 10⁻¹⁰ mistakes.

    Args:
        members: At most; a power of two.
    """

    __slots__ = ("_mask", "_prints", "_sketch")

    def __init__(self, members: int) -> None:
        self._sketch = Sketch(members)
        self._prints = np.zeros(2 * members, np.uint32)
        """0: free."""
        self._mask = 2 * members - 1

    def add(self, hashes: Integers) -> None:
        """More members."""
        self._sketch.add(hashes)
        slots, prints = hashes & self._mask, (hashes >> 32).astype(np.uint32)
        prints[prints == 0] = 1
        while len(slots):
            free = self._prints[slots] == 0
            self._prints[slots[free]] = prints[free]
            lost = self._prints[slots] != prints
            slots, prints = slots[lost] + 1 & self._mask, prints[lost]

    def hold(self, hashes: Integers) -> list[int]:
        """Which of them are members: their places in `hashes`, ascending."""
        return [
            who for who in self._sketch.may_hold(hashes).tolist() if self._has(hashes.item(who))
        ]

    def _has(self, value: int) -> bool:
        slot, mine = value & self._mask, value >> 32 & 0xFFFFFFFF or 1
        while there := self._prints.item(slot):
            if there == mine:
                return True
            slot = slot + 1 & self._mask
        return False


class Fingerprints:
    """A set of names without a limit; each table is as large as all before it, up to `LAST`."""

    FIRST: Final = 1 << 16
    LAST: Final = 1 << 23
    """80 MiB."""

    def __init__(self, first: int = FIRST, last: int = LAST) -> None:
        self._first, self._last = first, last
        self._tables: list[Prints] = []
        self._members = self._room = 0

    def __bool__(self) -> bool:
        return bool(self._tables)

    def update(self, names: Sequence[str]) -> None:
        """Add members."""
        hashes = hashes_of(names)
        while len(hashes):
            if self._members == self._room:
                size = min(max(self._room, self._first), self._last)
                self._tables.append(Prints(size))
                self._room += size
            some = hashes[: self._room - self._members]
            self._tables[-1].add(some)
            self._members += len(some)
            hashes = hashes[len(some) :]

    def among(self, names: Sequence[str]) -> set[str]:
        """Those who are members; by mistake, 10⁻¹⁰ times per table, somebody else."""
        if not self._tables:
            return set()
        hashes = hashes_of(names)
        return {names[each] for table in self._tables for each in table.hold(hashes)}


def hash_of(name: str) -> int:
    """Python's own of 64 bits, which a string remembers; never 0."""
    return hash(name) or 1


def hashes_of(names: Sequence[str]) -> Integers:
    """As `hash_of`."""
    hashes = np.fromiter(map(hash, names), np.int64, len(names))
    hashes[hashes == 0] = 1
    return hashes
