"""Large memory in large pages: a process with gigabytes of objects misses the TLB all the time."""

from __future__ import annotations

import ctypes
import mmap
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

HUGE: Final = 2 << 20
"""Octets of a huge page on x86-64 and, with pages of 4 KiB, on ARM."""
_MAPS: Final = Path("/proc/self/maps")
_COLLAPSE: Final = 25
"""MADV_COLLAPSE of madvise(2), since Linux 6.1: now, not when the kernel finds the time."""


def use_huge_pages() -> int:
    """Ask the kernel to put what this process has in memory into huge pages; takes 1 s per 2 GB.

    For memory that stays, when it is there. What the kernel cannot or, by its administrator's
    choice, must not do is left as it is, as is everything where there is no Linux.

    Returns:
        Octets of the memory that the kernel was asked for and did not refuse.
    """
    advice = getattr(mmap, "MADV_HUGEPAGE", None)
    if advice is None or not _MAPS.exists():
        return 0
    madvise = ctypes.CDLL(None).madvise
    madvise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    done = 0
    for start, end in list(areas(_MAPS.read_text().splitlines())):
        size = end - start
        if not madvise(start, size, advice) and not madvise(start, size, _COLLAPSE):
            done += size
    return done


def areas(maps: Iterable[str]) -> Iterator[tuple[int, int]]:
    """From where to where the heap and other memory without a file lie, if huge pages fit in.

    Args:
        maps: Lines of proc_pid_maps(5).

    >>> list(areas(["7f0000000000-7f0000400000 rw-p 00000000 00:00 0"]))
    [(139637976727552, 139637980921856)]
    >>> list(areas(["7f0000000000-7f0000400000 rw-s 00000000 00:01 7 /dev/shm/x"]))
    []
    """
    for line in maps:
        extent, rights, _, _, inode, *name = line.split()
        start, end = (int(each, 16) for each in extent.split("-"))
        whole_pages = end // HUGE - -(-start // HUGE)
        if rights == "rw-p" and inode == "0" and name in ([], ["[heap]"]) and whole_pages > 0:
            yield start, end
