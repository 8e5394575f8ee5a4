"""Publishing with an eye on Kafka: how old the oldest unconfirmed record is."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from itertools import count
from typing import Final, Protocol

from runtime.kafka import Done, KafkaPublisher
from schemas.events import Event

MAX_UNCONFIRMED: Final = 20_000
"""Records; more are waiting than a healthy broker leaves in half a second."""


class EventPublisher(Protocol):
    """What publishes; `done` is called once, with `None` when Kafka has it."""

    def put_event(self, event: Event, done: Done) -> None:
        """Queue an event."""

    def dead_letter(
        self, topic: str, data: bytes, reason: str, done: Done, **origin: str | int
    ) -> None:
        """Queue the original bytes for the dead letters."""


class Recorder:
    """A publisher that knows whether Kafka answers."""

    def __init__(self, publisher: KafkaPublisher, patience_s: float) -> None:
        self._publisher = publisher
        self._patience_s = patience_s
        self._loop = asyncio.get_running_loop()
        self._numbers = count()
        self._waiting: dict[int, float] = {}

    @property
    def is_away(self) -> bool:
        """Whether Kafka owes an answer for too long, or too many."""
        if len(self._waiting) > MAX_UNCONFIRMED:
            return True
        oldest = next(iter(self._waiting.values()), None)
        return oldest is not None and self._loop.time() - oldest > self._patience_s

    def put_event(self, event: Event, done: Done) -> None:
        """Queue an event."""
        self._watch(done, lambda watched: self._publisher.put_event(event, watched))

    def dead_letter(
        self, topic: str, data: bytes, reason: str, done: Done, **origin: str | int
    ) -> None:
        """Queue the original bytes for the dead letters."""
        self._watch(
            done,
            lambda watched: self._publisher.dead_letter(topic, data, reason, watched, **origin),
        )

    def _watch(self, done: Done, put: Callable[[Done], None]) -> None:
        number = next(self._numbers)
        self._waiting[number] = self._loop.time()

        def confirmed(error: BaseException | None) -> None:
            del self._waiting[number]
            done(error)

        try:
            put(confirmed)
        except BaseException:  # it was never queued
            del self._waiting[number]
            raise
