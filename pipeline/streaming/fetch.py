"""What aiokafka has fetched, as whole record batches of its C records.

aiokafka gives one record at a time through two iterators and copies each into a dataclass: twice
the cost of reading it. Here a record is what the C parser made: `offset`, `timestamp`,
`timestamp_type`, `key`, `value`, `headers`. Touches private names of aiokafka 0.14.0:
`pipeline.streaming.guard` checks them. Like the original with `read_uncommitted`, Faust's
default: nobody here writes transactions.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from typing import Any

from aiokafka.consumer.fetcher import FetchError, FetchResult
from aiokafka.errors import CorruptRecordException

Fetched = dict[Any, list[Any]]
"""TopicPartition → records in offset order."""


Times = dict[Any, int]
"""TopicPartition → Kafka's time of the last record taken, ms."""


async def fetched_records(
    fetcher: Any, partitions: Collection[Any], timeout_s: float, max_records: int, times: Times
) -> Fetched:
    """As `Fetcher.fetched_records`, but a record batch is never split.

    Partitions that are behind in time come first: of a backlog, a message's submit is then
    mostly read before its receipt. Only a preference; nothing waits for anything.

    Args:
        fetcher: aiokafka's.
        partitions: Those wanted now; empty for all.
        timeout_s: How long to wait when nothing is there.
        max_records: Stop after the record batch that reaches it.
        times: Is changed.

    Raises:
        KafkaError: What the broker answered for a partition.
    """
    if fetcher._subscriptions.reassignment_in_progress:  # noqa: SLF001 - see module, here and below
        await fetcher._subscriptions.wait_for_assignment()  # noqa: SLF001
    drained = _drain(fetcher, partitions, max_records, times)
    if drained or not timeout_s:
        return drained
    waiter = fetcher._create_fetch_waiter()  # noqa: SLF001
    done, _ = await asyncio.wait([waiter], timeout=timeout_s)
    if not done:
        waiter.cancel()
    if not done or fetcher._closed:  # noqa: SLF001
        return {}
    waiter.result()  # raises when we are not authorized
    return _drain(fetcher, partitions, max_records, times)


def _drain(fetcher: Any, partitions: Collection[Any], max_records: int, times: Times) -> Fetched:
    drained: Fetched = {}
    waiting = fetcher._records  # noqa: SLF001
    for tp in sorted(waiting, key=lambda tp: times.get(tp, 0)):
        if partitions and tp not in partitions:
            if not fetcher._subscriptions.is_assigned(tp):  # noqa: SLF001
                del waiting[tp]
            continue
        result = waiting[tp]
        if isinstance(result, FetchError) and drained:
            break  # it is raised by the next call
        records = _take(result, max_records) if isinstance(result, FetchResult) else []
        if isinstance(result, FetchError) or not result.has_more():
            del waiting[tp]
            fetcher._notify(fetcher._wait_consume_future)  # noqa: SLF001 - fetch this partition again
        if isinstance(result, FetchError):
            result.check_raise()
        if records:
            drained[tp] = records
            times[tp] = records[-1].timestamp
            max_records -= len(records)
        if max_records <= 0:
            break
    return drained


def _take(result: Any, max_records: int) -> list[Any]:
    """Whole record batches until `max_records` are there."""
    if not result.check_assignment(result._topic_partition) or not result.has_more():  # noqa: SLF001
        return []
    taken: list[Any] = []
    source = result._partition_records  # noqa: SLF001
    batches = source._records  # noqa: SLF001
    while batches.has_next() and len(taken) < max_records:
        batch = batches.next_batch()
        if source._check_crcs and not batch.validate_crc():  # noqa: SLF001
            raise CorruptRecordException(f"Invalid CRC - {result._topic_partition}")  # noqa: SLF001
        if not batch.is_control_batch:
            taken += _from(list(batch), source.next_fetch_offset)
        source.next_fetch_offset = batch.next_offset
    result._update_position()  # noqa: SLF001
    if not batches.has_next():
        result._partition_records = None  # noqa: SLF001
    return taken


def _from(records: list[Any], offset: int) -> list[Any]:
    """A batch is fetched whole even when its beginning was read before."""
    if not records or records[0].offset >= offset:
        return records
    return [record for record in records if record.offset >= offset]
