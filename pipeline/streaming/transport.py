"""Faust's Kafka transport with one event per (partition, fetched record list).

Stock Faust creates four asyncio futures per message; handing over whole fetches carries about
fifty times as much. `BatchConsumer` replaces the drain loop and the offset arithmetic of
faust-streaming 0.15.3 and touches private names: `pipeline.streaming.guard` checks them.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict, deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

from aiokafka import conn
from aiokafka.errors import ConsumerStoppedError, IllegalStateError
from faust.transport.consumer import ensure_TP
from faust.transport.drivers import aiokafka as driver
from faust.types import TP, ConsumerMessage

from pipeline.batch import RecordBatch
from pipeline.streaming.fetch import Times, fetched_records

Offsets = Callable[[], Mapping[tuple[str, int], int]]
"""(topic, partition) → next offset to read, as the sink has stored it."""
IsOpen = Callable[[int], bool]
"""Whether whoever counts a partition is ready for it; until then it is not read."""

FETCH_WAIT_MS = 50
_POLL_S = 0.05  # a poll does not notice that a partition became active again
_POLL_RECORDS = 5000
READ_AHEAD_BYTES = 1 << 24
"""aiokafka's own 64 KiB stop and restart the socket four times per megabyte fetched."""
_NO_OFFSET = -1  # Kafka's sign for a group that has committed nothing
_log = logging.getLogger(__name__)


class FetchThread(driver.AIOKafkaConsumerThread):
    """Faust's fetching thread with a short long poll and whole record batches.

    aiokafka keeps one fetch in flight per broker, for the partitions that were drained when it
    was sent. Faust lets the broker hold it for 1.5 s, and as long nobody asks for the others.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._times: Times = {}

    def _create_worker_consumer(self, transport: Any) -> Any:
        conn.READER_LIMIT = READ_AHEAD_BYTES  # guarded, see module; read when a connection opens
        consumer = super()._create_worker_consumer(transport)
        consumer._fetch_max_wait_ms = FETCH_WAIT_MS  # noqa: SLF001 - guarded, see module
        return consumer

    async def _fetch_records(
        self,
        consumer: Any,
        active_partitions: set[TP],
        timeout: float | None = None,  # noqa: ASYNC109 - Faust's signature
        max_records: int | None = None,
    ) -> Any:
        """As Faust's, through `pipeline.streaming.fetch`."""
        if not self.consumer.flow_active:
            return {}
        if (sought := cast("BatchConsumer", self.consumer).sought) is not None:
            active_partitions = active_partitions & sought
            if not active_partitions:  # which would mean all of them
                await asyncio.sleep(timeout or 0.0)
                return {}
        fetcher = consumer._fetcher  # noqa: SLF001 - guarded, see module
        if consumer._closed or fetcher._closed:  # noqa: SLF001
            raise ConsumerStoppedError
        with fetcher._subscriptions.fetch_context():  # noqa: SLF001
            return await fetched_records(
                fetcher,
                active_partitions,
                timeout or 0.0,
                max_records or _POLL_RECORDS,
                self._times,
            )


