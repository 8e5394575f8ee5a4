"""Intake: which deliveries count, and how many make one transaction."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import replace

from pipeline.batch import Delivery


async def accept(
    deliveries: AsyncIterator[Delivery],
    positions: dict[tuple[str, int], int],
    generation: Callable[[], int],
) -> AsyncIterator[Delivery]:
    """Let through what belongs to us and was not read before.

    Reads: deliveries of the transport; after a rebalance some are stale or repeat.
    Yields: deliveries whose batches fit together without a hole or an overlap.
    State: `positions`, (topic, partition) → next offset; moved on with every yield.
    Side effects: none.
    Delivery: a dropped batch is read again, because its offsets were not committed.

    Raises:
        LostRecordsError: If a batch starts after the position.
    """
    async for delivery in deliveries:
        batch = delivery.batch
        if batch.generation != generation():
            continue
        key = (batch.topic, batch.partition)
        wanted = batch.starting_at(positions.get(key, batch.first_offset))
        if wanted is None:
            continue
        positions[key] = wanted.next_offset
        yield replace(delivery, batch=wanted)


async def gather(
    deliveries: AsyncIterator[Delivery], *, max_records: int, max_wait_ms: int
) -> AsyncIterator[list[Delivery]]:
    """Group deliveries into transactions.

    Reads: accepted deliveries.
    Yields: non-empty groups, at `max_records` records or `max_wait_ms` after the first.
    State: the group being filled.
    Side effects: none.
    Delivery: the rest is yielded when the source ends; a group is never split or reordered.
    """
    group: list[Delivery] = []
    records, deadline = 0, 0.0
    coming: asyncio.Future[Delivery] | None = None
    try:
        while True:
            coming = coming or asyncio.ensure_future(anext(deliveries))
            timeout = max(0.0, deadline - time.monotonic()) if group else None
            await asyncio.wait((coming,), timeout=timeout)
            if coming.done():
                delivery = coming.result()
                coming = None
                if not group:
                    deadline = time.monotonic() + max_wait_ms / 1000
                group.append(delivery)
                records += len(delivery.batch.records)
            if records >= max_records or time.monotonic() >= deadline:
                yield group
                group, records = [], 0
    except StopAsyncIteration:
        if group:
            yield group
    finally:
        if coming is not None:
            coming.cancel()
