"""How long a bridge rests while another has its topics, before it gives up."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class Patience:
    """Calls `give_up` when what `begin` began has not ended within `length_s`."""

    def __init__(self, length_s: float, give_up: Callable[[], None]) -> None:
        self._length_s = length_s
        self._give_up = give_up
        self._ends_at: asyncio.TimerHandle | None = None

    def begin(self) -> None:
        """Wait from now; from the first of several calls since `end`."""
        if self._ends_at is None:
            self._ends_at = asyncio.get_running_loop().call_later(self._length_s, self._give_up)

    def end(self) -> None:
        """There is nothing to wait for any more."""
        if self._ends_at is not None:
            self._ends_at.cancel()
            self._ends_at = None
