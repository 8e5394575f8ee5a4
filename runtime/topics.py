"""Creates the topics with the right partition counts, and says so when a broker's differ."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError

from schemas.topics import TOPICS, Topic

DEAD_LETTER_RETENTION_MS = 30 * 24 * 3600 * 1000
_TOPIC_EXISTS = 36


class TopicError(Exception):
    """A topic could not be made or has another partition count. Raised at start-up."""


async def ensure_topics(bootstrap: str, topics: Iterable[Topic] = TOPICS) -> None:
    """Create missing topics and their dead-letter topics; check those that exist.

    Raises:
        TopicError: If a topic cannot be created, or exists with another partition count.
    """
    wanted = list(topics)
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        await _create(admin, wanted)
        await _check(admin, wanted)
    finally:
        await admin.close()


async def check_topics(bootstrap: str, topics: Iterable[Topic] = TOPICS) -> None:
    """Check that all topics are there, as they must be; makes none.

    Raises:
        TopicError: If one is missing or has another partition count.
    """
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        await _check(admin, list(topics))
    finally:
        await admin.close()


async def _create(admin: AIOKafkaAdminClient, topics: list[Topic]) -> None:
    new = [NewTopic(t.name, t.partitions, 1, topic_configs=t.config) for t in topics]
    new += [NewTopic(t.dead_letters, 1, 1, topic_configs=_dead_letters_config(t)) for t in topics]
    response = await admin.create_topics(new)
    for name, code, *rest in response.topic_errors:
        if code not in (0, _TOPIC_EXISTS):
            raise TopicError(f"topic {name} could not be created: error {code} {rest}")


async def _check(admin: AIOKafkaAdminClient, topics: list[Topic]) -> None:
    expected = {topic.name: topic.partitions for topic in topics}
    for _ in range(50):
        described = await admin.describe_topics(list(expected))
        found = {d["topic"]: len(d["partitions"]) for d in described if d["error_code"] == 0}
        if found.keys() >= expected.keys():
            break
        await asyncio.sleep(0.1)  # metadata of a new topic reaches the broker a moment later
    for name, partitions in expected.items():
        if found.get(name) != partitions:
            raise TopicError(
                f"topic {name} has {found.get(name)} partitions, must have {partitions}: "
                "a person's partition depends on it. Recreate the topic or use another cluster."
            )


async def is_reachable(bootstrap: str, timeout_s: float = 5.0) -> bool:
    """Whether a broker answers a metadata request in time."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    try:
        async with asyncio.timeout(timeout_s):
            await admin.start()
            cluster = await admin.describe_cluster()
            return bool(cluster["brokers"])
    except (KafkaError, OSError, TimeoutError):
        return False
    finally:
        await admin.close()


def _dead_letters_config(topic: Topic) -> dict[str, str]:
    """What may be kept two days only is kept no longer for being unreadable."""
    kept_ms = topic.retention_ms if topic.is_restricted else DEAD_LETTER_RETENTION_MS
    return {"retention.ms": str(kept_ms)}
