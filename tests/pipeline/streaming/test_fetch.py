"""Whole record batches give what aiokafka gives one by one."""

from __future__ import annotations

import asyncio
import inspect
import re
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.consumer.fetcher import FetchError, FetchResult, PartitionRecords
from aiokafka.errors import CorruptRecordException, UnknownTopicOrPartitionError
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.memory_records import MemoryRecords
from hypothesis import given
from hypothesis import strategies as st

from pipeline.streaming import fetch, guard
from pipeline.streaming.fetch import fetched_records

ONE, TWO = TopicPartition("t", 0), TopicPartition("t", 1)


def packed(sizes: list[int], base: int = 0, compression: int = 0) -> bytes:
    """Record batches of these sizes, as a broker sends them."""
    data = b""
    for size in sizes:
        builder = DefaultRecordBatchBuilder(2, compression, False, -1, -1, -1, 1 << 20)  # noqa: FBT003
        for place in range(size):
            builder.append(place, 1000 + base + place, b"k", b"v%d" % (base + place), [])
        batch = bytearray(builder.build())
        batch[0:8] = base.to_bytes(8, "big")  # the base offset is not under the CRC
        data += bytes(batch)
        base += size
    return data


def result(tp: TopicPartition, data: bytes, offset: int = 0) -> tuple[FetchResult, Any]:
    """A fetch result and the position it moves."""
    position = SimpleNamespace(paused=False, position=offset)
    position.consumed_to = lambda to: setattr(position, "position", to)
    assignment = SimpleNamespace(active=True, state_value=lambda _: position)
    records = PartitionRecords(tp, MemoryRecords(data), [], offset, None, None, True, 0)  # noqa: FBT003
    return FetchResult(tp, assignment=assignment, partition_records=records, backoff=0), position


class Fetcher:
    """The part of aiokafka's fetcher that is used."""

    def __init__(self, records: dict[TopicPartition, Any]) -> None:
        self._records = records
        self._closed = False
        self._wait_consume_future = None
        self._subscriptions = SimpleNamespace(
            reassignment_in_progress=False, is_assigned=lambda tp: tp == ONE
        )
        self.asked_again = 0

    def _notify(self, _: Any) -> None:
        self.asked_again += 1

    def _create_fetch_waiter(self) -> asyncio.Future[None]:
        return asyncio.get_running_loop().create_future()


@given(st.lists(st.integers(1, 5), min_size=1, max_size=6), st.integers(0, 8), st.integers(1, 12))
def test_the_same_records_in_the_same_order(sizes: list[int], start: int, limit: int) -> None:
    """In portions of any size; what lies before the position is left out."""
    start = min(start, sum(sizes) - 1)
    stock, _ = result(ONE, packed(sizes), start)
    expected = [(r.offset, r.value, r.timestamp) for r in stock.getall()]
    ours, position = result(ONE, packed(sizes), start)
    fetcher, found = Fetcher({ONE: ours}), list[tuple[Any, ...]]()
    while fetcher._records:
        taken = asyncio.run(fetched_records(fetcher, {ONE}, 0, limit, {}))
        found += [(r.offset, r.value, r.timestamp) for r in taken.get(ONE, [])]
    assert found == expected
    assert position.position == sum(sizes)
    assert fetcher.asked_again == 1


@pytest.mark.parametrize("compression", range(1, 5), ids=["gzip", "snappy", "lz4", "zstd"])
def test_what_another_producer_has_compressed_is_read(compression: int) -> None:
    """A shop that sends its conversions itself may have any setting that Kafka allows."""
    data = packed([30, 30], compression=compression)
    assert len(data) < len(packed([30, 30]))
    fetched, _ = result(ONE, data)
    fetcher, found = Fetcher({ONE: fetched}), list[bytes]()
    while fetcher._records:
        taken = asyncio.run(fetched_records(fetcher, {ONE}, 0, 100, {}))
        found += [record.value for record in taken.get(ONE, [])]
    assert found == [b"v%d" % number for number in range(60)]


async def test_a_partition_that_left_is_dropped_and_one_that_pauses_waits() -> None:
    """Results of others stay where they are, unless they are no longer ours."""
    fetcher = Fetcher({ONE: result(ONE, packed([2]))[0], TWO: result(TWO, packed([2]))[0]})
    assert await fetched_records(fetcher, {TopicPartition("t", 9)}, 0, 10, {}) == {}
    assert list(fetcher._records) == [ONE]


async def test_who_is_behind_in_time_comes_first() -> None:
    """Of two partitions the one whose last record is older is taken next."""
    fetcher, times = Fetcher({}), {ONE: -1}
    for expected in (ONE, TWO, ONE):
        for tp in (ONE, TWO):
            fetcher._records.setdefault(tp, result(tp, packed([1]))[0])
        assert list(await fetched_records(fetcher, set(), 0, 1, times)) == [expected]
        times[expected] = 5 if expected == ONE else 7
    assert times == {ONE: 5, TWO: 7}


async def test_an_error_comes_after_the_records_before_it() -> None:
    """First what is good, then the broker's answer for the other partition."""
    error = FetchError(error=UnknownTopicOrPartitionError(), backoff=0)
    fetcher = Fetcher({ONE: result(ONE, packed([2]))[0], TWO: error})
    assert len((await fetched_records(fetcher, set(), 0, 10, {}))[ONE]) == 2
    with pytest.raises(UnknownTopicOrPartitionError):
        await fetched_records(fetcher, set(), 0, 10, {})
    assert await fetched_records(fetcher, set(), 0.001, 10, {}) == {}


async def test_a_broken_batch_is_not_read() -> None:
    """A wrong checksum is an error, never a record."""
    data = bytearray(packed([3]))
    data[-1] ^= 1
    fetcher = Fetcher({ONE: result(ONE, bytes(data))[0]})
    with pytest.raises(CorruptRecordException):
        await fetched_records(fetcher, {ONE}, 0, 10, {})


def test_every_private_name_in_use_is_guarded() -> None:
    """A private name of aiokafka that is touched is on the list of the guard."""
    used = set(re.findall(r"\w\.(_[a-z]\w+)", inspect.getsource(fetch)))
    guarded = (*guard.PRIVATE_NAMES, *guard.PRIVATE_FIELDS)
    assert used <= {name for _, _, names in guarded for name in names}
