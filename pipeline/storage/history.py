"""People put aside: their facts wait here for a late event or a new definition."""

from __future__ import annotations

from collections.abc import Collection, Iterator

import pyarrow as pa

from pipeline.storage.state import State
from pipeline.storage.statements import named

_FETCH_ROWS = 50_000
_SQL = named("history")


def people(state: State, subjects: Collection[str]) -> list[tuple[str, bytes]]:
    """Facts of those of `subjects` that were put aside."""
    wanted = pa.table({"subject": pa.array(list(subjects), type=pa.string())})
    state.connection.register("wanted", wanted)
    try:
        return state.connection.execute(_SQL["people"]).fetchall()
    finally:
        state.connection.unregister("wanted")


def assigned_to(state: State, campaign_id: str) -> list[tuple[str, bytes]]:
    """Facts of everybody put aside whom the campaign assigned."""
    return state.connection.execute(_SQL["assigned_to"], [campaign_id]).fetchall()


def subjects(state: State) -> Iterator[list[str]]:
    """Everybody who was put aside and is not at hand again, in portions."""
    cursor = state.connection.execute(_SQL["subjects"])
    while rows := cursor.fetchmany(_FETCH_ROWS):
        yield [subject for (subject,) in rows]
