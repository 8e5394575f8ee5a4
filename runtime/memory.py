"""Large memory in large pages: a process with gigabytes of objects misses the TLB all the time."""

from __future__ import annotations

import ctypes
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

HUGE: Final = 2 << 20
"""Octets of a huge page where a page has 4 KiB."""
_COLLAPSE: Final = 25
"""MADV_COLLAPSE of madvise(2), since Linux 6.1: now, and once; later memory is as it was."""
_ENABLED = Path("/sys/kernel/mm/transparent_hugepage/enabled")
_MAPS = Path("/proc/self/maps")


def use_huge_pages() -> None:
    """Ask the kernel to move what this process has in memory into huge pages; 1 to 3 s per 2 GB.

    For memory that stays, when it is there. Pages that are nearly empty become full ones: call it
    before much is freed. Elsewhere than on Linux nothing happens, nor where the administrator
    forbids it (`never`), which MADV_COLLAPSE alone would not respect; what the kernel cannot move
    stays where it is.
    """
    try:
        if "[never]" in _ENABLED.read_text():
            return
        with _MAPS.open("rb") as maps:
            found = list(areas(maps))
        madvise = ctypes.CDLL(None).madvise
    except (OSError, AttributeError):  # not Linux, or no libc to ask: as it was
        return
    madvise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    for start, end in found:
        madvise(start, end - start, _COLLAPSE)


def areas(maps: Iterable[bytes]) -> Iterator[tuple[int, int]]:
    """From where to where the heap and other memory without a file lie, if huge pages fit in.

    Args:
        maps: Lines of proc_pid_maps(5).

    >>> list(areas([b"7f0000000000-7f0000400000 rw-p 00000000 00:00 0"]))
    [(139637976727552, 139637980921856)]
    >>> list(areas([b"7f0000000000-7f0000400000 rw-s 00000000 00:01 7 /dev/shm/x"]))
    []
    """
    for line in maps:
        extent, rights, _, _, inode, *name = line.split()
        start, end = (int(each, 16) for each in extent.split(b"-"))
        whole_pages = end // HUGE - -(-start // HUGE)
        if rights == b"rw-p" and inode == b"0" and name in ([], [b"[heap]"]) and whole_pages > 0:
            yield start, end
