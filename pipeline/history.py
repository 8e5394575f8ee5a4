"""The join's history on the worker's database: one look-up at a time, beside the transactions."""

from __future__ import annotations

import asyncio
from collections.abc import Collection

from pipeline.agents.join import People
from pipeline.storage import history
from pipeline.storage.state import State


class StoredHistory:
    """People put aside, in `state.duckdb`. `database` is the lock of all who use it."""

    def __init__(self, state: State, database: asyncio.Lock) -> None:
        self._state = state
        self._database = database

    async def people(self, subjects: Collection[str]) -> People:
        """Those of `subjects` that were put aside."""
        async with self._database:
            return await asyncio.to_thread(history.people, self._state, subjects)

    async def assigned_to(self, campaign_id: str) -> People:
        """Everybody put aside whom the campaign assigned."""
        async with self._database:
            return await asyncio.to_thread(history.assigned_to, self._state, campaign_id)