class BatchConsumer(driver.Consumer):
    """Hands a `RecordBatch` per partition and fetch to the topic's channel.

    Guarantees: batches of a partition come in order and fit together until a rebalance; after
    one, reading starts again at `stored_offsets`. Does not guarantee that a delivered batch
    still belongs to this consumer: receivers compare `generation`.
    """

    stored_offsets: Offsets = staticmethod(dict)
    is_open: IsOpen | None = None
    """`None`: every partition is."""
    sought: frozenset[TP] | None = None
    """Partitions that stand where the sink ended; `None`: all."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._delivered: defaultdict[TP, deque[int]] = defaultdict(deque)
        self.fetches = 0

    def _new_consumer_thread(self) -> FetchThread:
        return FetchThread(self, loop=self.loop, beacon=self.beacon)

    def verify_event_path(self, now: float, tp: TP) -> None:
        """Nothing: Faust's detector of standstills only logs, and fails before the first seek.

        It asserts that every assigned partition has a position; `pipeline.watchdog` does not.
        """

    async def seek_to_committed(self) -> Mapping[TP, int]:
        """Start where the sink ended; where it has nothing, at the beginning of the log."""
        offsets = dict(await super().seek_to_committed())
        opened, stored = self._opened(), self.stored_offsets()
        fresh = []
        for tp in map(ensure_TP, self.assignment() if opened is None else opened):
            start = stored.get((tp.topic, tp.partition))
            if start is None:
                fresh.append(tp)
                offsets[tp] = _NO_OFFSET
            else:
                await self._seek(tp, start)
                offsets[tp] = start
        if fresh:
            await self._thread.seek_to_beginning(*driver.ensure_aiokafka_TPset(fresh))
        self.sought = opened
        return offsets

    def _opened(self) -> frozenset[TP] | None:
        """Assigned partitions that may be read; `None`: all."""
        if self.is_open is None:
            return None
        assigned = map(ensure_TP, self.assignment())
        return frozenset(tp for tp in assigned if self.is_open(tp.partition))

    async def perform_seek(self) -> None:
        """Seek, and forget what was delivered before."""
        await super().perform_seek()
        self._forget()

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        """Forget what was delivered; it is read again."""
        await super().on_partitions_revoked(revoked)
        self._forget()

    def _forget(self) -> None:
        self._delivered.clear()
        self._acked.clear()
        self._acked_index.clear()

    def _new_offset(self, tp: TP) -> int | None:
        """Next offset to commit: one number per batch instead of gaps between records."""
        waiting, acked = self._delivered[tp], self._acked_index[tp]
        last = None
        while waiting and waiting[0] in acked:
            last = waiting.popleft()
            acked.discard(last)
        if last is None:
            return None
        self._acked[tp][:] = [offset for offset in self._acked[tp] if offset > last]
        return last + 1

    async def _drain_messages(self, fetcher: Any) -> None:
        """Faust's fetch loop, once per fetch instead of once per record."""
        try:
            while not (self._stopped.is_set() or fetcher._stopped.is_set()):  # noqa: SLF001 - see module
                records, active = await self._wait_next_records(_POLL_S)
                await asyncio.sleep(0)
                if self.should_stop:
                    break
                if not self.flow_active:
                    await self._read_again()
                    continue
                self.fetches += 1
                if self._opened() != self.sought:
                    await self._read_again()
                    continue
                await self._hand_over(records or {}, active)
        except (ConsumerStoppedError, asyncio.CancelledError):
            if not self.transport.app.should_stop:
                raise

    async def _read_again(self) -> None:
        """Undo a fetch that came while the group was rebalancing, or partitions opened.

        The partitions may go while we seek. Nothing flows before Faust has seen the new
        assignment, and then it seeks again itself (faust.tables.recovery).
        """
        try:
            await self.perform_seek()
        except IllegalStateError as error:
            _log.info("partitions left while seeking", extra={"fields": {"error": str(error)}})

    async def _hand_over(
        self, records: Mapping[Any, Sequence[Any]], active: set[TP] | None
    ) -> None:
        """Everything, or what comes before the group begins to rebalance: the rest is read again.

        Raced against that once per fetch: a race per batch costs more than a batch of a few.
        """
        await self._commit_sometimes()
        await self.wait_first(self._hand_over_all(records, active), self.suspend_flow.wait())

    async def _hand_over_all(
        self, records: Mapping[Any, Sequence[Any]], active: set[TP] | None
    ) -> None:
        generation = self.app.consumer_generation_id
        for key, fetched in records.items():
            if self.app.consumer_generation_id != generation or not self.flow_active:
                return
            tp = ensure_TP(key)
            is_wanted = active is None or tp in active or tp in self._buffered_partitions
            message = self._message(tp, fetched, generation) if is_wanted else None
            if message is not None:
                await self.callback(message)

    def _message(self, tp: TP, fetched: Sequence[Any], generation: int) -> ConsumerMessage | None:
        position = self._read_offset.get(tp)
        is_read = position is not None and fetched[0].offset < position
        wanted = [r for r in fetched if r.offset >= position] if is_read else fetched
        if not wanted:
            _log.warning(
                "records before the read position dropped",
                extra={
                    "fields": {"topic": tp.topic, "partition": tp.partition, "position": position}
                },
            )
            return None
        last = wanted[-1]
        first = wanted[0].offset if position is None else position
        batch = RecordBatch(tp.topic, tp.partition, first, last.offset + 1, wanted, generation)
        self.app.monitor.track_tp_end_offset(tp, self.highwater(tp))
        self._delivered[tp].append(last.offset)
        self._read_offset[tp] = last.offset + 1
        return ConsumerMessage(
            tp.topic,
            tp.partition,
            last.offset,
            last.timestamp / 1000,
            last.timestamp_type,
            [],
            None,
            batch,  # type: ignore[arg-type]  # the point of this transport
            None,
            0,
            0,
            tp,
            generation_id=generation,  # without it the stream drops the event silently
        )

    async def _commit_sometimes(self) -> None:
        if self._commit_every is not None and self._n_acked >= self._commit_every:
            self._n_acked = 0
            await self.commit()


def batch_transport(app: Any, stored_offsets: Offsets, is_open: IsOpen | None = None) -> Any:
    """The transport of `app`, which starts to read at `stored_offsets` what is open."""

    class Consumer(BatchConsumer):
        pass

    class Transport(driver.Transport):
        pass

    Consumer.stored_offsets = staticmethod(stored_offsets)
    if is_open is not None:
        Consumer.is_open, Consumer.sought = staticmethod(is_open), frozenset()
    Transport.Consumer = Consumer
    return Transport([*app.conf.broker_consumer], app, app.loop)
