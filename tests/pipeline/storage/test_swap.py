"""A rebuild replaces a folder's content whole or not at all, whatever kills it in between."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from pipeline.storage import swap
from pipeline.storage.swap import BESIDE, LOCK, NEW, READY, FolderLock, begin_swap, finish_swap
from runtime.process import CannotRun

ALONE = ("facts/f.parquet", "shelf/000000.shelf", "state.duckdb", "state.duckdb.wal")
SEVERAL = (
    "facts/f.parquet",
    "shards/00/state.duckdb",
    "shards/01/state.duckdb",
    "sink/state.duckdb",
)


class KilledError(Exception):
    """Stands for a SIGKILL."""


@contextmanager
def killed_at(step: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The process ends before the rename with that number."""
    rename, done = Path.rename, iter(range(100))

    def until(self: Path, target: Path) -> Path:
        if next(done) == step:
            raise KilledError
        return rename(self, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", until)
        yield


def fill(folder: Path, names: tuple[str, ...], text: str) -> None:
    """Files of a worker."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


def contents(folder: Path) -> dict[str, str]:
    """Every file below a folder."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_text() for path in files}


@pytest.mark.parametrize("step", range(9))
@pytest.mark.parametrize("names", [ALONE, SEVERAL], ids=["alone", "several"])
def test_the_next_start_finishes_what_was_decided(
    tmp_path: Path, names: tuple[str, ...], step: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed before any step: the old is there whole, or the new with the old beside."""
    made = tuple(name for name in names if name.split("/")[0] in {"state.duckdb", "shards", "sink"})
    fill(tmp_path, names, "old")
    fill(begin_swap(tmp_path), made, "new")
    is_decided = step > 0
    with killed_at(step, monkeypatch):
        try:
            swap.swap(tmp_path)
        except KilledError:
            assert (tmp_path / (READY if is_decided else NEW)).exists()
    with closing(FolderLock(tmp_path)):
        found = contents(tmp_path)
    assert found.pop(LOCK) == ""
    if is_decided:
        aside = {f"{BESIDE}/{name}": "old" for name in names}
        assert found == dict.fromkeys(made, "new") | aside
        assert not finish_swap(tmp_path)
    else:
        assert {name: found[name] for name in names} == dict.fromkeys(names, "old")


def test_several_that_start_after_a_kill_share_what_the_first_has_finished(tmp_path: Path) -> None:
    """Whoever waits to finish a swap that another finishes meanwhile goes on beside that one."""
    with closing(FolderLock(tmp_path, is_alone=True)) as first, ThreadPoolExecutor() as others:
        (tmp_path / BESIDE).mkdir()
        (tmp_path / READY / "sink").mkdir(parents=True)
        second = others.submit(FolderLock, tmp_path)
        with pytest.raises(TimeoutError):
            second.result(0.3)
        assert finish_swap(tmp_path)
        first.share()
        with closing(second.result(20)) as found:
            assert not found.has_finished_swap


def test_nobody_swaps_where_somebody_works(tmp_path: Path) -> None:
    """Workers share a folder; who rebuilds must be alone in it, and says what to do."""
    with (
        pytest.MonkeyPatch.context() as patch,
        closing(FolderLock(tmp_path)),
        closing(FolderLock(tmp_path)),
    ):
        patch.setattr(swap, "_WAIT_S", 0.0)
        with pytest.raises(CannotRun, match=r"a worker works in this folder\. Stop it"):
            FolderLock(tmp_path, is_alone=True)
    with closing(FolderLock(tmp_path, is_alone=True)) as alone:
        file = os.open(tmp_path / LOCK, os.O_RDWR)
        with pytest.raises(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        alone.share()
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        os.close(file)
