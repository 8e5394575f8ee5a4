"""Commit: one transaction per flush, then the acknowledgement to Kafka."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable

from pipeline.flush import Flush


async def commit(
    flushes: AsyncIterator[Flush], store: Callable[[Flush], Awaitable[None]]
) -> AsyncIterator[Flush]:
    """Store every flush and acknowledge its batches.

    Reads: flushes.
    Yields: every flush after its transaction.
    State: none.
    Side effects: `store` writes aggregates, states and offsets in one transaction.
    Delivery: acknowledged only after the transaction; a failed transaction is never
        acknowledged and ends the process. Offsets in Kafka are advisory.
    """
    async for flush in flushes:
        await store(flush)
        for batch in flush.batches:
            batch.delivery.ack()
        yield flush
