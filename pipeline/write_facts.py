"""Writes row-level facts about once a minute, beside the transactions, and once at the end."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from pathlib import Path

from pipeline.storage.facts import Portion, list_files, next_portion, write_facts
from pipeline.storage.state import State

LAST_EVENTS = 100_000
"""Written at the end, about half a second of work; more waits for the next process."""
_log = logging.getLogger(__name__)


class FactsWriter:
    """Turns what flushes have put aside into files. `database` is the lock of all who use it."""

    def __init__(
        self, state: State, folder: Path, database: asyncio.Lock, now_ms: Callable[[], int]
    ) -> None:
        self._state = state
        self._folder = folder
        self._database = database
        self._now_ms = now_ms

    async def run(self, interval_s: float, stop: asyncio.Event) -> None:
        """Write every `interval_s` until `stop` is set. Do not cancel it: a thread may be writing.

        Raises:
            duckdb.Error, OSError: If the disk is full or gone; nothing is lost.
        """
        while not stop.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), interval_s)
            while not stop.is_set() and await self.write():
                pass

    async def finish(self) -> None:
        """Write the rest, if it is little."""
        async with self._database:
            portion = await asyncio.to_thread(next_portion, self._state)
        if portion is not None and portion.events <= LAST_EVENTS:
            await self.write()

    async def write(self) -> bool:
        """Write one portion. Returns whether there was one."""
        async with self._database:
            portion = await asyncio.to_thread(next_portion, self._state)
            if portion is None:
                return False
            cursor = self._state.connection.cursor()
        with contextlib.closing(cursor):
            files = await asyncio.to_thread(
                write_facts, cursor, self._folder, portion, self._now_ms()
            )
        async with self._database:
            await asyncio.to_thread(list_files, self._state, portion, files)
        self._tell(portion, len(files))
        return True

    def _tell(self, portion: Portion, files: int) -> None:
        _log.info("facts written", extra={"fields": {"events": portion.events, "files": files}})
