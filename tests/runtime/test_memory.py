"""Huge pages: what is there moves into them, and nothing else happens."""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from runtime import memory
from runtime.memory import HUGE, areas, use_huge_pages

_ENABLED = Path("/sys/kernel/mm/transparent_hugepage/enabled")
_PAGES = 16
_LINE = "{start:x}-{end:x} {rights} 00000000 00:00 {inode}{name}"


def huge_octets() -> int:
    """What this process has in huge pages."""
    rollup = Path("/proc/self/smaps_rollup").read_text()
    (line,) = [each for each in rollup.splitlines() if each.startswith("AnonHugePages:")]
    return int(line.split()[1]) * 1024


@pytest.fixture
def touched() -> Iterator[mmap.mmap]:
    """Memory without a file, a different octet in each page of 4 KiB."""
    with closing(mmap.mmap(-1, _PAGES * HUGE, flags=mmap.MAP_PRIVATE)) as area:
        for start in range(0, len(area), 4096):
            area[start] = start // 4096 % 251
        yield area


def test_memory_moves_into_huge_pages_with_what_is_in_it(touched: mmap.mmap) -> None:
    """As far as the administrator lets it."""
    before = huge_octets()
    done = use_huge_pages()
    assert all(touched[start] == start // 4096 % 251 for start in range(0, len(touched), 4096))
    if _ENABLED.exists() and "[never]" not in _ENABLED.read_text():
        assert done >= len(touched)
        assert huge_octets() - before >= len(touched) // 2
    else:
        assert huge_octets() == before


def test_without_linux_nothing_is_asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No list of the memory, no advice."""
    monkeypatch.setattr(memory, "_MAPS", tmp_path / "none")
    assert use_huge_pages() == 0


@pytest.mark.parametrize(
    ("changed", "is_found"),
    [
        ({}, True),
        ({"name": " [heap]"}, True),
        ({"name": " [stack]"}, False),
        ({"name": " [anon:somebody's own]"}, False),
        ({"inode": 7, "name": " /lib/x.so"}, False),
        ({"rights": "rw-s"}, False),
        ({"rights": "r--p"}, False),
        ({"rights": "---p"}, False),
        ({"end": 3 * HUGE - 4096}, False),
        ({"start": HUGE + 4096, "end": 3 * HUGE - 4096}, False),
        ({"start": HUGE + 4096}, True),
    ],
)
def test_only_memory_without_a_file_that_a_huge_page_fits_in(
    changed: dict[str, object], *, is_found: bool
) -> None:
    """Files, what others share, guards and small areas stay as they are."""
    given: dict[str, object] = {"start": 2 * HUGE, "end": 3 * HUGE, "rights": "rw-p", "inode": 0}
    line = _LINE.format(**{"name": "", **given, **changed})
    assert bool(list(areas([line]))) is is_found
