"""Which offsets of a partition are finished: only the contiguous front may be committed."""

from __future__ import annotations

from collections import deque


class Offsets:
    """Begun in order, finished in any order."""

    __slots__ = ("_begun", "_finished")

    def __init__(self) -> None:
        self._begun: deque[int] = deque()
        self._finished: set[int] = set()

    def __len__(self) -> int:
        return len(self._begun)

    def begin(self, offset: int) -> None:
        """A record was read; a step back (a rebalance) begins anew from there."""
        if self._begun and offset <= self._begun[-1]:
            self._begun.clear()  # else a finished tail would stand for an unfinished head
        self._begun.append(offset)

    def finish(self, offset: int) -> None:
        """Its consequences are durable."""
        self._finished.add(offset)

    def committable(self) -> int | None:
        """The next offset to read after a restart, if it has moved since the last call."""
        last: int | None = None
        while self._begun and self._begun[0] in self._finished:
            last = self._begun.popleft()
            self._finished.discard(last)
        return None if last is None else last + 1
