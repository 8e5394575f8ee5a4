"""Filling topics before a run, counting them while it lasts, reading them after it."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Final, Self, TypeVar

from aiokafka import AIOKafkaConsumer, TopicPartition

from benchmarks.figures import WrongTotalError
from runtime.kafka import Done, KafkaPublisher
from schemas.codec import decoder_for
from schemas.events import Event
from schemas.topics import Topic

E = TypeVar("E", bound=Event)
_PENDING: Final = 20_000
_READ_WITHIN_S: Final = 60.0
_PACE_S: Final = 0.002
Offsets = Mapping[TopicPartition, int]


async def publish(bootstrap: str, events: Iterable[Event]) -> int:
    """Publish all events; returns how many, once Kafka has them.

    Raises:
        WrongTotalError: If Kafka did not confirm one.
    """
    count = 0
    async with _publishing(bootstrap) as (publisher, done):
        for event in events:
            publisher.put_event(event, done)
            count += 1
            if publisher.pending >= _PENDING:
                await publisher.flush()
    return count


async def publish_paced(bootstrap: str, events: Sequence[Event], per_s: int) -> None:
    """Publish at a steady rate: what is due, every few milliseconds, whatever is confirmed.

    Raises:
        WrongTotalError: If Kafka did not confirm one.
    """
    async with _publishing(bootstrap) as (publisher, done):
        started_s, sent = time.perf_counter(), 0
        while sent < len(events):
            due = min(len(events), 1 + int((time.perf_counter() - started_s) * per_s))
            for event in events[sent:due]:
                publisher.put_event(event, done)
            sent = due
            await asyncio.sleep(_PACE_S)


@asynccontextmanager
async def _publishing(bootstrap: str) -> AsyncIterator[tuple[KafkaPublisher, Done]]:
    """A publisher, and what is to be called for each event; Kafka has all of them at the end."""
    failures: list[BaseException] = []

    def done(error: BaseException | None) -> None:
        if error is not None:
            failures.append(error)

    async with KafkaPublisher(bootstrap, client_id="smslab-bench") as publisher:
        yield publisher, done
        await publisher.flush()
    if failures:
        raise WrongTotalError(f"{len(failures)} events not published: {failures[0]!r}.")


async def timestamps(
    bootstrap: str, topics: Iterable[Topic]
) -> Mapping[tuple[str, int], list[float]]:
    """(topic, partition) → the producers' timestamps of all its records, in seconds, in order."""
    places = [TopicPartition(t.name, number) for t in topics for number in range(t.partitions)]
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False)
    await consumer.start()
    found: defaultdict[tuple[str, int], list[float]] = defaultdict(list)
    try:
        ends = await consumer.end_offsets(places)
        consumer.assign(places)
        await consumer.seek_to_beginning()
        async with asyncio.timeout(_READ_WITHIN_S):
            while sum(map(len, found.values())) < sum(ends.values()):
                batches = await consumer.getmany(timeout_ms=200, max_records=5000)
                for place, records in batches.items():
                    found[place.topic, place.partition] += [r.timestamp / 1000 for r in records]
    finally:
        await consumer.stop()
    return found


class Ends:
    """Asks for the ends of a topic's partitions: one cheap request, nothing is read."""

    def __init__(self, consumer: AIOKafkaConsumer, topic: Topic, start: Offsets) -> None:
        self._consumer = consumer
        self._topic = topic
        self.start = start

    async def grown(self) -> int:
        """Records that came since `start`."""
        ends: Offsets = await self._consumer.end_offsets(list(self.start))
        return sum(ends.values()) - sum(self.start.values())

    async def read(self, of: type[E], count: int) -> list[E]:
        """The events that came since `start`.

        Raises:
            WrongTotalError: If there are fewer than `count`.
        """
        self._consumer.assign(list(self.start))
        for partition, offset in self.start.items():
            self._consumer.seek(partition, offset)
        decoder, found = decoder_for(self._topic.name), list[E]()
        try:
            async with asyncio.timeout(_READ_WITHIN_S):
                while len(found) < count:
                    batches = await self._consumer.getmany(timeout_ms=200, max_records=5000)
                    for records in batches.values():
                        events = (decoder.decode(record.value) for record in records)
                        found += [event for event in events if isinstance(event, of)]
        except TimeoutError:
            raise WrongTotalError(f"{self._topic.name}: {len(found)}, must be {count}.") from None
        return found

    @classmethod
    async def now(cls, consumer: AIOKafkaConsumer, topic: Topic) -> Self:
        """From here on."""
        partitions = [TopicPartition(topic.name, number) for number in range(topic.partitions)]
        return cls(consumer, topic, await consumer.end_offsets(partitions))


@asynccontextmanager
async def ends_of(bootstrap: str, topic: Topic) -> AsyncIterator[Ends]:
    """The growth of a topic from now on."""
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False)
    await consumer.start()
    try:
        yield await Ends.now(consumer, topic)
    finally:
        await consumer.stop()
