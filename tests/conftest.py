"""Fixtures that several packages share: real brokers."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from runtime.topics import ensure_topics
from smslab.kafka.apache import ApacheKafka


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real Apache Kafka with our topics, shared by the session: use own keys and groups on it."""
    with ApacheKafka(tmp_path_factory.mktemp("kafka")) as broker:
        asyncio.run(ensure_topics(broker.bootstrap))
        yield broker.bootstrap


@pytest.fixture
def own_kafka(tmp_path: Path) -> Iterator[ApacheKafka]:
    """A real Apache Kafka of this test alone, with empty topics; may be killed and started."""
    with ApacheKafka(tmp_path / "kafka") as broker:
        asyncio.run(ensure_topics(broker.bootstrap))
        yield broker
