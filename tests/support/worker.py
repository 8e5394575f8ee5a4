"""Parts that tests of the worker share."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FakeRecord:
    """A record as the worker looks at it."""

    offset: int
    value: bytes | None
