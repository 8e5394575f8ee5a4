"""The Faust app: subscribes to the topics and hands batches to the agents' pipeline.

Faust restarts or cancels a failing agent and thereby skips its events. So the only Faust agent
here forwards batches into a bounded queue; the agents themselves run in a task of the worker,
where a failure ends the process.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Iterable
from functools import partial
from typing import Any

import faust

from pipeline.batch import Delivery
from pipeline.roles import Role
from pipeline.settings import WorkerSettings
from pipeline.streaming.guard import check_private_names
from pipeline.streaming.schema import batch_topic
from pipeline.streaming.transport import BatchConsumer, IsOpen, Offsets, batch_transport
from schemas.topics import Topic

_QUEUED_BATCHES = 64
_POLL_RECORDS = 5000


def build_app(
    settings: WorkerSettings, role: Role, stored_offsets: Offsets, is_open: IsOpen | None = None
) -> faust.App:
    """A Faust app without web server, tables or leader, on the batch transport.

    Args:
        settings: Of the process.
        role: Group and topics.
        stored_offsets: Where reading starts.
        is_open: Which partitions may be read already; `None`: all.

    Raises:
        TransportError: If the installed Faust is not the one the transport was written for.
    """
    check_private_names()
    app = faust.App(
        role.group,
        broker=f"kafka://{settings.kafka}",
        autodiscover=False,
        broker_commit_interval=1.0,
        broker_heartbeat_interval=2,
        broker_max_poll_records=_POLL_RECORDS,
        broker_rebalance_timeout=8,
        broker_session_timeout=6,
        consumer_auto_offset_reset="earliest",
        consumer_group_instance_id=_member(settings, role),
        datadir=str(settings.data / "faust"),
        store="memory://",
        stream_buffer_maxsize=8,  # batches, not records
        stream_wait_empty=False,
        topic_allow_declare=False,
        topic_disable_leader=True,
        web_enabled=False,
        worker_redirect_stdouts=False,
    )
    app.transport = batch_transport(app, stored_offsets, is_open)
    return app


class BatchSource:
    """Deliveries of the app's topics, through a bounded queue."""

    def __init__(self, app: faust.App, topics: Iterable[Topic]) -> None:
        self._app = app
        self._queue: asyncio.Queue[Delivery | None] = asyncio.Queue(_QUEUED_BATCHES)
        app.agent(batch_topic(app, *(topic.name for topic in topics)), name="forward")(
            self._forward
        )

    async def start(self) -> None:
        """Join the group and begin to fetch."""
        await self._app.start()

    async def stop(self) -> None:
        """Commit what was acknowledged and leave."""
        await self._app.stop()

    def end(self) -> None:
        """Let `deliveries` end; what waits in the queue is read again by the next process."""
        while not self._queue.empty():
            self._queue.get_nowait()
        self._queue.put_nowait(None)

    async def deliveries(self) -> AsyncIterator[Delivery]:
        """Batches in order per partition, until `end`."""
        while (delivery := await self._queue.get()) is not None:
            yield delivery

    def generation(self) -> int:
        """The group generation that owns the partitions now."""
        return int(self._app.consumer_generation_id)

    def assigned(self) -> set[tuple[str, int]] | None:
        """The partitions that are ours; `None` while the group is joining."""
        consumer = self._app.consumer
        if self._app.rebalancing or not (isinstance(consumer, BatchConsumer) and consumer.fetches):
            return None
        return {(tp.topic, tp.partition) for tp in consumer.assignment()}

    def failure(self) -> BaseException | None:
        """Why Faust has stopped, if it has."""
        if self._app.crashed or self._app.consumer.crashed:
            return self._app.crash_reason or self._app.consumer.crash_reason or FaustEndedError()
        return None

    async def _forward(self, stream: Any) -> None:
        """Reads: every topic. Yields: nothing. Side effects: fills the queue, acks nothing."""
        async for event in stream.noack().events():
            ack = partial(self._acknowledge, event)
            await self._queue.put(Delivery(event.value, ack))

    def _acknowledge(self, event: Any) -> None:
        if event.value.generation == self.generation():
            event.ack()


class FaustEndedError(Exception):
    """Faust has stopped without a reason."""


def _member(settings: WorkerSettings, role: Role) -> str | None:
    """A stable group member id per data folder: a killed worker is replaced at once.

    Without it the broker waits for the session timeout (6 s) of the one that died. Several
    share a folder in the role of members, and there the others take over meanwhile.
    """
    if settings.is_kafka_in_memory or role.is_shared:
        return None
    return "worker-" + hashlib.sha256(str(settings.data.resolve()).encode()).hexdigest()[:16]
