"""Requests of ours that wait for an answer: bounded, matched, never forgotten."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection
from typing import Any, Final

import msgspec

from smpp_bridge.protocol.constants import MAX_SEQUENCE

LATE_KEPT: Final = 4096
"""Expired requests remembered for a late answer: about 200 B each, under 1 MB a session."""


class InFlight(msgspec.Struct, frozen=True):
    """One unanswered request. `context` is the caller's own."""

    sequence_number: int
    context: Any
    sent_at: float


class Window:
    """At most `size` requests in flight."""

    def __init__(self, size: int) -> None:
        if size < 1:
            raise ValueError(f"size == {size}, must be at least 1.")
        self.size = size
        self._waiting: OrderedDict[int, InFlight] = OrderedDict()
        self._late: OrderedDict[int, InFlight] = OrderedDict()
        self._last = 0

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def free(self) -> int:
        """Slots that are free."""
        return self.size - len(self._waiting)

    def next_sequence(self, avoid: Collection[int] = ()) -> int:
        """The next number, 1…0x7FFFFFFF, skipping those still in flight (SMPP 3.4 §5.1.4).

        `avoid`: numbers of the link's own requests, which take no slot.
        """
        while True:
            self._last = 1 if self._last >= MAX_SEQUENCE else self._last + 1
            taken = self._last in self._waiting or self._last in self._late
            if not taken and self._last not in avoid:
                return self._last

    def add(self, sequence_number: int, context: Any, now: float) -> None:
        """Take a slot; the link's own requests (bind, enquire_link, unbind) do not come here."""
        self._waiting[sequence_number] = InFlight(sequence_number, context, now)

    def match(self, sequence_number: int) -> tuple[InFlight, bool] | None:
        """(request, is late) of an answer; `None` when nobody asked."""
        found = self._waiting.pop(sequence_number, None)
        if found is not None:
            return found, False
        late = self._late.pop(sequence_number, None)
        return None if late is None else (late, True)

    def expire(self, sent_before: float) -> list[InFlight]:
        """Give up on what was sent at or before that moment; a late answer is still matched."""
        expired: list[InFlight] = []
        while self._waiting:
            first = next(iter(self._waiting.values()))
            if first.sent_at > sent_before:
                break
            del self._waiting[first.sequence_number]
            self._late[first.sequence_number] = first
            expired.append(first)
        while len(self._late) > LATE_KEPT:
            self._late.popitem(last=False)
        return expired

    def drain(self) -> list[InFlight]:
        """All that is unanswered; the window is empty afterwards."""
        waiting = list(self._waiting.values())
        self._waiting.clear()
        self._late.clear()
        return waiting
