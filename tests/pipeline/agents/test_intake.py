"""Intake: nothing stale, nothing twice, nothing left out; groups by count and by time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.agents.intake import UNITED_RECORDS, accept, gather, unite
from pipeline.batch import Delivery, LostRecordsError, RecordBatch
from tests.support.worker import FakeRecord


def delivery(first: int, following: int, *, generation: int = 1, partition: int = 0) -> Delivery:
    """A delivery of records [first, following)."""
    records = [FakeRecord(offset, b"x") for offset in range(first, following)]
    batch = RecordBatch("t", partition, first, following, records, generation)
    return Delivery(batch, lambda: None)


async def source(deliveries: Sequence[Delivery], pause_s: float = 0.0) -> AsyncIterator[Delivery]:
    """Deliveries one after the other."""
    for each in deliveries:
        await asyncio.sleep(pause_s)
        yield each


async def accepted(
    deliveries: Sequence[Delivery], positions: dict[tuple[str, int], int]
) -> list[tuple[int, int, int]]:
    """(first, next, records) of what `accept` lets through in generation 1."""
    found = accept(source(deliveries), positions, lambda: 1)
    return [(d.batch.first_offset, d.batch.next_offset, len(d.batch.records)) async for d in found]


async def test_stale_generations_are_dropped() -> None:
    """A batch fetched before a rebalance does not count; it is read again."""
    stale = delivery(0, 5, generation=0)
    assert await accepted([stale, delivery(0, 5)], {}) == [(0, 5, 5)]


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(1, 20)), max_size=8))
async def test_every_offset_passes_once(ranges: list[tuple[int, int]]) -> None:
    """However often reading restarts further back, each offset passes exactly once, in order."""
    position, deliveries = 0, []
    for back, length in ranges:
        first = max(0, position - back)
        deliveries.append(delivery(first, first + length))
        position = max(position, first + length)
    passed = [
        record.offset
        async for each in accept(source(deliveries), {}, lambda: 1)
        for record in each.batch.records
    ]
    assert passed == list(range(position))


async def test_a_hole_between_batches_is_an_error() -> None:
    """Records that were fetched and then lost must not be skipped."""
    with pytest.raises(LostRecordsError):
        await accepted([delivery(0, 5), delivery(6, 9)], {})


async def test_the_stored_offset_is_where_it_starts() -> None:
    """After a restart, what is stored is cut off and what follows passes."""
    assert await accepted([delivery(3, 9)], {("t", 0): 7}) == [(7, 9, 2)]
    with pytest.raises(LostRecordsError):
        await accepted([delivery(8, 9)], {("t", 0): 7})


async def test_a_group_ends_at_the_record_count() -> None:
    """A group holds whole batches and ends once it has enough records."""
    parts = [delivery(n * 4, n * 4 + 4) for n in range(5)]
    groups = [
        g async for g in gather(source(parts), max_records=lambda: 8, max_wait_ms=lambda: 60_000)
    ]
    assert [len(group) for group in groups] == [2, 2, 1]


async def test_a_group_ends_in_time_although_nothing_follows() -> None:
    """Few records are committed after the wait, not when the next ones come."""
    endless = asyncio.Event()

    async def one_then_silence() -> AsyncIterator[Delivery]:
        yield delivery(0, 1)
        await endless.wait()

    started = time.monotonic()
    groups = gather(one_then_silence(), max_records=lambda: 1000, max_wait_ms=lambda: 30)
    assert len(await asyncio.wait_for(anext(groups), 5)) == 1
    assert time.monotonic() - started >= 0.03
    await groups.aclose()  # type: ignore[attr-defined]  # an async generator


async def test_a_group_stops_waiting_when_what_it_waited_for_has_come() -> None:
    """The last records of a backlog are not held back for others that will not come."""
    endless = asyncio.Event()

    async def two_then_silence() -> AsyncIterator[Delivery]:
        yield delivery(0, 1)
        yield delivery(1, 2)
        await endless.wait()

    waits = iter([60_000, 0])
    groups = gather(two_then_silence(), max_records=lambda: 1000, max_wait_ms=lambda: next(waits))
    assert len(await asyncio.wait_for(anext(groups), 5)) == 2
    await groups.aclose()  # type: ignore[attr-defined]  # an async generator


async def test_an_error_of_the_source_comes_through() -> None:
    """What breaks upstream breaks the chain; it is not taken for the end."""

    async def broken() -> AsyncIterator[Delivery]:
        yield delivery(0, 1)
        raise LostRecordsError("gone")

    with pytest.raises(LostRecordsError):
        _ = [g async for g in gather(broken(), max_records=lambda: 9, max_wait_ms=lambda: 9)]


async def united(*group: Delivery) -> list[Delivery]:
    """What `unite` makes of one group."""

    async def groups() -> AsyncIterator[list[Delivery]]:
        yield list(group)

    return [each async for found in unite(groups()) for each in found]


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2), st.integers(1, 1500)), max_size=12))
async def test_uniting_changes_no_record(parts: list[tuple[int, int, int]]) -> None:
    """The same records in the same order per partition, gaps as they were, every ack called."""
    acked: list[int] = []
    ends, group = [0, 0, 0], []
    for partition, gap, length in parts:
        first, following = ends[partition], ends[partition] + gap + length
        plain = delivery(first + gap, following, partition=partition)
        batch = replace(plain.batch, first_offset=first)
        group.append(Delivery(batch, partial(acked.append, len(group))))
        ends[partition] = following
    found = await united(*group)
    for partition in range(3):
        before, after = (
            [d.batch for d in some if d.batch.partition == partition] for some in (group, found)
        )
        assert [r for b in after for r in b.records] == [r for b in before for r in b.records]
        assert [b.missing for b in after if b.missing] == [b.missing for b in before if b.missing]
        assert [b.first_offset for b in after[1:]] == [b.next_offset for b in after[:-1]]
        assert ([b.first_offset for b in after[:1]], [b.next_offset for b in after[-1:]]) == (
            [b.first_offset for b in before[:1]],
            [b.next_offset for b in before[-1:]],
        )
    for each in found:
        each.ack()
    assert sorted(acked) == list(range(len(group)))


async def test_small_neighbours_become_one() -> None:
    """Of a partition and a generation, up to a bound; others stay by themselves."""
    small = [delivery(n, n + 1) for n in range(3)]
    other = delivery(0, 4, partition=1)
    later = delivery(3, 4, generation=2)
    large = delivery(4, 4 + UNITED_RECORDS, generation=2)
    found = await united(small[0], other, *small[1:], later, large)
    shown = [(d.batch.partition, d.batch.first_offset, d.batch.next_offset) for d in found]
    assert shown == [(0, 0, 3), (1, 0, 4), (0, 3, 4), (0, 4, 4 + UNITED_RECORDS)]
