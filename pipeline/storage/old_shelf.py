"""The shelf up to layout 8, where everybody had a row in the database: taken over once."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import duckdb

from pipeline.storage.board import board_of, names_of
from pipeline.storage.disk import broken, cut, make_file, write_at
from pipeline.storage.shelf import path_of
from pipeline.storage.statements import named

_PER_FILE: Final = 1 << 18
"""Places, filled or not: file 1 began with place 262,144."""
_SQL = named("shelf")


def write_names(folder: Path, connection: duckdb.DuckDBPyConnection) -> None:
    """Inside a transaction, before the shelf is opened: write the names behind the facts.

    Everybody of a file becomes one board. Takes some seconds per million people.

    Raises:
        CannotRun: If a file is shorter than the database says, or lacks a place.
        OSError: If the disk is full.
    """
    ((has_old,),) = connection.execute(_SQL["has_old"]).fetchall()
    if not has_old:
        return
    for (number,) in connection.execute(_SQL["old_files"], [_PER_FILE]).fetchall():
        _write_names_of(folder, number, connection)
    connection.execute(_SQL["drop_old"])


def _write_names_of(folder: Path, number: int, connection: duckdb.DuckDBPyConnection) -> None:
    chosen = [number * _PER_FILE, (number + 1) * _PER_FILE]
    places, subjects, sizes, campaigns = zip(
        *connection.execute(_SQL["old"], chosen).fetchall(), strict=True
    )
    path = path_of(folder, number)
    if places[-1] - places[0] + 1 != len(places):
        raise broken(path, "has other places than state.duckdb lists")
    board, body = board_of(places[0], number, 0, names_of(subjects, sizes, map(tuple, campaigns)))
    cut(path, board.names_start)
    file = make_file(path)
    try:
        write_at(file, body, board.names_start)
        os.fsync(file)
    finally:
        os.close(file)
    connection.execute(_SQL["add"], board.row)
