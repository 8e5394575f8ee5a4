"""The drain loop and the offset arithmetic of the batch consumer, on a consumer without Kafka."""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest
from faust.types import TP
from hypothesis import given
from hypothesis import strategies as st

from pipeline.batch import RecordBatch
from pipeline.streaming.schema import BatchSchema
from pipeline.streaming.transport import BatchConsumer

ONE, TWO = TP("t", 0), TP("t", 1)


@dataclass
class Fetched:
    """A record as aiokafka hands it out."""

    offset: int
    value: bytes = b"v"
    timestamp: int = 1000
    timestamp_type: int = 0


class OfflineConsumer(BatchConsumer):
    """The batch consumer with its fetches given and its messages kept."""

    def __init__(self) -> None:
        self._delivered = defaultdict(deque)
        self._acked = defaultdict(list)
        self._acked_index = defaultdict(set)
        self._read_offset: dict[TP, int | None] = {}
        self._buffered_partitions: set[TP] = set()
        self._commit_every, self._n_acked = None, 0
        self.flow_active = True
        self.suspend_flow = asyncio.Event()
        self.app: Any = SimpleNamespace(
            consumer_generation_id=3, monitor=SimpleNamespace(track_tp_end_offset=lambda *_: None)
        )
        self.messages: list[Any] = []

    def highwater(self, tp: TP) -> int:
        """Some end."""
        return 100

    async def callback(self, message: Any) -> None:
        """Keep the message."""
        self.messages.append(message)

    async def wait_first(self, *awaitables: Any, **_: Any) -> None:
        """Wait for the first: the flow is never suspended here."""
        await awaitables[0]
        awaitables[1].close()


@pytest.fixture
async def consumer() -> OfflineConsumer:
    """A consumer whose flow is open, generation 3."""
    return OfflineConsumer()


def records(first: int, following: int) -> list[Fetched]:
    """Records [first, following)."""
    return [Fetched(offset) for offset in range(first, following)]


class SeekingConsumer(OfflineConsumer):
    """Notes where it seeks; Kafka has committed nothing."""

    def __init__(self, opened: set[int]) -> None:
        super().__init__()
        self.is_open = opened.__contains__
        self.sought = frozenset()
        self.seeks: list[Any] = []
        self._thread: Any = SimpleNamespace(
            seek_to_committed=self._nothing, seek_to_beginning=self._beginning
        )

    def assignment(self) -> set[TP]:
        """Both partitions are ours."""
        return {ONE, TWO}

    def stored_offsets(self) -> dict[tuple[str, int], int]:  # type: ignore[override]
        """Partition 1 has been counted."""
        return {("t", 1): 7}

    async def _nothing(self) -> dict[TP, int]:
        return {}

    async def _beginning(self, *tps: Any) -> None:
        self.seeks += [(tp.partition, 0) for tp in tps]

    async def _seek(self, tp: TP, offset: int) -> None:
        self.seeks.append((tp.partition, offset))


async def test_a_partition_is_read_from_where_it_stands_when_it_opens() -> None:
    """Until whoever counts it is ready it has no position and is not among the wanted ones."""
    opened = {0}
    consumer = SeekingConsumer(opened)
    await consumer.seek_to_committed()
    assert (consumer.seeks, consumer.sought) == ([(0, 0)], {ONE})
    opened.add(1)
    assert consumer._opened() != consumer.sought  # so the drain loop seeks again
    await consumer.seek_to_committed()
    assert consumer.seeks[1:] == [(1, 7), (0, 0)] or consumer.seeks[1:] == [(0, 0), (1, 7)]
    assert consumer.sought == {ONE, TWO}


async def test_a_partition_without_a_position_is_no_failure() -> None:
    """Faust looks after every assigned partition from time to time, open or not."""
    SeekingConsumer(set()).verify_event_path(0.0, ONE)


async def test_one_message_per_partition(consumer: OfflineConsumer) -> None:
    """A fetch becomes one message per partition, tagged with the generation."""
    await consumer._hand_over({ONE: records(0, 5), TWO: records(7, 9)}, {ONE, TWO})
    batches = [message.value for message in consumer.messages]
    assert [(b.partition, b.first_offset, b.next_offset) for b in batches] == [(0, 0, 5), (1, 7, 9)]
    assert [message.generation_id for message in consumer.messages] == [3, 3]
    assert [message.offset for message in consumer.messages] == [4, 8]


async def test_batches_fit_together(consumer: OfflineConsumer) -> None:
    """What was read before is cut off; a hole in Kafka belongs to the batch after it."""
    await consumer._hand_over({ONE: records(0, 5)}, None)
    await consumer._hand_over({ONE: records(3, 8)}, None)
    await consumer._hand_over({ONE: records(10, 12)}, None)
    batches: list[RecordBatch] = [message.value for message in consumer.messages]
    assert [(b.first_offset, b.next_offset) for b in batches] == [(0, 5), (5, 8), (8, 12)]
    assert [b.missing for b in batches] == [0, 0, 2]


async def test_known_records_make_no_message(consumer: OfflineConsumer) -> None:
    """A fetch that lies wholly before the read position is dropped."""
    consumer._read_offset[ONE] = 9
    await consumer._hand_over({ONE: records(0, 9)}, None)
    assert consumer.messages == []


async def test_paused_partitions_wait(consumer: OfflineConsumer) -> None:
    """A partition that is neither active nor buffered is left for later, position unmoved."""
    await consumer._hand_over({ONE: records(0, 5)}, {TWO})
    assert consumer.messages == []
    assert consumer._read_offset == {}


async def test_a_stopped_flow_drops_the_fetch(consumer: OfflineConsumer) -> None:
    """During a rebalance nothing is handed over any more."""
    consumer.flow_active = False
    await consumer._hand_over({ONE: records(0, 5)}, None)
    assert consumer.messages == []


async def test_a_new_generation_ends_the_fetch(consumer: OfflineConsumer) -> None:
    """A rebalance in the middle of a fetch drops its remaining partitions."""

    async def rebalance(message: Any) -> None:
        consumer.messages.append(message)
        consumer.app.consumer_generation_id = 4

    consumer.callback = rebalance  # type: ignore[method-assign]  # a test double
    await consumer._hand_over({ONE: records(0, 5), TWO: records(0, 5)}, None)
    assert len(consumer.messages) == 1


@given(st.permutations(range(6)), st.integers(0, 6))
def test_offsets_are_committed_without_holes(order: list[int], acked: int) -> None:
    """Whatever the order of acks, the offset to commit is the end of the unbroken beginning."""
    consumer = OfflineConsumer()
    lasts = [4, 9, 14, 15, 22, 30]
    consumer._delivered[ONE].extend(lasts)
    done = {lasts[place] for place in order[:acked]}
    consumer._acked[ONE].extend(lasts[place] for place in order[:acked])
    consumer._acked_index[ONE] |= done
    expected = None
    for last in lasts:
        if last not in done:
            break
        expected = last + 1
    assert consumer._new_offset(ONE) == expected
    assert consumer._new_offset(ONE) is None


async def test_the_schema_leaves_the_batch_alone() -> None:
    """The event's value is the very batch; nothing is decoded or copied."""
    batch = RecordBatch("t", 0, 0, 1, [Fetched(0)])
    decode = BatchSchema().compile(SimpleNamespace(), default_propagate=False)
    message = SimpleNamespace(value=batch)
    assert (await decode(message)).value is batch
