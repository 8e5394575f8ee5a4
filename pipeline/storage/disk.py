"""Writing files whose content a database lists: whole, and there after a power cut."""

from __future__ import annotations

import os
from pathlib import Path

from runtime.process import CannotRun


def write_at(file: int, data: bytes, position: int) -> None:
    """Write everything at a position.

    Raises:
        OSError: If the disk is full.
    """
    view = memoryview(data)
    while view:
        written = os.pwrite(file, view, position)
        view, position = view[written:], position + written


def make_file(path: Path) -> int:
    """Open a file to read and write, in a folder that is made; their names are synced, too.

    Returns: The descriptor.
    """
    folder = path.parent
    folder.mkdir(exist_ok=True)
    file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    for each in (folder, folder.parent):
        _sync_names(each)
    return file


def cut(path: Path, end: int) -> None:
    """Cut off what a crash has left behind `end`, which nothing lists.

    Raises:
        CannotRun: If the file is gone or shorter.
    """
    if not path.exists() or path.stat().st_size < end:
        raise broken(path, "lacks what state.duckdb lists")
    os.truncate(path, end)


def broken(path: Path, what: str) -> CannotRun:
    """The sentence for a file that is not what the database says."""
    return CannotRun(
        f"SMS_WORKER_DATA: {path} {what}. Run `smslab worker --rebuild`, which counts everything "
        "again from Kafka."
    )


def _sync_names(folder: Path) -> None:
    """A file is there after a power cut only if its folder was synced, too."""
    file = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)
