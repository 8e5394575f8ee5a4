"""How long a bridge rests while another has a part of its topics, before it gives up."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class Patience:
    """Calls `give_up` when what `begin` began has not ended in time."""

    def __init__(self, give_up: Callable[[], None]) -> None:
        self._give_up = give_up
        self._began_at = 0.0
        self._ends_at: asyncio.TimerHandle | None = None

    def begin(self, length_s: float) -> None:
        """Wait that long from the first of the calls since `end`; the last one says how long."""
        loop = asyncio.get_running_loop()
        if self._ends_at is None:
            self._began_at = loop.time()
        else:
            self._ends_at.cancel()
        self._ends_at = loop.call_at(self._began_at + length_s, self._give_up)

    def end(self) -> None:
        """There is nothing to wait for any more."""
        if self._ends_at is not None:
            self._ends_at.cancel()
            self._ends_at = None
