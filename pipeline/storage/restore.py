"""From `state.duckdb` back into the engine; keeps the log of states short."""

from __future__ import annotations

from pipeline.join.engine import JoinEngine
from pipeline.storage import history
from pipeline.storage.state import State
from pipeline.storage.statements import named
from schemas.codec import decoder_for
from schemas.events import CampaignDefined
from schemas.topics import CAMPAIGN_DEFINITION

COMPACT_ABOVE = 3
"""Compact when the log holds more than this many states per person."""
_FETCH_ROWS = 50_000
_SQL = named("restore")


def restore(state: State, engine: JoinEngine) -> int:
    """Define what was in force and load every person's facts. Returns the number of people."""
    compact(state)
    for definition in definitions(state):
        engine.define(definition)
    people = 0
    cursor = state.connection.execute(_SQL["states"])
    while rows := cursor.fetchmany(_FETCH_ROWS):
        people += len(rows)
        for subject, facts in rows:
            engine.load(subject, facts)
    engine.remember_retired(history.subjects(state))
    return people


def definitions(state: State) -> list[CampaignDefined]:
    """The definition in force of every campaign."""
    decoder = decoder_for(CAMPAIGN_DEFINITION.name)
    rows = state.connection.execute(_SQL["definitions"]).fetchall()
    found = [decoder.decode(event) for (event,) in rows]
    return [event for event in found if isinstance(event, CampaignDefined)]


def compact(state: State) -> bool:
    """Keep only the newest state of every person, if the log has grown. Returns whether."""
    ((rows, people),) = state.connection.execute(_SQL["log_size"]).fetchall()
    if rows <= COMPACT_ABOVE * people:
        return False
    with state.transaction():
        for name in ("compact", "compact_drop", "compact_rename"):
            state.connection.execute(_SQL[name])
    return True
