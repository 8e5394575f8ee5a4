"""Old row-level facts deleted: first from the list, then from the snapshot, then from the disk.

So nobody is ever told of a file that is gone, wherever it stops; what is left is done when it is
asked for again. Nobody may count meanwhile.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb

from pipeline.storage import shard, sink
from pipeline.storage.facts import FOLDER
from pipeline.storage.results import progress
from pipeline.storage.state import FILE, State, open_state
from pipeline.storage.statements import named
from pipeline.storage.swap import FolderLock
from runtime.process import CannotRun

_SERVE_FILE = "serve.duckdb"
_WORK = ".prune-"
"""Folder of the copy: a WAL that a kill leaves beside it must not meet the next copy."""
_SQL = named("prune")


@dataclass(frozen=True, slots=True)
class Pruned:
    """What is deleted, or would be."""

    files: int
    octets: int
    days: int


def prune_facts(folder: Path, before: str, *, is_trial: bool) -> Pruned:
    """Delete the facts of the days before one.

    Args:
        folder: The worker's.
        before: UTC day as YYYY-MM-DD; its own facts stay.
        is_trial: Only say what would be deleted.

    Raises:
        CannotRun: If a worker works in the folder, or none ever did.
        duckdb.Error, OSError: If a file cannot be written; ask again.
    """
    owners = [folder, folder / sink.FOLDER]
    owner = next((each for each in owners if (each / FILE).exists()), None)
    if owner is None:
        raise CannotRun(f"{folder} holds no state of a worker. Set --data.")
    with (
        contextlib.closing(FolderLock(folder, is_alone=True)),
        contextlib.closing(open_state(owner)) as state,
    ):
        files = _going(state, before)
        found = _measure(folder / FOLDER, files)
        if not is_trial:
            _unlist(state, before)
            _publish(folder / _SERVE_FILE, files, progress(state).facts_from)
            _remove(folder / FOLDER, files)
            _tell_members(folder / shard.FOLDER, files)
            state.connection.execute(_SQL["done"])
    return found


def _going(state: State, before: str) -> list[str]:
    """The files of those days, and what an earlier call has left."""
    state.connection.execute(_SQL["old"], [before])
    return [file for (file,) in state.connection.execute(_SQL["going"]).fetchall()]


def _measure(root: Path, files: Sequence[str]) -> Pruned:
    paths = [root / file for file in files if (root / file).exists()]
    days = {path.parent.name for path in paths}
    return Pruned(len(paths), sum(path.stat().st_size for path in paths), len(days))


def _unlist(state: State, before: str) -> None:
    with state.transaction():
        state.connection.execute(_SQL["note"])
        state.connection.execute(_SQL["unlist"])
        state.connection.execute(_SQL["since"], [before])


def _publish(path: Path, files: Sequence[str], since: str | None) -> None:
    """The next snapshot is a worker's; until one starts, this is it."""
    for left in path.parent.glob(f"{_WORK}*"):
        shutil.rmtree(left)
    if not path.exists():
        return
    with TemporaryDirectory(prefix=_WORK, dir=path.parent) as folder:
        fresh = Path(folder) / path.name
        shutil.copyfile(path, fresh)
        with duckdb.connect(fresh) as connection:
            connection.execute(_SQL["published_column"])
            connection.execute(_SQL["published_since"], [since])
            connection.execute(_SQL["unlist_named"], [list(files)])
        os.replace(fresh, path)  # noqa: PTH105 - the point is the atomic replace of rename(2)


def _remove(root: Path, files: Sequence[str]) -> None:
    for file in files:
        (root / file).unlink(missing_ok=True)
    for day in {(root / file).parent for file in files}:
        with contextlib.suppress(OSError):  # not empty: a file that stays, or is not ours
            day.rmdir()


def _tell_members(root: Path, files: Sequence[str]) -> None:
    """Each has a list of its own, of what must not be taken for a left-over."""
    for folder in sorted(root.glob("*/")):
        with contextlib.closing(open_state(folder)) as state:
            state.connection.execute(_SQL["unlist_named"], [list(files)])
