"""Counting everything again from Kafka, without anybody seeing half of it.

The old database is put beside, never deleted. The new one starts with what Kafka cannot give
back (the history of verdicts) and with a goal: until every partition has been read that far,
nothing is evaluated or published, so the old `serve.duckdb` stays what readers see.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Mapping
from pathlib import Path

import duckdb

from pipeline.storage.identity import compare
from pipeline.storage.state import FILE, LOCKED, State, open_state
from pipeline.storage.statements import named
from pipeline.storage.swap import BESIDE, begin_swap, swap
from runtime.process import CannotRun
from schemas.topics import COHORT_DELTA, TOPICS

FACTS = "facts"
_NOT_COUNTED = frozenset({COHORT_DELTA.name, *(t.name for t in TOPICS if t.cleanup == "compact")})
"""Topics that need not reach back to the beginning."""
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
    with contextlib.closing(open_state(begin_swap(folder))) as fresh:
        if (folder / FILE).exists():
            take_over(fresh, folder, beginnings)
            compare(fresh, folder, cluster_id=cluster_id, topic_ids=topic_ids)
        set_goal(fresh, beginnings, ends)
    swap(folder)
    _log.info("rebuild begins", extra={"fields": {"old state": str(folder / BESIDE)}})


def set_goal(fresh: State, beginnings: Offsets, ends: Offsets) -> None:
    """Publish nothing before everything is read that there is now."""
    goal = [
        [topic, partition, end]
        for (topic, partition), end in ends.items()
        if end > beginnings.get((topic, partition), 0)
    ]
    if goal:
        fresh.connection.executemany("INSERT INTO goal VALUES (?, ?, ?)", goal)


def goal_of(state: State) -> dict[tuple[str, int], int]:
    """(topic, partition) → offset before which a rebuild publishes nothing."""
    rows = state.connection.execute("FROM goal").fetchall()
    return {(topic, partition): offset for topic, partition, offset in rows}


def reach_goal(state: State) -> None:
    """The rebuild has read everything: publish from now on."""
    state.connection.execute("DELETE FROM goal")
    _log.info("rebuild complete")


def take_over(fresh: State, folder: Path, beginnings: Offsets) -> None:
    """Check that Kafka has what was counted; copy what it cannot give back.

    Raises:
        CannotRun: If it has not, or a worker has the old database open.
    """
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
        for name in ("keep_verdicts", "keep_topics", "keep_progress", "keep_gaps"):
            fresh.connection.execute(_SQL[name])
    except duckdb.Error as error:
        _log.warning("the old state is not complete", extra={"fields": {"error": str(error)}})
    finally:
        fresh.connection.execute("DETACH old")


def _check_complete(fresh: State, beginnings: Offsets) -> None:
    """The old database may itself have begun later; from there on Kafka must have everything."""
    for topic, partition, began in fresh.connection.execute(_SQL["began"]).fetchall():
        beginning = beginnings.get((topic, partition), 0)
        if topic not in _NOT_COUNTED and beginning > began:
            raise CannotRun(
                f"{topic}[{partition}] begins at {beginning}: Kafka no longer has records that "
                "are counted here, a rebuild would lose them. Keep this state; to start anew all "
                "the same, set SMS_WORKER_DATA to an empty folder."
            )
