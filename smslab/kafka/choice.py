"""Turns `--kafka auto|apache|memory|HOST:PORT` into a running broker with our topics."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from aiokafka.errors import KafkaError

from runtime.kafka import kafka_unreachable
from runtime.settings import host_port
from runtime.topics import TopicError, ensure_topics, is_reachable
from smslab.kafka.apache import ApacheKafka, BrokerError
from smslab.kafka.jars import DownloadError
from smslab.kafka.memory import MemoryKafka

Notice = Callable[[str], None]

MEMORY_NOTICE = (
    "IN-MEMORY KAFKA ({reason}): data end with this process, and old messages vanish after "
    "100,000 per partition. Good for a look, not for real sending."
)


class KafkaUnavailable(Exception):  # noqa: N818 - reads as the sentence it prints
    """No broker could be had; the message names the setting and the fix."""


@dataclass(frozen=True, slots=True)
class Broker:
    """A broker that is ready and has our topics."""

    bootstrap: str
    is_in_memory: bool
    kind: str
    """`apache`, `memory` or `external`."""
    pid: int | None = None


@contextmanager
def open_kafka(choice: str, folder: Path, notice: Notice) -> Iterator[Broker]:
    """Run or find the chosen broker while the block runs.

    `auto` prefers the real one and falls back to memory, loudly, only when the download
    is impossible; a broker that fails to start is an error, not a reason to fall back.

    Raises:
        KafkaUnavailable: If the chosen broker cannot be had.
    """
    openers = {"auto": _auto, "apache": _apache, "memory": _memory}
    opener = openers.get(choice)
    if opener is None:
        with _external(choice) as broker:
            yield broker
        return
    with opener(folder, notice) as broker:
        yield broker


@contextmanager
def _auto(folder: Path, notice: Notice) -> Iterator[Broker]:
    kafka = ApacheKafka(folder, notice=notice)
    try:
        kafka.start()
    except DownloadError as error:
        with _in_memory(notice, f"Apache Kafka could not be had: {error}") as broker:
            yield broker
        return
    except BrokerError as error:
        raise KafkaUnavailable(str(error)) from error
    with _stopped_after(kafka) as broker:
        yield broker


@contextmanager
def _apache(folder: Path, notice: Notice) -> Iterator[Broker]:
    kafka = ApacheKafka(folder, notice=notice)
    try:
        kafka.start()
    except (DownloadError, BrokerError) as error:
        raise KafkaUnavailable(f"--kafka apache: {error}") from error
    with _stopped_after(kafka) as broker:
        yield broker


@contextmanager
def _stopped_after(kafka: ApacheKafka) -> Iterator[Broker]:
    try:
        _make_topics(kafka.bootstrap)
        yield Broker(kafka.bootstrap, is_in_memory=False, kind="apache", pid=kafka.pid)
    finally:
        kafka.stop()


@contextmanager
def _memory(_folder: Path, notice: Notice) -> Iterator[Broker]:
    with _in_memory(notice, "as chosen") as broker:
        yield broker


@contextmanager
def _in_memory(notice: Notice, reason: str) -> Iterator[Broker]:
    notice(MEMORY_NOTICE.format(reason=reason))
    try:
        with MemoryKafka() as kafka:
            yield Broker(kafka.bootstrap, is_in_memory=True, kind="memory", pid=kafka.pid)
    except DownloadError as error:
        raise KafkaUnavailable(f"--kafka memory: {error}") from error


@contextmanager
def _external(choice: str) -> Iterator[Broker]:
    try:
        bootstrap = host_port(choice)
    except ValueError:
        raise KafkaUnavailable(
            f"--kafka == {choice!r}, must be auto, apache, memory or HOST:PORT."
        ) from None
    if not asyncio.run(is_reachable(bootstrap)):
        raise KafkaUnavailable(kafka_unreachable(bootstrap))
    _make_topics(bootstrap)
    yield Broker(bootstrap, is_in_memory=False, kind="external")


def _make_topics(bootstrap: str) -> None:
    try:
        asyncio.run(ensure_topics(bootstrap))
    except (TopicError, KafkaError) as error:
        raise KafkaUnavailable(f"Kafka at {bootstrap}: {error}") from error
