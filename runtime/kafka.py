"""The Kafka publisher of every edge: own batches, explicit partitions, an answer per record.

A record counts as published only when the broker has acknowledged it (acks=all, idempotent
producer). aiokafka's `send()` costs a future and a murmur2 per record; building whole batches
ourselves carries 2-4 times as much (`benchmarks/`), so that is the only path.
"""

from __future__ import annotations

import asyncio
import logging
import math
import traceback
import zlib
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, Final, Self

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from schemas.codec import encode
from schemas.events import Event, SubjectEvent
from schemas.subject import partition_of
from schemas.topics import Topic, key_of, topic_of

Done = Callable[[BaseException | None], None]
"""Called exactly once per record: with `None` when Kafka has it, else with what went wrong."""

LINGER_S: Final = 0.002
"""Wait for company: 2 ms adds little to an ack that takes 3-8 ms and fills batches 10 times."""
MAX_BATCH_BYTES: Final = 131_072
MAX_RECORD_BYTES: Final = 1_000_000
"""The broker's message.max.bytes is 1,048,588 for a whole batch of one record."""
_REQUEST_TIMEOUT_MS: Final = 30_000
CLOSE_WITHIN_S: Final = 5.0
"""For what is unconfirmed at the end, and the goodbye; Kafka may be away for good."""

log = logging.getLogger(__name__)


class PublishError(Exception):
    """Kafka did not confirm a record: it is in doubt, perhaps stored. Caught by the edges."""


class _Batch:
    """Records that travel together, and who waits for them."""

    __slots__ = ("builder", "dones", "size")

    def __init__(self, builder: Any) -> None:
        self.builder = builder
        self.dones: list[Done] = []
        self.size = 0

    def append(
        self, key: bytes | None, value: bytes, headers: Sequence[tuple[str, bytes]], done: Done
    ) -> bool:
        """Whether it had room."""
        listed = list(headers) if headers else None
        if self.builder.append(key=key, value=value, timestamp=None, headers=listed) is None:
            return False
        self.dones.append(done)
        self.size += len(value)
        return True


class _Partition:
    """The open and waiting batches of one topic partition."""

    __slots__ = ("batches", "in_flight")

    def __init__(self) -> None:
        self.batches: deque[_Batch] = deque()
        self.in_flight = False


