"""Campaign definitions for everybody: read whole by each member, outside the consumer group."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Self

from aiokafka import AIOKafkaConsumer, TopicPartition

from pipeline.batch import Delivery, RecordBatch
from schemas.topics import CAMPAIGN_DEFINITION

_PLACE = TopicPartition(CAMPAIGN_DEFINITION.name, 0)
_POLL_MS = 200


class DefinitionReader:
    """Reads the definitions' topic from its beginning; use as an async context manager."""

    def __init__(self, bootstrap: str) -> None:
        self._bootstrap = bootstrap
        self._next_offset = 0
        self._batches: list[RecordBatch] = []

    async def __aenter__(self) -> Self:
        self._consumer = AIOKafkaConsumer(
            bootstrap_servers=self._bootstrap, enable_auto_commit=False
        )
        await self._consumer.start()
        self._consumer.assign([_PLACE])
        await self._consumer.seek_to_beginning(_PLACE)
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._consumer.stop()

    @property
    def everything(self) -> list[Delivery]:
        """All that was read so far, for a partition that opens now."""
        return [_delivery(batch) for batch in self._batches]

    async def follow(self, tell: Callable[[Delivery], None]) -> None:
        """Read on for ever; `tell` gets what is new after it is in `everything`."""
        while True:
            fetched = await self._consumer.getmany(_PLACE, timeout_ms=_POLL_MS)
            records = fetched.get(_PLACE)
            if records:
                following = records[-1].offset + 1
                batch = RecordBatch(_PLACE.topic, 0, self._next_offset, following, records)
                self._next_offset = following
                self._batches.append(batch)
                tell(_delivery(batch))


def _delivery(batch: RecordBatch) -> Delivery:
    """Nobody waits for an acknowledgement: each partition stores where it is."""
    return Delivery(batch, lambda: None)
