"""Reading whole topics in tests."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Self, TypeVar

from aiokafka import AIOKafkaConsumer

from schemas.codec import decoder_for
from schemas.events import Event

E = TypeVar("E", bound=Event)


async def wait_until(condition: Callable[[], bool], timeout_s: float = 40.0) -> None:
    """Poll a condition; fails with it when it does not come true in time."""
    async with asyncio.timeout(timeout_s):
        while not condition():  # noqa: ASYNC110 - conditions of other processes have no event
            await asyncio.sleep(0.01)


class TopicReader:
    """Everything on one topic, from its beginning, growing in the background."""

    def __init__(self, bootstrap: str, topic: str) -> None:
        self._consumer = AIOKafkaConsumer(
            topic, bootstrap_servers=bootstrap, auto_offset_reset="earliest"
        )
        self._topic = topic
        self.values: list[bytes] = []

    async def __aenter__(self) -> Self:
        await self._consumer.start()
        self._task = asyncio.ensure_future(self._read())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        await self._consumer.stop()

    async def _read(self) -> None:
        async for record in self._consumer:
            self.values.append(record.value)

    def events(self, of: type[E]) -> list[E]:
        """Decoded values."""
        decoded = [decoder_for(self._topic).decode(value) for value in self.values]
        return [event for event in decoded if isinstance(event, of)]
