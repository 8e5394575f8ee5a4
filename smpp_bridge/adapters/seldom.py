"""Warnings that strangers or a flood could cause by the thousand: one a minute for each kind."""

from __future__ import annotations

import logging
import time
from collections import Counter
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
