"""Publishes records that could not be used on `<topic>.dlq`, original bytes and reason."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from pipeline.flush import RejectedRecord
from runtime.kafka import MAX_RECORD_BYTES, Done, KafkaPublisher


async def publish_dead_letters(
    publisher: KafkaPublisher, rejected: Sequence[RejectedRecord]
) -> None:
    """Return when Kafka has all of them.

    Raises:
        PublishError: If Kafka did not confirm one; nothing may be committed then.
    """
    futures = [_publish(publisher, record) for record in rejected]
    await asyncio.gather(*futures)


def _publish(publisher: KafkaPublisher, record: RejectedRecord) -> asyncio.Future[None]:
    future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    row = record.row
    publisher.dead_letter(
        row.topic,
        record.data[:MAX_RECORD_BYTES],  # the broker takes slightly more than a publisher sends
        row.reason,
        _settling(future),
        partition=row.partition,
        offset=row.record_offset,
    )
    return future


def _settling(future: asyncio.Future[None]) -> Done:
    def done(error: BaseException | None) -> None:
        if future.done():
            return
        if error is None:
            future.set_result(None)
        else:
            future.set_exception(error)

    return done
