"""From `state.duckdb` back into the engine; keeps the log of states short."""

from __future__ import annotations

from itertools import islice
from typing import cast

from pipeline.join.engine import JoinEngine
from pipeline.join.log_length import USELESS_ABOVE
from pipeline.storage import history
from pipeline.storage.log_rows import events_of, news_of, news_rows
from pipeline.storage.state import State
from pipeline.storage.statements import named
from schemas.codec import decoder_for
from schemas.events import CampaignDefined, SubjectEvent
from schemas.topics import CAMPAIGN_DEFINITION

_ROW_FACTS = 100_000
"""Facts per row of a compacted log, some 20 MB in memory."""
_SQL = named("restore")


def restore(state: State, engine: JoinEngine) -> int:
    """Define what was in force and replay the log. Returns the number of people."""
    for definition in definitions(state):
        engine.define(definition)
    for people in state.shelf.people():
        engine.remember_shelved(*people)
    engine.give_places_from(state.shelf.end)
    replay(state, engine)
    for subjects in history.subjects(state):
        engine.remember_retired(subjects)
    compact(state, engine)
    return len(engine) + engine.shelved


def replay(state: State, engine: JoinEngine) -> None:
    """Give back what every round read and did, in order."""
    cursor = state.connection.execute(_SQL["log"])
    while row := cursor.fetchone():
        round_, topic, size, inline, *extent = row
        body = state.log.body(inline, extent)
        if topic is None:
            engine.replay(news_of(size, body), round_)
        else:
            events = cast("list[SubjectEvent]", events_of(topic, size, body))
            engine.replay((), round_, events)


def definitions(state: State) -> list[CampaignDefined]:
    """The definition in force of every campaign."""
    decoder = decoder_for(CAMPAIGN_DEFINITION.name)
    rows = state.connection.execute(_SQL["definitions"]).fetchall()
    found = [decoder.decode(event) for (event,) in rows]
    return [event for event in found if isinstance(event, CampaignDefined)]


def compact(state: State, engine: JoinEngine) -> bool:
    """Log anew what `engine`, just restored, holds, if that is much less. Returns whether."""
    ((logged,),) = state.connection.execute(_SQL["log_size"]).fetchall()
    if logged <= USELESS_ABOVE * engine.facts:
        return False
    news = engine.everything()
    with state.transaction():
        for name in ("log_empty", "events_empty", "events_left"):
            state.connection.execute(_SQL[name])
        while rows := list(islice(news, _ROW_FACTS)):
            state.put_log("state_log", news_rows(rows, engine.round - 1))
    state.log.tidy()
    engine.logged_anew()
    return True
