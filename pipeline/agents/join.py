"""Join: events → what they change."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Sequence
from itertools import islice
from typing import Protocol

from pipeline.flush import DecodedBatch, Flush
from pipeline.join.absent import Postponed
from pipeline.join.engine import JoinEngine
from schemas.topics import CAMPAIGN_DEFINITION, JOINED_TOPICS

SWEEP_EVERY_MS = 10_000
_PORTION = 5_000
"""People who are fetched together, 0.1 s of work."""
People = Iterable[tuple[str, bytes]]
"""Subjects and their facts."""


class History(Protocol):
    """The people whom the engine has put aside; answers after every flush that was yielded."""

    async def people(self, subjects: Collection[str]) -> People:
        """Those of `subjects` that it has."""

    async def assigned_to(self, campaign_id: str) -> Sequence[tuple[str, bytes]]:
        """Everybody it has whom the campaign assigned."""

    async def shelved(self, places: Collection[int]) -> Sequence[bytes]:
        """The facts at those places of the shelf."""

    def shelved_of(self, campaign_id: str) -> AsyncIterator[list[tuple[str, int, bytes]]]:
        """(subject, place, facts) of everybody on the shelf whom the campaign assigned."""


class Nobody:
    """The history of an engine that is never swept and has room for all."""

    async def people(self, subjects: Collection[str]) -> People:  # noqa: ARG002 - see History
        """Nobody."""
        return ()

    async def assigned_to(self, campaign_id: str) -> Sequence[tuple[str, bytes]]:  # noqa: ARG002 - see History
        """Nobody."""
        return ()

    async def shelved(self, places: Collection[int]) -> Sequence[bytes]:  # noqa: ARG002 - see History
        """Nobody's."""
        return ()

    async def shelved_of(
        self,
        campaign_id: str,  # noqa: ARG002 - see History
    ) -> AsyncIterator[list[tuple[str, int, bytes]]]:
        """Nobody."""
        return
        yield


async def join(
    groups: AsyncIterator[list[DecodedBatch]],
    engine: JoinEngine,
    history: History | None = None,
    sweep_until: Callable[[], int | None] = lambda: None,
) -> AsyncIterator[Flush]:
    """Apply every event of a group to the engine.

    Reads: decoded groups; from `history` the people whom late events and new definitions concern.
        Late events are applied after the others of their group: one look-up for all of them.
    Yields: one `Flush` per group: its batches and exactly the change they make.
    State: the engine's, one exposure per campaign and subject. Every ten seconds people whose
        horizon has passed are put aside, as far as `sweep_until` (ms; `None`: not now).
    Side effects: none.
    Delivery: the engine is a function of the set of facts, so repeated events change nothing.
    """
    history = history or Nobody()
    swept_ms = 0
    async for group in groups:
        postponed = Postponed()
        for batch in sorted(group, key=_turn):
            await _define(batch, engine, history)
            postponed.add(engine.apply(batch.subject_events))
            await asyncio.sleep(0)  # see `decode`
        if postponed:
            await _catch_up(postponed, engine, history)
        until_ms = sweep_until()
        if until_ms is not None and until_ms - swept_ms >= SWEEP_EVERY_MS:
            await _sweep(until_ms, engine, history)
            swept_ms = until_ms
        yield Flush(group, engine.take())


_TURNS = {
    topic.name: turn for turn, topic in enumerate((CAMPAIGN_DEFINITION, *JOINED_TOPICS), start=-9)
}


def _turn(batch: DecodedBatch) -> int:
    """Causes before effects. Any order is right; in this one most people take the short way."""
    return _TURNS.get(batch.delivery.batch.topic, 0)


async def _catch_up(postponed: Postponed, engine: JoinEngine, history: History) -> None:
    if postponed.retired:
        await _load(engine, await history.people(postponed.retired))
    shelved = iter(postponed.shelved.items())
    while some := dict(islice(shelved, _PORTION)):
        facts = await history.shelved(some.values())
        await _load(engine, zip(some, facts, strict=True))
    engine.apply_postponed(postponed)


async def _define(batch: DecodedBatch, engine: JoinEngine, history: History) -> None:
    for definition in batch.definitions:
        if engine.changes(definition):
            aside = await history.assigned_to(definition.campaign_id)
            shelved = engine.find_shelved([subject for subject, _ in aside])
            await _load(engine, (each for each in aside if each[0] not in shelved))
            before = engine.define(definition)
            if engine.shelved_of(definition.campaign_id):
                async for portion in history.shelved_of(definition.campaign_id):
                    engine.revise(before, portion)


async def _sweep(until_ms: int, engine: JoinEngine, history: History) -> None:
    for found in engine.sweep(until_ms):
        engine.sweep_shelved(until_ms, found, await history.shelved(found.values()))
        await asyncio.sleep(0)


async def _load(engine: JoinEngine, people: People) -> None:
    for number, (subject, facts) in enumerate(people, start=1):
        if subject not in engine:
            engine.fetch(subject, facts)
        if number % _PORTION == 0:
            await asyncio.sleep(0)
