"""Commit: one transaction per flush, then the acknowledgement to Kafka."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

from pipeline.flush import Flush


async def commit(
    flushes: AsyncIterator[Flush], store: Callable[[Flush], Awaitable[None]]
) -> AsyncIterator[Flush]:
    """Store every flush and acknowledge its batches; meanwhile the next one is joined.

    Reads: flushes, one ahead of the one that is being stored.
    Yields: every flush after its transaction, in order.
    State: the flush that waits for its turn. `store` is called before the next flush is asked
        for, so whoever shares its lock (the join's history) comes after it.
    Side effects: `store` writes aggregates, states and offsets in one transaction.
    Delivery: acknowledged only after the transaction; a failed transaction is never
        acknowledged and ends the process. Offsets in Kafka are advisory.
    """
    coming = asyncio.ensure_future(anext(flushes, None))
    try:
        while (flush := await coming) is not None:
            coming = asyncio.ensure_future(anext(flushes, None))
            await store(flush)
            for batch in flush.batches:
                batch.delivery.ack()
            yield flush
    finally:
        coming.cancel()
