"""Reads the requests of one connection from Kafka; commits what has durable results.

One consumer group per connection: a slow connection holds up no other, and each has its own
place in the topics. After a rebalance (a broker that restarts) reading begins again at the
committed offset; the journal and the submitter know what is on its way. Another bridge with
the same connection has another journal and would send again what this one has sent, so a
bridge reads and sends only while the whole topics are its own and the group has confirmed that
within `_LEASE_S`. The group gives all to one and keeps it there (`Election`); a bridge that gets
nothing leaves the group and ends, at once or, if it had them before, when they do not come back.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from typing import Any, Final

from aiokafka import AIOKafkaConsumer
from aiokafka.abc import ConsumerRebalanceListener
from aiokafka.errors import CommitFailedError, InconsistentGroupProtocolError, KafkaError
from aiokafka.structs import TopicPartition

from runtime.kafka import KafkaPublisher
from runtime.process import CannotRun
from schemas.codec import decoder_for
from schemas.events import MessageRequested
from schemas.subject import partition_of
from schemas.topics import OUTBOUND_REQUESTED, OUTBOUND_URGENT
from smpp_bridge.adapters.counts import Counts
from smpp_bridge.adapters.election import Election, Turn
from smpp_bridge.adapters.lease import Lease, boot_s
from smpp_bridge.adapters.offsets import Offsets
from smpp_bridge.adapters.patience import Patience
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
_HEARTBEAT_MS: Final = _SESSION_TIMEOUT_MS // 3
_REBALANCE_TIMEOUT_MS: Final = 10_000
"""So long the group waits for us when another joins, else the session timeout. Until a heartbeat
tells it (2 s) commits are accepted and renew the lease (5 s): another 3 s for slow answers."""
_NEVER_MS: Final = 2**31 - 1
_LEASE_S: Final = _SESSION_TIMEOUT_MS / 1000 - 1
"""Less than the session timeout: what is sent at its very end is on the wire before."""
_RENEW_S: Final = _LEASE_S / 4
_PATIENCE_S: Final = 3 * _SESSION_TIMEOUT_MS / 1000
"""So long a bridge rests that had the topics and finds them another's, who may end: three times
what the group takes to forget one."""
_LEAVE_S: Final = 0.6
"""At most for the goodbye of a process that ends anyhow; Kafka may be away."""

_SECOND: Final = (
    "connection {0!r}: another bridge has it already. Stop that one, or take the connection out "
    "of one of the two files (SMS_BRIDGE_CONFIG)."
)

_STRANGER: Final = (
    "connection {0!r}: its consumer group smslab-bridge-{0} has a member that is no bridge, or one "
    "of another version. Stop it; the group forgets one that was killed after its session timeout, "
    "6 s for a bridge."
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
        turn: Turn,
        fail: Callable[[BaseException], None],
    ) -> None:
        self._connection = connection
        self._turn = turn
        self._submitter = submitter
        self._publisher = publisher
        self._counts = counts
        self._fail = fail
        self._decoder = decoder_for(OUTBOUND_REQUESTED.name)
        self._is_sole = False
        self._was_sole = False
        self._is_assigned = asyncio.Event()
        self._epoch = 0
        """One more with each rebalance: what was read before is read again."""
        self.lease = Lease(_LEASE_S)
        self._committed: dict[TopicPartition, int] = {}
        self._committing: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._patience = Patience(_PATIENCE_S, self._give_up)
        self._election = Election(lambda: int(self._coordinator.generation))
        self._leaving: asyncio.Future[None] | None = None
        self._offsets: dict[TopicPartition, Offsets] = {}
        self._due: dict[TopicPartition, int] = {}
        self._consumer = _consumer_of(bootstrap, connection, self._election)

    @property
    def _coordinator(self) -> Any:
        """What aiokafka gives no other way to."""
        return self._consumer._coordinator  # noqa: SLF001

    async def run(self, stop: asyncio.Event) -> None:
        """Join the group when it is our turn, and read until `stop`."""
        while not (self._turn.is_for(self._connection) or stop.is_set()):
            with suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_AGAIN_S):
                    await stop.wait()
        if not stop.is_set():
            self._consumer.subscribe(list(MAX_BACKLOG), listener=self)
        try:
            await self._read_on(stop)
        except InconsistentGroupProtocolError as error:
            raise CannotRun(_STRANGER.format(self._connection)) from error

    async def _read_on(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            found = await self._read()
            if found and not await self._may_take(stop):
                continue  # reading begins again at the committed offset
            for partition, records in found.items():
                offsets = self._offsets.setdefault(partition, Offsets())
                for record in records:
                    self._take(offsets, record)

    async def start(self) -> None:
        """Connect to Kafka."""
        await self._consumer.start()

    async def stop(self) -> None:
        """Commit and leave the group."""
        self._patience.end()
        await self._commit_last()
        await self._consumer.stop()

    async def commit_regularly(self) -> None:
        """Until cancelled."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(_COMMIT_S):
                    await self._is_assigned.wait()
            self._is_assigned.clear()
            if not self._is_sole:
                continue
            self._committing = asyncio.ensure_future(self._commit())
            await asyncio.wait({self._committing})
            if not self._committing.cancelled():
                self._committing.result()

    async def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        """They may be ours no longer: commit, and forget what was begun and what waits.

        What has been sent gets its result all the same; the rest is read again by whoever has
        the topics then.
        """
        try:
            await self._commit_last()
        finally:
            self._lost()
            self._epoch += 1
            self._submitter.forget_waiting()
            for partition in revoked:
                for places in (self._offsets, self._due, self._committed):
                    places.pop(partition, None)

    async def on_partitions_assigned(self, _assigned: Iterable[TopicPartition]) -> None:
        """Reading begins at the committed offset, unless another bridge reads."""
        self._epoch += 1
        self._submitter.forget_waiting()  # what came back since: throttled, or unanswered
        if self._leaving is not None:
            return
        self._is_sole = self._election.is_won
        if self._is_sole:
            self._patience.end()
            self._was_sole = True
            self._turn.won()
            self._is_assigned.set()
        elif self._was_sole:
            self._patience.begin()
        else:
            self._give_up()

    def may_act(self) -> bool:
        """Whether nobody else can be reading and sending this connection's requests."""
        return self._is_sole and self.lease.is_held

    def _lost(self) -> None:
        self._is_sole = False  # until everything is assigned anew
        self.lease.end()

    def _give_up(self) -> None:
        if self._leaving is None:  # a task: aiokafka waits for its callbacks before it leaves
            self._leaving = asyncio.ensure_future(self._leave())

    async def _leave(self) -> None:
        """Leave the group, then end: whoever stays need not wait for the session timeout."""
        self._lost()
        try:
            with suppress(TimeoutError, KafkaError):
                async with asyncio.timeout(_LEAVE_S):
                    await self._consumer.stop()
        finally:
            self._fail(CannotRun(_SECOND.format(self._connection)))

    async def _may_take(self, stop: asyncio.Event) -> bool:
        """Whether records that were just read may be taken; waits while nobody knows.

        They belong to the epoch in which the read ended: it may have waited for a rebalance, and
        then moved on behind what it gives.
        """
        epoch = self._epoch
        while epoch == self._epoch and not stop.is_set():
            if self.may_act():
                return True
            self._check_errors()
            await asyncio.sleep(_LOOK_AGAIN_S)
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
        else:
            self._check_errors()
        if not found and not (partitions and has_all):
            await self._room()
        return found

    def _check_errors(self) -> None:
        """Raise what getmany would: not asked, aiokafka never tells that a rejoin has failed."""
        if self._leaving is None:
            self._coordinator.check_errors()

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

    async def _commit_last(self) -> None:
        """Commit what is due and begin nothing more, within what is left of the lease.

        Later the group may be empty, and would take back what another has committed since.
        """
        self._is_sole = False
        self._committing.cancel()
        await asyncio.wait({self._committing})
        if self.lease.is_held:
            with suppress(TimeoutError):
                async with asyncio.timeout(self.lease.left_s):
                    await self._commit()

    async def _commit(self) -> None:
        for partition, offsets in self._offsets.items():
            front = offsets.committable()
            if front is not None:
                self._due[partition] = self._committed[partition] = front
        due = dict(self._due)
        if not due and self.lease.age_s <= _RENEW_S:
            return
        asked_at = boot_s()
        try:
            due = due or await self._known_place()
            if not due:
                return
            await self._consumer.commit(due)
        except CommitFailedError:
            self._lost()
            return
        except KafkaError as error:
            # committed later; until then more would be read again after a crash, and known
            log.warning("offsets are not committed", extra={"fields": {"reason": repr(error)}})
            return
        self.lease.renew(asked_at)
        self._submitter.wake()
        for partition in [p for p in due if self._due.get(p) == due[p]]:
            del self._due[partition]

    async def _known_place(self) -> dict[TopicPartition, int]:
        """What can be committed again to ask whether this is still a member."""
        partition = next(iter(self._consumer.assignment()), None)
        if partition is None or not self._is_sole:
            return {}
        if partition not in self._committed:
            self._committed[partition] = await self._consumer.committed(partition) or 0
        return {partition: self._committed[partition]}

    def _take(self, offsets: Offsets, record: Any) -> None:
        offsets.begin(record.offset)
        finish = partial(offsets.finish, record.offset)
        try:
            request = self._decoder.decode(record.value)
            assert isinstance(request, MessageRequested)
            if request.connection != self._connection:
                finish()
                return
            partition_of(request.subject)  # or its result could not be published
        except ValueError as error:
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


def _consumer_of(bootstrap: str, connection: str, election: Election) -> AIOKafkaConsumer:
    return AIOKafkaConsumer(
        bootstrap_servers=bootstrap,
        group_id=f"smslab-bridge-{connection}",
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        partition_assignment_strategy=(election,),
        session_timeout_ms=_SESSION_TIMEOUT_MS,
        heartbeat_interval_ms=_HEARTBEAT_MS,
        rebalance_timeout_ms=_REBALANCE_TIMEOUT_MS,
        max_poll_interval_ms=_NEVER_MS,  # a full bridge reads nothing, and is still the one
    )
