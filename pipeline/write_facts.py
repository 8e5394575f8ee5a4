"""Writes row-level facts about once a minute, beside the transactions, and once at the end."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path

from pipeline.storage.facts import Portion, list_files, next_portion, write_facts
from pipeline.storage.state import State

MANY_EVENTS = 250_000
"""If so many wait they are written even while more is read: some 20 MB of the folder `log`."""
LAST_EVENTS = 100_000
"""Written at the end, about half a second of work; more waits for the next process."""
_log = logging.getLogger(__name__)


class FactsWriter:
    """Turns what flushes have put aside into files.

    Args:
        state: Where it is put aside.
        folder: The worker's.
        database: The lock of all who use `state`.
        now_ms: Wall clock.
        partition: Of which `state` holds the events; `None`: of all.
        turn: The lock of all who write files: a portion takes some 130 MB.
        listed: Called after files were listed.
        is_behind: Whether much is unread: results come first, and files only when many events
            wait.
    """

    def __init__(
        self,
        state: State,
        folder: Path,
        database: asyncio.Lock,
        now_ms: Callable[[], int],
        *,
        partition: int | None = None,
        turn: asyncio.Lock | None = None,
        listed: Callable[[], Awaitable[None]] | None = None,
        is_behind: Callable[[], bool] = lambda: False,
    ) -> None:
        self._state = state
        self._folder = folder
        self._database = database
        self._now_ms = now_ms
        self._partition = partition
        self._turn = turn or asyncio.Lock()
        self._listed = listed
        self._is_behind = is_behind

    async def run(
        self, interval_s: float, stop: asyncio.Event, *, first_s: float | None = None
    ) -> None:
        """Write every `interval_s` until `stop` is set. Do not cancel it: a thread may be writing.

        Args:
            interval_s: From one portion to the next.
            stop: Ends it.
            first_s: When to begin; `None`: after `interval_s`.

        Raises:
            duckdb.Error, OSError: If the disk is full or gone; nothing is lost.
        """
        wait_s = interval_s if first_s is None else first_s
        while not stop.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), wait_s)
            wait_s = interval_s
            while not stop.is_set() and await self.write():
                pass

    async def finish(self) -> None:
        """Write the rest, if it is little."""
        async with self._database:
            portion = await asyncio.to_thread(next_portion, self._state)
        if portion is not None and portion.events <= LAST_EVENTS:
            await self._write(at_least=1)

    async def write(self) -> bool:
        """Write one portion, if enough waits. Returns whether it did."""
        return await self._write(MANY_EVENTS if self._is_behind() else 1)

    async def _write(self, at_least: int) -> bool:
        async with self._turn:
            async with self._database:
                portion = await asyncio.to_thread(next_portion, self._state)
                if portion is None or portion.waiting < at_least:
                    return False
                cursor = self._state.connection.cursor()
            with contextlib.closing(cursor):
                files = await asyncio.to_thread(
                    write_facts,
                    cursor,
                    self._state.log,
                    self._folder,
                    portion,
                    self._now_ms(),
                    self._partition,
                )
            async with self._database:
                await asyncio.to_thread(list_files, self._state, portion, files)
        if self._listed is not None:
            await self._listed()
        self._tell(portion, len(files))
        return True

    def _tell(self, portion: Portion, files: int) -> None:
        _log.info("facts written", extra={"fields": {"events": portion.events, "files": files}})
