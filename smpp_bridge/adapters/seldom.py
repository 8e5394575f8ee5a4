"""Warnings that strangers or a flood could cause by the thousand: one a minute for each kind."""

from __future__ import annotations

import logging
import time
from collections import Counter
from types import TracebackType
from typing import Final

EVERY_S: Final = 60.0


class SeldomLog:
    """Logs the first of each kind at once, then at most one in `EVERY_S`, with their number.

    Kinds are words of ours, hence few.
    """

    def __init__(self, log: logging.Logger) -> None:
        self._log = log
        self._due_at: dict[str, float] = {}
        self._count: Counter[str] = Counter()

    def warning(self, kind: str, **fields: object) -> None:
        """Say it, or count it for the next time."""
        self._count[kind] += 1
        now = time.monotonic()
        if now >= self._due_at.get(kind, 0.0):
            self._due_at[kind] = now + EVERY_S
            number = self._count.pop(kind)
            self._log.warning(kind, extra={"fields": {**fields, "times": number}})


_unexpected: Final = SeldomLog(logging.getLogger(__name__))


def tell_unexpected(error: Exception) -> None:
    """Log an exception that nobody foresaw: its type and place. Its words may hold a number."""
    last: TracebackType | None = error.__traceback__
    while last is not None and last.tb_next is not None:
        last = last.tb_next
    place = "" if last is None else f"{last.tb_frame.f_code.co_name}:{last.tb_lineno}"
    _unexpected.warning(f"unexpected {type(error).__name__}", at=place)
