"""An engine on a real database, without Kafka: most of its people are on the shelf."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import duckdb

from pipeline.flush import Flush
from pipeline.join.cohorts import VECTOR
from pipeline.join.deltas import Deltas
from pipeline.join.engine import JoinEngine
from pipeline.storage.restore import restore
from pipeline.storage.shelf import FOLDER
from pipeline.storage.state import State, open_state
from schemas.events import CampaignDefined, SubjectEvent
from tests.support.flushes import batches_of

KEY = ("campaign_id", "variant_id", "cohort_start_ms", "cohort_width_ms", "dimension", "value")
Totals = dict[tuple[object, ...], list[int]]


class Worker:
    """Engine and database, restored from a folder; use with `closing`."""

    def __init__(self, folder: Path, at_hand: int) -> None:
        self.state = open_state(folder)
        self.engine = JoinEngine(at_hand=at_hand)
        self.people = restore(self.state, self.engine)

    def close(self) -> None:
        """Leave everything as a SIGKILL after the last flush would."""
        self.state.close()

    def feed(self, events: Sequence[SubjectEvent]) -> Deltas:
        """One flush."""
        postponed = self.engine.apply(events)
        self.recall(postponed.shelved)
        self.engine.apply_postponed(postponed)
        return self.store(events)

    def define(self, definition: CampaignDefined) -> None:
        """One flush: the definition is in force for everybody, on the shelf too."""
        before = self.engine.define(definition)
        for found in self.state.shelf.assigned_to(definition.campaign_id):
            self.engine.revise(before, found)
        self.store()

    def recall(self, places: dict[str, int]) -> None:
        """Fetch people from the shelf."""
        for subject, facts in zip(places, self.state.shelf.read(places.values()), strict=True):
            self.engine.fetch(subject, facts)

    def leave(self, places: Iterable[int]) -> None:
        """One flush: these places are empty; who was there goes to later ones."""
        wanted = set(places)
        self.recall({name: each for name, each in people(self.state).items() if each in wanted})
        self.store()

    def store(self, events: Sequence[SubjectEvent] = ()) -> Deltas:
        """Commit what there is; `events` were applied."""
        deltas = self.engine.take()
        self.state.commit(Flush(batches_of(events, self.state.offsets()), deltas), 0)
        return deltas


def people(state: State) -> dict[str, int]:
    """Who is on the shelf, and where: in order of places."""
    found: dict[str, int] = {}
    for subjects, places, _ in state.shelf.people():
        found |= zip(subjects, places, strict=True)
    return found


def files(folder: Path) -> list[str]:
    """Names of the files of the shelf."""
    return sorted(path.name for path in (folder / FOLDER).iterdir())


def cohorts(state: State) -> Totals:
    """What is stored, zeros left out."""
    columns = [duckdb.ColumnExpression(name) for name in (*KEY, *VECTOR)]
    rows = state.connection.table("cohorts").select(*columns).fetchall()
    return {row[:6]: [int(n) for n in row[6:]] for row in rows if any(row[6:])}


def expected(events: Iterable[SubjectEvent], *definitions: CampaignDefined) -> Totals:
    """The cohorts of an engine that has room for all."""
    engine = JoinEngine()
    for definition in definitions:
        engine.define(definition)
    engine.apply(events)
    return {key: list(v) for key, v in engine.take().cohorts.items() if any(v)}
