"""What the broker says about itself and its logs: cluster, topics, ends."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping
from types import TracebackType
from typing import Any, Self

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError
from confluent_kafka import KafkaException, TopicCollection
from confluent_kafka.admin import AdminClient

from runtime.kafka import kafka_unreachable
from runtime.process import CannotRun, ExitCode
from schemas.topics import Topic

Offsets = Mapping[tuple[str, int], int]
"""(topic, partition) → offset."""
_TIMEOUT_S = 1.0
START_TIMEOUT_S = 10.0
"""A broker that starts on a busy machine answers late; a worker that runs asks again anyway."""
_TOPIC_IDS_S = 10.0
_log = logging.getLogger(__name__)


class Broker:
    """A client without a group, beside the consumer; use as an async context manager."""

    def __init__(self, bootstrap: str, topics: Iterable[Topic]) -> None:
        self._bootstrap = bootstrap
        self._topics = tuple(topics)
        self._partitions = [
            TopicPartition(topic.name, partition)
            for topic in self._topics
            for partition in range(topic.partitions)
        ]

    async def __aenter__(self) -> Self:
        self._consumer = AIOKafkaConsumer(
            bootstrap_servers=self._bootstrap, enable_auto_commit=False
        )
        try:
            await self._consumer.start()
        except KafkaError as error:
            await self._consumer.stop()
            raise CannotRun(
                kafka_unreachable(self._bootstrap), ExitCode.DEPENDENCY_UNREACHABLE
            ) from error
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._consumer.stop()

    async def ends(self, within_s: float = _TIMEOUT_S) -> Offsets | None:
        """Next offset to be written per partition, asked now; `None` without an answer."""
        return await self._ask(self._consumer.end_offsets, self._partitions, within_s)

    async def beginnings(self) -> Offsets | None:
        """Oldest offset that each partition still has; `None` without an answer."""
        return await self._ask(self._consumer.beginning_offsets, self._partitions, START_TIMEOUT_S)

    async def left_ms(self, beginnings: Offsets) -> Mapping[tuple[str, int], int]:
        """Kafka's time of the oldest record, ms, of partitions that begin above 0 and have one.

        Without an answer of none: who asks can do without.

        Args:
            beginnings: Asked before, so that the record found is not older.
        """
        cut = [tp for tp in self._partitions if beginnings.get((tp.topic, tp.partition), 0)]
        found = await self._ask(self._oldest, cut, START_TIMEOUT_S) if cut else None
        return found or {}

    async def _oldest(self, partitions: list[TopicPartition]) -> dict[TopicPartition, int]:
        found = await self._consumer.offsets_for_times(dict.fromkeys(partitions, 0))
        return {tp: each.timestamp for tp, each in found.items() if each is not None}

    async def _ask(
        self,
        question: Callable[[list[TopicPartition]], Awaitable[Any]],
        partitions: list[TopicPartition],
        timeout_s: float,
    ) -> Offsets | None:
        try:
            async with asyncio.timeout(timeout_s):
                found = await question(partitions)
        except (KafkaError, TimeoutError) as error:
            _log.warning("no offsets from Kafka", extra={"fields": {"error": repr(error)}})
            return None
        return {(tp.topic, tp.partition): offset for tp, offset in found.items()}

    async def cluster_id(self) -> str:
        """The cluster's id; "" where the broker has none."""
        admin = AIOKafkaAdminClient(bootstrap_servers=self._bootstrap)
        try:
            await admin.start()
            cluster = await admin.describe_cluster()
        finally:
            await admin.close()
        return str(cluster.get("cluster_id") or "")

    async def topic_ids(self) -> Mapping[str, str]:
        """Topic → id, another one after it was deleted and made again.

        aiokafka speaks a metadata version without ids, hence the second client. Topics
        without an answer are left out (the in-memory broker has no ids).
        """
        return await asyncio.to_thread(self._topic_ids)

    def _topic_ids(self) -> Mapping[str, str]:
        admin = AdminClient({"bootstrap.servers": self._bootstrap, "log_level": 0})
        names = TopicCollection([topic.name for topic in self._topics])
        ids = {}
        for name, future in admin.describe_topics(names, request_timeout=_TOPIC_IDS_S).items():
            try:
                ids[name] = str(future.result(_TOPIC_IDS_S).topic_id)
            except (KafkaException, TimeoutError) as error:
                _log.warning("no topic id", extra={"fields": {"topic": name, "error": repr(error)}})
        return ids
