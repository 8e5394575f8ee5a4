"""Reads the requests of one connection from Kafka; commits what has durable results.

One consumer group per connection: a slow connection holds up no other, and each has its own
place in the topics. After a rebalance (a broker that restarts) reading begins again at the
committed offset; the journal and the submitter know what is on its way. Another bridge with
the same connection has another journal and would send again what this one has sent, so a
bridge reads only while the whole topics are its own, and ends if they do not become so again.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, Final

from aiokafka import AIOKafkaConsumer
from aiokafka.abc import ConsumerRebalanceListener
from aiokafka.errors import CommitFailedError, KafkaError
from aiokafka.structs import TopicPartition

from runtime.kafka import KafkaPublisher
from runtime.process import CannotRun
from schemas.codec import SchemaError, decoder_for
from schemas.events import MessageRequested
from schemas.topics import OUTBOUND_REQUESTED, OUTBOUND_URGENT
from smpp_bridge.adapters.counts import Counts
from smpp_bridge.adapters.offsets import Offsets
from smpp_bridge.adapters.submitter import Submitter

FETCH_RECORDS: Final = 1000
MAX_BACKLOG: Final = {OUTBOUND_REQUESTED.name: 5000, OUTBOUND_URGENT.name: 10_000}
"""Parts in memory that wait for a slot, above which a topic is not read on. A window of 64
empties the first in seconds; between the two there is always room for what is urgent."""
MAX_GAP: Final = 50_000
"""Offsets read beyond an unfinished one: one unanswered part must not grow memory for ever."""
_COMMIT_S: Final = 0.5
_WAIT_MS: Final = 100
_LOOK_AGAIN_S: Final = 0.1
_SESSION_TIMEOUT_MS: Final = 6000
_NEVER_MS: Final = 2**31 - 1
_PAUSE_S: Final = _SESSION_TIMEOUT_MS / 2000
"""Between two readings; after more of it this may be no member any longer, and not know it."""
_PATIENCE_S: Final = 3 * _SESSION_TIMEOUT_MS / 1000
"""So long a part of the topics may be another's: a bridge that paused finds its own former
membership there, until the session timeout."""

_SECOND: Final = (
    "connection {0!r}: another bridge has it already. Stop that one, or take the connection out "
    "of one of the two files (SMS_BRIDGE_CONFIG)."
)

log = logging.getLogger(__name__)


class Requests(ConsumerRebalanceListener):  # type: ignore[misc] # aiokafka has no types
    """The consumer of `sms.outbound.requested.v1` and `sms.outbound.urgent.v1`."""

    def __init__(
        self,
        *,
        bootstrap: str,
        connection: str,
        submitter: Submitter,
        publisher: KafkaPublisher,
        counts: Counts,
        fail: Callable[[BaseException], None],
    ) -> None:
        self._connection = connection
        self._submitter = submitter
        self._publisher = publisher
        self._counts = counts
        self._fail = fail
        self._decoder = decoder_for(OUTBOUND_REQUESTED.name)
        self._is_sole = False
        self._was_sole = False
        self._looked_at = time.monotonic()
        self._commits = asyncio.Lock()
        self._ends_at: asyncio.TimerHandle | None = None
        self._offsets: dict[TopicPartition, Offsets] = {}
        self._due: dict[TopicPartition, int] = {}
        self._consumer = AIOKafkaConsumer(
            bootstrap_servers=bootstrap,
            group_id=f"smslab-bridge-{connection}",
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            session_timeout_ms=_SESSION_TIMEOUT_MS,
            heartbeat_interval_ms=_SESSION_TIMEOUT_MS // 3,
            max_poll_interval_ms=_NEVER_MS,  # a full bridge reads nothing, and is still the one
        )

    async def run(self, stop: asyncio.Event) -> None:
        """Read until `stop`."""
        while not stop.is_set():
            found = await self._read()
            if found and not await self._is_still_member(stop):
                continue  # reading begins again at the committed offset
            for partition, records in found.items():
                offsets = self._offsets.setdefault(partition, Offsets())
                for record in records:
                    self._take(offsets, record)

    async def start(self) -> None:
        """Join the group."""
        await self._consumer.start()
        self._consumer.subscribe(list(MAX_BACKLOG), listener=self)

    async def stop(self) -> None:
        """Commit and leave the group."""
        self._wait_no_more()
        await self._commit()
        await self._consumer.stop()

    async def commit_regularly(self) -> None:
        """Until cancelled."""
        while True:
            await asyncio.sleep(_COMMIT_S)
            await self._commit()

    async def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        """They may be ours no longer: commit, and forget what was begun."""
        await self._commit()
        for partition in revoked:
            self._offsets.pop(partition, None)
            self._due.pop(partition, None)

    async def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        """Reading begins at the committed offset, unless another bridge reads the rest."""
        self._wait_no_more()
        self._is_sole = set(assigned) >= {
            TopicPartition(topic, number)
            for topic in MAX_BACKLOG
            for number in self._consumer.partitions_for_topic(topic) or ()
        }
        if self._is_sole:
            self._was_sole = True
        elif self._was_sole:
            loop = asyncio.get_running_loop()
            self._ends_at = loop.call_later(_PATIENCE_S, self._give_up)
        else:
            self._give_up()

    def _give_up(self) -> None:
        self._fail(CannotRun(_SECOND.format(self._connection)))

    def _wait_no_more(self) -> None:
        if self._ends_at is not None:
            self._ends_at.cancel()
            self._ends_at = None

    async def _is_still_member(self, stop: asyncio.Event) -> bool:
        """After a pause of the process: another may have all this; a commit is refused then."""
        now, before = time.monotonic(), self._looked_at
        self._looked_at = now
        partition = next(iter(self._consumer.assignment()), None)
        if now - before < _PAUSE_S or partition is None:
            return partition is not None
        while not stop.is_set():
            try:
                async with self._commits:
                    done = await self._consumer.committed(partition)
                    await self._consumer.commit({partition: done or 0})
            except CommitFailedError:
                self._is_sole = False  # until it is assigned everything anew
                return False
            except KafkaError as error:
                log.warning("membership unknown", extra={"fields": {"reason": repr(error)}})
                await asyncio.sleep(_LOOK_AGAIN_S)
            else:
                return True
        return False

    async def _read(self) -> dict[TopicPartition, list[Any]]:
        """The next records; while something is closed, wait for room as well."""
        partitions = self._open_partitions()
        has_all = len(partitions) == len(self._consumer.assignment())
        found: dict[TopicPartition, list[Any]] = {}
        if partitions:
            found = await self._consumer.getmany(
                *partitions, timeout_ms=_WAIT_MS if has_all else 0, max_records=FETCH_RECORDS
            )
        if not found and not (partitions and has_all):
            await self._room()
        return found

    def _open_partitions(self) -> list[TopicPartition]:
        """Those that may be read on; of a topic that fills the memory, none."""
        if not self._is_sole:
            return []
        backlog = self._submitter.backlog
        gaps = dict.fromkeys(MAX_BACKLOG, 0)
        for partition, offsets in self._offsets.items():
            gaps[partition.topic] = max(gaps[partition.topic], len(offsets))
        return [
            partition
            for partition in self._consumer.assignment()
            if backlog <= MAX_BACKLOG[partition.topic] and gaps[partition.topic] <= MAX_GAP
        ]

    async def _room(self) -> None:
        self._submitter.room.clear()
        try:
            async with asyncio.timeout(_LOOK_AGAIN_S):
                await self._submitter.room.wait()
        except TimeoutError:
            return  # a gap closes without an event

    async def _commit(self) -> None:
        for partition, offsets in self._offsets.items():
            front = offsets.committable()
            if front is not None:
                self._due[partition] = front
        due = dict(self._due)
        if not due:
            return
        try:
            async with self._commits:
                await self._consumer.commit(due)
        except KafkaError as error:
            # committed later; until then more would be read again after a crash, and known
            log.warning("offsets are not committed", extra={"fields": {"reason": repr(error)}})
            return
        for partition in [p for p in due if self._due.get(p) == due[p]]:
            del self._due[partition]

    def _take(self, offsets: Offsets, record: Any) -> None:
        offsets.begin(record.offset)
        finish = partial(offsets.finish, record.offset)
        try:
            request = self._decoder.decode(record.value)
            assert isinstance(request, MessageRequested)
            if request.connection != self._connection:
                finish()
                return
        except SchemaError as error:
            self._dead_letter(record, str(error), finish)
            return
        try:
            self._submitter.offer(request, finish)
        except ValueError as error:
            self._dead_letter(record, str(error), lambda: self._submitter.refuse(request, finish))

    def _dead_letter(self, record: Any, reason: str, finish: Callable[[], None]) -> None:
        log.warning("request cannot be sent", extra={"fields": {"offset": record.offset}})
        self._counts.unreadable += 1
        self._publisher.dead_letter(
            record.topic,
            record.value or b"",
            reason,
            lambda error: finish() if error is None else self._fail(error),
            partition=record.partition,
            offset=record.offset,
        )
