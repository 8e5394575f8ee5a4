"""Join: events → what they change."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from pipeline.flush import DecodedBatch, Flush
from pipeline.join.engine import JoinEngine


async def join(
    groups: AsyncIterator[list[DecodedBatch]], engine: JoinEngine
) -> AsyncIterator[Flush]:
    """Apply every event of a group to the engine.

    Reads: decoded groups.
    Yields: one `Flush` per group: its batches and exactly the change they make.
    State: the engine's, one exposure per campaign and subject.
    Side effects: none.
    Delivery: the engine is a function of the set of facts, so repeated events change nothing.
    """
    async for group in groups:
        for batch in group:
            for definition in batch.definitions:
                engine.define(definition)
            engine.apply(batch.subject_events)
            await asyncio.sleep(0)  # see `decode`
        yield Flush(group, engine.take())
