"""Huge pages: what is there moves into them, and nothing else happens."""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from runtime import memory
from runtime.memory import HUGE, areas, use_huge_pages

_PAGES = 16
_LINE = "{start:x}-{end:x} {rights} 00000000 00:00 {inode}{name}\n"


def huge_octets() -> int:
    """What this process has in huge pages."""
    rollup = Path("/proc/self/smaps_rollup").read_text()
    (line,) = [each for each in rollup.splitlines() if each.startswith("AnonHugePages:")]
    return int(line.split()[1]) * 1024


def content(area: mmap.mmap) -> list[int]:
    """An octet of each page of 4 KiB."""
    return list(area[::4096])


@pytest.fixture
def touched() -> Iterator[mmap.mmap]:
    """Memory without a file in small pages, a different octet in each of its neighbours."""
    with closing(mmap.mmap(-1, _PAGES * HUGE, flags=mmap.MAP_PRIVATE)) as area:
        area.madvise(mmap.MADV_NOHUGEPAGE)
        for start in range(0, len(area), 4096):
            area[start] = start // 4096 % 251
        area.madvise(mmap.MADV_HUGEPAGE)  # takes the first advice back
        yield area


def test_memory_moves_into_huge_pages_with_what_is_in_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, touched: mmap.mmap
) -> None:
    """Not where the administrator has said never; else at least half of it."""
    before, held = huge_octets(), content(touched)
    (tmp_path / "enabled").write_text("always madvise [never]\n")
    monkeypatch.setattr(memory, "_ENABLED", tmp_path / "enabled")
    use_huge_pages()
    assert huge_octets() - before < len(touched) // 2
    (tmp_path / "enabled").write_text("always [madvise] never\n")
    use_huge_pages()
    assert huge_octets() - before >= len(touched) // 2
    assert content(touched) == held == [number % 251 for number in range(_PAGES * HUGE // 4096)]


@pytest.mark.parametrize("name", ["_ENABLED", "_MAPS"])
def test_without_linux_nothing_happens(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str
) -> None:
    """A worker starts all the same."""
    monkeypatch.setattr(memory, name, tmp_path / "none")
    use_huge_pages()


@pytest.mark.parametrize(
    ("changed", "is_found"),
    [
        ({}, True),
        ({"name": " [heap]"}, True),
        ({"name": " [stack]"}, False),
        ({"name": " [anon:somebody's own]"}, False),
        ({"inode": 7, "name": " /lib/x.so"}, False),
        ({"inode": 7, "name": " /a b\u2028c (deleted)"}, False),
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
    line = _LINE.format(**{"name": "", **given, **changed}).encode()
    assert bool(list(areas([line]))) is is_found