class KafkaPublisher:
    """Publishes events and raw records; use as an async context manager.

    Bounded by the caller: `pending` and `pending_bytes` tell what is not yet acknowledged.
    """

    def __init__(
        self,
        bootstrap: str,
        *,
        client_id: str = "smslab",
        linger_s: float = LINGER_S,
        close_within_s: float = CLOSE_WITHIN_S,
    ) -> None:
        self._close_within_s = close_within_s
        self._bootstrap = bootstrap
        self._client_id = client_id
        self._linger_s = linger_s
        self._partitions: dict[tuple[str, int], _Partition] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self.pending = 0
        self.pending_bytes = 0

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        self._producer = AIOKafkaProducer(
            bootstrap_servers=self._bootstrap,
            client_id=self._client_id,
            acks="all",
            enable_idempotence=True,
            linger_ms=0,
            max_batch_size=MAX_BATCH_BYTES,
            request_timeout_ms=_REQUEST_TIMEOUT_MS,
        )
        # aiokafka gives a batch up after the request timeout when its partition has no leader;
        # how long to wait is the caller's decision, who bounds what is pending
        self._producer._message_accumulator._batch_ttl = math.inf  # noqa: SLF001
        await self._producer.start()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            async with asyncio.timeout(self._close_within_s):
                await self.flush()
                await self._producer.stop()
        except TimeoutError:
            log.warning("Kafka is away", extra={"fields": {"unconfirmed": self.pending}})

    def put_event(self, event: Event, done: Done) -> None:
        """Queue an event on its topic; `done` is called when Kafka has it, or has not."""
        topic = topic_of(event)
        key = key_of(event)
        self.put(topic.name, partition_for(topic, event, key), key.encode(), encode(event), done)

    def put(
        self,
        topic: str,
        partition: int,
        key: bytes | None,
        value: bytes,
        done: Done,
        headers: Sequence[tuple[str, bytes]] = (),
    ) -> None:
        """Queue one record.

        Raises:
            ValueError: If it is larger than the broker takes (`MAX_RECORD_BYTES`).
        """
        if len(value) > MAX_RECORD_BYTES:
            raise ValueError(f"record has {len(value)} bytes, must be at most {MAX_RECORD_BYTES}.")
        slot = self._partitions.get((topic, partition))
        if slot is None:
            slot = self._partitions[topic, partition] = _Partition()
        batches = slot.batches
        if not batches or not batches[-1].append(key, value, headers, done):
            batches.append(_Batch(self._producer.create_batch()))
            batches[-1].append(key, value, headers, done)  # the first record always fits
        self.pending += 1
        self.pending_bytes += len(value)
        if self._timer is None:
            self._timer = self._loop.call_later(self._linger_s, self._send_waiting)

    def publish(self, event: Event) -> asyncio.Future[None]:
        """Publish one event; await the result.

        Raises (on await):
            PublishError: If Kafka did not confirm it.
        """
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.put_event(event, lambda error: _settle(future, error))
        return future

    def dead_letter(
        self, topic: str, data: bytes, reason: str, done: Done, **origin: str | int
    ) -> None:
        """Queue the original bytes on `<topic>.dlq`, with headers that say why and from where."""
        headers = [("reason", reason.encode())]
        headers += [(name, str(value).encode()) for name, value in origin.items()]
        cut = data[:MAX_RECORD_BYTES]  # a record that just fitted must not end us
        self.put(f"{topic}.dlq", 0, None, cut, done, headers)

    async def flush(self) -> None:
        """Wait until everything queued so far is answered."""
        self._send_waiting()
        while self._tasks:
            await asyncio.wait(set(self._tasks))

    def _send_waiting(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for key, slot in self._partitions.items():
            if slot.batches and not slot.in_flight:
                slot.in_flight = True
                task = self._loop.create_task(self._pump(key, slot))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

    async def _pump(self, key: tuple[str, int], slot: _Partition) -> None:
        """Send one batch after the other: order within a partition is kept."""
        try:
            while slot.batches:
                batch = slot.batches.popleft()
                error = await self._send(batch.builder, key)
                self.pending -= len(batch.dones)
                self.pending_bytes -= batch.size
                _tell(batch.dones, error)
        finally:
            slot.in_flight = False

    async def _send(self, builder: Any, key: tuple[str, int]) -> PublishError | None:
        builder.close()
        try:
            future = await self._producer.send_batch(builder, key[0], partition=key[1])
            await future
        except KafkaError as error:
            return PublishError(f"{key[0]}: {error!r}")
        return None


def partition_for(topic: Topic, event: Event, key: str) -> int:
    """The partition of an event: from the subject token, else a CRC of the key."""
    if topic.partitions == 1:
        return 0
    if isinstance(event, SubjectEvent):
        return partition_of(key, topic.partitions)
    return zlib.crc32(key.encode()) % topic.partitions


def _tell(dones: Sequence[Done], error: BaseException | None) -> None:
    """Tell everybody; whoever fails on it keeps the answer from nobody else."""
    for done in dones:
        try:
            done(error)
        except Exception as unforeseen:  # noqa: BLE001 - whatever it is ends this answer alone
            at = traceback.extract_tb(unforeseen.__traceback__)[-1]
            fields = {"error": type(unforeseen).__name__, "at": f"{at.name}:{at.lineno}"}
            # not `log.exception`: its words may hold a number
            log.error("an answer of Kafka has set off an error", extra={"fields": fields})  # noqa: TRY400


def _settle(future: asyncio.Future[None], error: BaseException | None) -> None:
    if future.done():
        return
    if error is None:
        future.set_result(None)
    else:
        future.set_exception(error)


def kafka_unreachable(bootstrap: str) -> str:
    """The sentence for a broker that is not there."""
    return f"Kafka is not reachable at {bootstrap}. Check SMS_KAFKA and that the broker runs."


def headers_of(record_headers: Sequence[tuple[str, bytes]]) -> Mapping[str, str]:
    """Record headers as text."""
    return {name: value.decode("utf-8", "replace") for name, value in record_headers}
