"""Reads the requests of this connection from Kafka; commits what has durable results."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from functools import partial
from typing import Any, Final

from aiokafka import AIOKafkaConsumer
from aiokafka.structs import TopicPartition

from runtime.kafka import KafkaPublisher
from schemas.codec import SchemaError, decoder_for
from schemas.events import MessageRequested
from schemas.topics import OUTBOUND_REQUESTED
from smpp_bridge.adapters.offsets import Offsets
from smpp_bridge.adapters.submitter import Submitter

FETCH_RECORDS: Final = 1000
MAX_BACKLOG: Final = 5000
"""Parts in memory that wait for a slot; a window of 64 empties it in seconds."""
_COMMIT_S: Final = 0.5
_SESSION_TIMEOUT_MS: Final = 6000

log = logging.getLogger(__name__)


class Requests:
    """The consumer of `sms.outbound.requested.v1`."""

    def __init__(
        self,
        *,
        bootstrap: str,
        connection: str,
        submitter: Submitter,
        publisher: KafkaPublisher,
        fail: Callable[[BaseException], None],
    ) -> None:
        self._connection = connection
        self._submitter = submitter
        self._publisher = publisher
        self._fail = fail
        self._decoder = decoder_for(OUTBOUND_REQUESTED.name)
        self._offsets: dict[TopicPartition, Offsets] = {}
        self._consumer = AIOKafkaConsumer(
            OUTBOUND_REQUESTED.name,
            bootstrap_servers=bootstrap,
            group_id=f"smslab-bridge-{connection}",
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            session_timeout_ms=_SESSION_TIMEOUT_MS,
            heartbeat_interval_ms=_SESSION_TIMEOUT_MS // 3,
        )

    async def run(self, stop: asyncio.Event) -> None:
        """Read until `stop`."""
        while not stop.is_set():
            while self._submitter.backlog > MAX_BACKLOG and not stop.is_set():
                self._submitter.room.clear()
                await self._submitter.room.wait()
            batches = await self._consumer.getmany(timeout_ms=100, max_records=FETCH_RECORDS)
            for partition, records in batches.items():
                offsets = self._offsets.setdefault(partition, Offsets())
                for record in records:
                    self._take(offsets, record)

    async def start(self) -> None:
        """Join the group."""
        await self._consumer.start()

    async def stop(self) -> None:
        """Commit and leave the group."""
        await self._commit()
        await self._consumer.stop()

    async def commit_regularly(self) -> None:
        """Until cancelled."""
        while True:
            await asyncio.sleep(_COMMIT_S)
            await self._commit()

    async def _commit(self) -> None:
        due = {
            partition: front
            for partition, offsets in self._offsets.items()
            if (front := offsets.committable()) is not None
        }
        if due:
            await self._consumer.commit(due)

    def _take(self, offsets: Offsets, record: Any) -> None:
        offsets.begin(record.offset)
        finish = partial(offsets.finish, record.offset)
        try:
            request = self._decoder.decode(record.value)
            assert isinstance(request, MessageRequested)
            if request.connection != self._connection:
                finish()
                return
            self._submitter.offer(request, finish)
        except (SchemaError, ValueError) as error:
            self._dead_letter(record, str(error), finish)

    def _dead_letter(self, record: Any, reason: str, finish: Callable[[], None]) -> None:
        log.warning("request cannot be sent", extra={"fields": {"offset": record.offset}})
        self._publisher.dead_letter(
            record.topic,
            record.value or b"",
            reason,
            lambda error: finish() if error is None else self._fail(error),
            partition=record.partition,
            offset=record.offset,
        )
