"""Counts everything again from the Parquet files, in SQL, and holds it against the stream."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import duckdb

from pipeline.join.cohorts import VECTOR
from pipeline.storage.facts import FOLDER, columns_of, kind_of
from pipeline.storage.statements import named
from schemas.topics import JOINED_TOPICS, Topic

KEY = ("campaign_id", "variant_id", "cohort_start_ms", "cohort_width_ms")
_SQL = named("recount")
_CHECKS = named("reconcile")

CohortKey = tuple[str, str, int, int]
Cohorts = dict[CohortKey, tuple[int, ...]]
"""Whole cohorts; the numbers in the order of `VECTOR`."""


@dataclass(frozen=True, slots=True)
class CohortDifference:
    """One figure of one cohort that the two ways of counting disagree about."""

    cohort: CohortKey
    column: str
    streamed: int
    recounted: int


@dataclass(frozen=True, slots=True)
class Recount:
    """What the comparison of the published cohorts with the files gave."""

    events: int
    """Rows in the files, repeated events too."""
    cohorts: int
    waiting: int
    """Offsets in the snapshot that no file covers yet; the comparison means nothing then."""
    differences: Sequence[CohortDifference]
    since: str | None = None
    """UTC day before which facts were deleted; cohorts from before cannot be counted again."""
    left_out: int = 0
    """How many those are; they are not in `cohorts`."""

    @property
    def agrees(self) -> bool:
        """Whether everything is in files and every figure is the same."""
        return not self.waiting and not self.differences


def recount_cohorts(connection: duckdb.DuckDBPyConnection) -> Cohorts:
    """Whole cohorts from the views of the six kinds of events and `campaigns`."""
    connection.execute(_SQL["canonical"])
    return _cohorts(connection, _SQL["cohorts"])


def recount_folder(folder: Path) -> Recount:
    """Compare the published snapshot with the files it lists.

    Raises:
        duckdb.Error: If the snapshot or a file cannot be read.
    """
    with duckdb.connect() as connection:
        path = str(folder / "serve.duckdb").replace("'", "''")
        connection.execute(f"ATTACH '{path}' AS serve (READ_ONLY)")
        connection.execute(_CHECKS["campaigns"])
        events = 0
        for topic in JOINED_TOPICS:
            events += _view(connection, folder / FOLDER, topic)
        streamed = _cohorts(connection, _CHECKS["streamed"])
        recounted = recount_cohorts(connection)
        ((waiting,),) = connection.execute(_CHECKS["waiting"]).fetchall()
        ((since,),) = connection.execute(_CHECKS["since"]).fetchall()
    kept = assigned_since(streamed, since)
    found = differences(kept, assigned_since(recounted, since))
    left_out = len(streamed) - len(kept)
    return Recount(events, len(kept), int(waiting), found, since, left_out)


def assigned_since(cohorts: Cohorts, since: str | None) -> Cohorts:
    """The cohorts of a UTC day and later."""
    if since is None:
        return cohorts
    begin_ms = int(datetime.fromisoformat(since).replace(tzinfo=UTC).timestamp() * 1000)
    return {key: vector for key, vector in cohorts.items() if key[2] >= begin_ms}


def differences(streamed: Cohorts, recounted: Cohorts) -> list[CohortDifference]:
    """Every figure that is not the same; a missing cohort counts as zeros."""
    nothing = (0,) * len(VECTOR)
    return [
        CohortDifference(key, column, one, other)
        for key in sorted(streamed.keys() | recounted.keys())
        for column, one, other in zip(
            VECTOR, streamed.get(key, nothing), recounted.get(key, nothing), strict=True
        )
        if one != other
    ]


def _view(connection: duckdb.DuckDBPyConnection, root: Path, topic: Topic) -> int:
    """Make the view of a kind from its listed files; returns their rows.

    Files that were written before a field was added have NULL there.
    """
    kind = kind_of(topic)
    listed = connection.execute(_CHECKS["files"], [topic.name]).fetchall()
    body = ", ".join(f"{name} {sql}" for name, sql in columns_of(topic.event).items())
    connection.execute(f"CREATE TABLE no_{kind} ({body})")
    query = f"FROM no_{kind}"
    if listed:
        files = [str(root / file) for file, _ in listed]
        connection.read_parquet(files, hive_partitioning=False, union_by_name=True).create_view(
            f"listed_{kind}"
        )
        query += f" UNION ALL BY NAME FROM listed_{kind}"
    connection.execute(f"CREATE VIEW {kind} AS {query}")
    return sum(events for _, events in listed)


def _cohorts(connection: duckdb.DuckDBPyConnection, query: str) -> Cohorts:
    names = ", ".join((*KEY, *VECTOR))
    rows = connection.execute(f"SELECT {names} FROM ({query.rstrip(';')})").fetchall()  # noqa: S608 - names are ours
    return {tuple(row[:4]): tuple(int(n) for n in row[4:]) for row in rows if any(row[4:])}
