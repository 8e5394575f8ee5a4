"""What every worker process does first: its health endpoint, its folder, its questions to Kafka."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

from pipeline.broker import START_TIMEOUT_S, Broker, Offsets
from pipeline.metrics import WorkerMetrics
from pipeline.settings import WorkerSettings
from pipeline.storage import shard, sink
from pipeline.storage.state import FILE
from pipeline.storage.swap import FolderLock
from runtime.health import serve_health
from runtime.kafka import kafka_unreachable
from runtime.metrics import metrics_route
from runtime.process import CannotRun, ExitCode, port_in_use
from runtime.topics import TopicError, ensure_topics

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Log:
    """The Kafka that offsets count, and where its partitions begin and end."""

    cluster_id: str
    topic_ids: Mapping[str, str]
    beginnings: Offsets
    ends: Offsets
    left_ms: Mapping[tuple[str, int], int] = field(default_factory=dict)
    """Kafka's time of the oldest record, of partitions that begin above 0 and have one."""


@asynccontextmanager
async def open_health(
    settings: WorkerSettings, probe: Callable[[], Mapping[str, object]], metrics: WorkerMetrics
) -> AsyncIterator[None]:
    """Serve health and metrics while the block runs.

    Raises:
        CannotRun: If the port is in use.
    """
    host, port = settings.health_host, settings.health_port
    async with AsyncExitStack() as stack:
        try:
            routes = [metrics_route(metrics.registry)]
            serving = serve_health(host, port, probe, routes=routes)
            port = await stack.enter_async_context(serving)
        except OSError as error:
            raise port_in_use("SMS_WORKER_HEALTH_PORT", host, port) from error
        _log.info("health endpoint", extra={"fields": {"host": host, "port": port}})
        yield


async def ask_log(settings: WorkerSettings, broker: Broker) -> Log:
    """Make missing topics and ask for what identifies them.

    Raises:
        CannotRun: If Kafka does not answer.
    """
    topic_ids: Mapping[str, str] = {}
    if not settings.is_kafka_in_memory:  # which knows no admin requests
        try:
            await ensure_topics(settings.kafka)
        except TopicError as error:
            raise CannotRun(str(error), ExitCode.DEPENDENCY_UNREACHABLE) from error
        topic_ids = await broker.topic_ids()
    ends, beginnings = await broker.ends(START_TIMEOUT_S), await broker.beginnings()
    if ends is None or beginnings is None:
        raise CannotRun(kafka_unreachable(settings.kafka), ExitCode.DEPENDENCY_UNREACHABLE)
    left_ms = await broker.left_ms(beginnings)
    return Log(await broker.cluster_id(), topic_ids, beginnings, ends, left_ms)


def hold_folder(settings: WorkerSettings, *, is_alone: bool = False) -> FolderLock:
    """Check the folder and say that we work in it. May wait for another who is alone there.

    Raises:
        CannotRun: If it was filled in another role, or others work there.
    """
    check_folder(settings)
    return FolderLock(settings.data, is_alone=is_alone)


def check_folder(settings: WorkerSettings) -> None:
    """One folder, one way of counting: the other's totals are not in ours.

    Raises:
        CannotRun: If the folder was filled in another role.
    """
    data = settings.data
    alone = data / FILE
    several = [data / name for name in (shard.FOLDER, sink.FOLDER)]
    others = several if settings.role == "alone" else [alone]
    for path in others:
        if path.exists():
            raise CannotRun(
                f"SMS_WORKER_DATA == {str(data)!r} holds {path.name}, which SMS_WORKER_ROLE == "
                f"{settings.role!r} does not continue. Set SMS_WORKER_DATA to an empty folder "
                "(Kafka is read again) or SMS_WORKER_ROLE as before."
            )
    if settings.role != "alone" and settings.is_kafka_in_memory:
        raise CannotRun(
            f"SMS_WORKER_ROLE == {settings.role!r}: the in-memory broker keeps no deltas. "
            "Use a real broker, or one worker alone."
        )
