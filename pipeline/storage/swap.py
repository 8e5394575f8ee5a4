"""A folder's content replaced by what a rebuild has made ready, whatever kills us in between.

What is new is made in `rebuild`. Renaming that to `rebuild-ready` is the decision; from then on
every step is a rename that is left out when it is done, and whoever starts next finishes. Nobody
works in the folder meanwhile: each process holds `lock`, shared, or alone for a swap.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import time
from pathlib import Path

from runtime.process import CannotRun

BESIDE = "before-rebuild"
NEW = "rebuild"
READY = "rebuild-ready"
LOCK = "lock"
_MADE_WHILE_COUNTING = ("facts", "log", "shelf", "state.duckdb.wal")
"""Has nothing in its place before somebody counts again."""
_WAIT_S = 5.0
"""For one who was just killed."""
_SWAP_S = 120.0
"""For one who is alone there: making the databases of all partitions takes seconds."""


class FolderLock:
    """Says that a process works in a folder. Make it before anything is opened there.

    Args:
        folder: The worker's.
        is_alone: Whether nobody else may; until `share`.

    Raises:
        CannotRun: If another process works there, or the folder cannot be made.
    """

    def __init__(self, folder: Path, *, is_alone: bool = False) -> None:
        make_folder(folder)
        self._folder = folder
        self._file = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            self._take(is_alone=is_alone)
            self.has_finished_swap = finish_swap(folder)
            """So a rebuild that was asked for has begun."""
            if not is_alone:
                self.share()
        except BaseException:
            self.close()
            raise

    def share(self) -> None:
        """Let others work here, too."""
        fcntl.flock(self._file, fcntl.LOCK_SH)

    def close(self) -> None:
        """Nobody of us works here any more."""
        os.close(self._file)

    def _take(self, *, is_alone: bool) -> None:
        """Alone also to finish a swap, unless another has finished it meanwhile."""
        deadline = time.monotonic() + (_WAIT_S if is_alone else _SWAP_S)
        while True:
            is_sole = is_alone or (self._folder / READY).exists()
            try:
                fcntl.flock(
                    self._file, (fcntl.LOCK_EX if is_sole else fcntl.LOCK_SH) | fcntl.LOCK_NB
                )
            except OSError as error:
                if time.monotonic() > deadline:
                    raise CannotRun(
                        f"SMS_WORKER_DATA == {str(self._folder)!r}: a worker works in this "
                        "folder. Stop it."
                    ) from error
            else:
                if is_sole or not (self._folder / READY).exists():
                    return
            time.sleep(0.1)


def make_folder(folder: Path) -> None:
    """Make the folder of a database.

    Raises:
        CannotRun: If that is not allowed.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CannotRun(
            f"SMS_WORKER_DATA == {str(folder)!r}: the folder cannot be made ({error.strerror}). "
            "Set SMS_WORKER_DATA to a folder that this user may write."
        ) from error


def begin_swap(folder: Path) -> Path:
    """An empty folder for what shall take the place of the old."""
    return _empty(folder / NEW)


def swap(folder: Path) -> None:
    """Put the old beside and the new in its place."""
    _empty(folder / BESIDE)
    (folder / NEW).rename(folder / READY)
    finish_swap(folder)


def finish_swap(folder: Path) -> bool:
    """Do what is left of a swap that was decided. Returns whether there was one."""
    ready, beside = folder / READY, folder / BESIDE
    if not ready.exists():
        return False
    for name in _MADE_WHILE_COUNTING:
        if (folder / name).exists():
            (folder / name).rename(beside / name)
    for fresh in sorted(ready.iterdir()):
        old = folder / fresh.name
        if old.exists():
            old.rename(beside / fresh.name)
        fresh.rename(old)
    ready.rmdir()
    return True


def _empty(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    return folder
