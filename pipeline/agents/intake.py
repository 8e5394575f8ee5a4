"""Intake: which deliveries count, how many make one transaction, and small ones as one."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace

from pipeline.batch import Delivery

UNITED_RECORDS = 3_000
"""As many as a fetch of a backlog gives; decoding and joining them takes some 15 ms."""


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
    deliveries: AsyncIterator[Delivery],
    *,
    max_records: Callable[[], int],
    max_wait_ms: Callable[[], int],
) -> AsyncIterator[list[Delivery]]:
    """Group deliveries into transactions.

    Reads: accepted deliveries.
    Yields: non-empty groups, at `max_records` records or `max_wait_ms` after the first; both are
        asked with every delivery, because what a group waits for may have come.
    State: the group being filled.
    Side effects: none.
    Delivery: the rest is yielded when the source ends; a group is never split or reordered.
    """
    group: list[Delivery] = []
    records, begun, deadline = 0, 0.0, 0.0
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
                    begun = time.monotonic()
                deadline = begun + max_wait_ms() / 1000
                group.append(delivery)
                records += len(delivery.batch.records)
            if records >= max_records() or time.monotonic() >= deadline:
                yield group
                group, records = [], 0
    except StopAsyncIteration:
        if group:
            yield group
    finally:
        if coming is not None:
            coming.cancel()


async def unite(groups: AsyncIterator[list[Delivery]]) -> AsyncIterator[list[Delivery]]:
    """Make one delivery of small neighbours: steady traffic comes in hundreds of a few records.

    Reads: groups.
    Yields: the same records per group; per partition in the same order.
    State: none.
    Side effects: none.
    Delivery: acknowledging the one acknowledges all. Where records are missing, or the group's
        generation changes, a delivery stays by itself, so gaps are told as they were found.
    """
    async for group in groups:
        yield _united(group)


def _united(group: Sequence[Delivery]) -> list[Delivery]:
    runs: list[list[Delivery]] = []
    last: dict[tuple[str, int], list[Delivery]] = {}
    for delivery in group:
        key = (delivery.batch.topic, delivery.batch.partition)
        run = last.get(key)
        if run is not None and _fits(run, delivery):
            run.append(delivery)
        else:
            last[key] = [delivery]
            runs.append(last[key])
    return [run[0] if len(run) == 1 else _one(run) for run in runs]


def _fits(run: Sequence[Delivery], delivery: Delivery) -> bool:
    before, batch = run[-1].batch, delivery.batch
    return (
        batch.first_offset == before.next_offset
        and batch.generation == before.generation
        and not batch.missing
        and not before.missing
        and batch.next_offset - run[0].batch.first_offset <= UNITED_RECORDS
    )


def _one(run: Sequence[Delivery]) -> Delivery:
    def ack() -> None:
        for each in run:
            each.ack()

    records = [record for each in run for record in each.batch.records]
    following = run[-1].batch.next_offset
    return Delivery(replace(run[0].batch, next_offset=following, records=records), ack)
