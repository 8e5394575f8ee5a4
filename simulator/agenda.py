"""What will happen: timed acts and web requests under way, and whether all is quiet."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Final

QUIET_S: Final = 3.0
"""Quiet means that nothing has happened for so long and nothing is due."""


class Agenda:
    """Counts what is due. `is_late` acts change no total, so nobody waits for them."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_closed = False
        self._stirred_at = self._loop.time()
        self.due = 0
        self.late = 0

    def stir(self) -> None:
        """Something happened."""
        self._stirred_at = self._loop.time()

    @property
    def is_quiet(self) -> bool:
        """Whether nothing is due and nothing has happened lately."""
        return not self.due and self._loop.time() - self._stirred_at >= QUIET_S

    def later(self, delay_s: float, act: Callable[[], None], *, is_late: bool = False) -> None:
        """Do `act` after a delay."""
        self._add(1, is_late=is_late)
        self._loop.call_later(delay_s, self._act, act, is_late)

    def go(self, coroutine: Coroutine[Any, Any, None], *, is_late: bool = False) -> None:
        """Run a coroutine now, beside everything else."""
        self._add(1, is_late=is_late)
        task = self._loop.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(lambda done: self._ended(done, is_late=is_late))

    async def close(self) -> None:
        """Give up what is due; nothing happens any more."""
        self._is_closed = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _act(self, act: Callable[[], None], is_late: bool) -> None:  # noqa: FBT001 - from call_later
        if not self._is_closed:
            self._add(-1, is_late=is_late)
            act()

    def _ended(self, task: asyncio.Task[None], *, is_late: bool) -> None:
        self._tasks.discard(task)
        self._add(-1, is_late=is_late)

    def _add(self, number: int, *, is_late: bool) -> None:
        if is_late:
            self.late += number
        else:
            self.due += number
            self.stir()
