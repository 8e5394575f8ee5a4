"""Counting everything again from Kafka, without anybody seeing half of it.

The old database is put beside, never deleted. The new one starts with what Kafka cannot give
back (the history of verdicts) and with a goal: until every partition has been read that far,
nothing is evaluated or published, so the old `serve.duckdb` stays what readers see.
"""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
from collections.abc import Mapping
from pathlib import Path

import duckdb

from pipeline.storage.identity import compare
from pipeline.storage.shelf import put_beside
from pipeline.storage.state import FILE, LOCKED, State, open_state
from pipeline.storage.statements import named
from runtime.process import CannotRun
from schemas.topics import TOPICS

BESIDE = "before-rebuild"
FACTS = "facts"
_NEW = "rebuild"
_COMPACTED = frozenset(topic.name for topic in TOPICS if topic.cleanup == "compact")
_SQL = named("rebuild")
_log = logging.getLogger(__name__)

Offsets = Mapping[tuple[str, int], int]


def begin_rebuild(
    folder: Path,
    beginnings: Offsets,
    ends: Offsets,
    *,
    cluster_id: str,
    topic_ids: Mapping[str, str],
) -> None:
    """Put the database beside and leave an empty one that is to read from the beginning.

    Args:
        folder: The worker's folder.
        beginnings: (topic, partition) → oldest offset that Kafka still has.
        ends: (topic, partition) → next offset to be written: the goal.
        cluster_id: The cluster's id; "" is not compared.
        topic_ids: Topic → id, as far as the broker tells.

    Raises:
        CannotRun: If this is another Kafka, or it no longer has records that the old database
            has counted, or another worker has the folder. Everything is as it was then.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with contextlib.closing(open_state(_empty(folder / _NEW))) as fresh:
        if (folder / FILE).exists():
            _take_over(fresh, folder, beginnings)
            compare(fresh, folder, cluster_id=cluster_id, topic_ids=topic_ids)
        goal = [
            [topic, partition, end]
            for (topic, partition), end in ends.items()
            if end > beginnings.get((topic, partition), 0)
        ]
        if goal:
            fresh.connection.executemany("INSERT INTO goal VALUES (?, ?, ?)", goal)
    _swap(folder)


def goal_of(state: State) -> dict[tuple[str, int], int]:
    """(topic, partition) → offset before which a rebuild publishes nothing."""
    rows = state.connection.execute("FROM goal").fetchall()
    return {(topic, partition): offset for topic, partition, offset in rows}


def reach_goal(state: State) -> None:
    """The rebuild has read everything: publish from now on."""
    state.connection.execute("DELETE FROM goal")
    _log.info("rebuild complete")


def _take_over(fresh: State, folder: Path, beginnings: Offsets) -> None:
    """Check that Kafka has what was counted; copy what it cannot give back."""
    path = str(folder / FILE).replace("'", "''")
    try:
        fresh.connection.execute(f"ATTACH '{path}' AS old")  # not read-only: its log is replayed
    except duckdb.Error as error:
        if LOCKED in str(error):
            raise CannotRun(
                f"SMS_WORKER_DATA == {str(folder)!r}: a worker works in this folder. Stop it."
            ) from error
        _log.warning("the old state cannot be read", extra={"fields": {"error": str(error)}})
        return
    try:
        _check_complete(fresh, beginnings)
        for name in ("keep_verdicts", "keep_topics", "keep_progress"):
            fresh.connection.execute(_SQL[name])
    except duckdb.Error as error:
        _log.warning("the old state is not complete", extra={"fields": {"error": str(error)}})
    finally:
        fresh.connection.execute("DETACH old")


def _check_complete(fresh: State, beginnings: Offsets) -> None:
    """The old database may itself have begun later; from there on Kafka must have everything."""
    for topic, partition, began in fresh.connection.execute(_SQL["began"]).fetchall():
        beginning = beginnings.get((topic, partition), 0)
        if topic not in _COMPACTED and beginning > began:
            raise CannotRun(
                f"{topic}[{partition}] begins at {beginning}: Kafka no longer has records that "
                "are counted here, a rebuild would lose them. Keep this state; to start anew all "
                "the same, set SMS_WORKER_DATA to an empty folder."
            )


def _swap(folder: Path) -> None:
    """Replace the database in one step; the old one and its facts are beside before."""
    old, beside = folder / FILE, _empty(folder / BESIDE)
    for path in (old, old.with_name(f"{FILE}.wal")):
        if path.exists():
            os.link(path, beside / path.name)
    old.with_name(f"{FILE}.wal").unlink(missing_ok=True)
    if (folder / FACTS).exists():
        (folder / FACTS).rename(beside / FACTS)
    put_beside(folder, beside)
    (folder / _NEW / FILE).replace(old)
    (folder / _NEW).rmdir()
    _log.info("rebuild begins", extra={"fields": {"old state": str(beside)}})


def _empty(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    return folder
