"""The join's history and shelf on the worker's database: one look-up at a time, beside flushes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Sequence

from pipeline.agents.join import People
from pipeline.storage import history
from pipeline.storage.state import State


class StoredHistory:
    """People who are not at hand. `database` is the lock of all who use the database."""

    def __init__(self, state: State, database: asyncio.Lock) -> None:
        self._state = state
        self._database = database
        self.portions = 0
        """Of long work: a definition that concerns millions takes minutes without a flush."""

    async def people(self, subjects: Collection[str]) -> People:
        """Those of `subjects` that were put aside."""
        async with self._database:
            return await asyncio.to_thread(history.people, self._state, subjects)

    async def assigned_to(self, campaign_id: str) -> Sequence[tuple[str, bytes]]:
        """Everybody put aside whom the campaign assigned."""
        async with self._database:
            return await asyncio.to_thread(history.assigned_to, self._state, campaign_id)

    async def shelved(self, places: Collection[int]) -> Sequence[bytes]:
        """The facts at those places of the shelf."""
        async with self._database:
            return await asyncio.to_thread(self._state.shelf.read, places)

    async def shelved_of(self, campaign_id: str) -> AsyncIterator[list[tuple[str, int, bytes]]]:
        """(subject, place, facts) of everybody on the shelf whom the campaign assigned."""
        portions = self._state.shelf.assigned_to(campaign_id)
        while True:
            async with self._database:
                portion = await asyncio.to_thread(next, portions, None)
            if portion is None:
                return
            yield portion
            self.portions += 1
            await asyncio.sleep(0)  # heartbeats and health in between
