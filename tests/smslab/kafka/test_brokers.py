"""The local brokers: the real one and the fallback."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer

from runtime.kafka import KafkaPublisher
from runtime.topics import is_reachable
from schemas.events import AllocationChanged
from schemas.topics import CAMPAIGN_ALLOCATION, TOPICS
from smslab.kafka import KafkaUnavailable, choice, open_kafka
from smslab.kafka.apache import ApacheKafka, FolderInUse
from smslab.kafka.jars import DownloadError
from smslab.kafka.sockets import free_ports, start_time

pytestmark = pytest.mark.kafka
EVENT = AllocationChanged(
    event_id="e", occurred_at_ms=1, campaign_id="c", shares={"A": 1.0}, reason="test"
)


async def publish_and_count(bootstrap: str) -> int:
    """Publish one event, then count what the topic holds."""
    async with KafkaPublisher(bootstrap) as publisher:
        await publisher.publish(EVENT)
    consumer = AIOKafkaConsumer(
        CAMPAIGN_ALLOCATION.name, bootstrap_servers=bootstrap, auto_offset_reset="earliest"
    )
    await consumer.start()
    try:
        async with asyncio.timeout(20):
            await consumer.getone()
        ends = await consumer.end_offsets(consumer.assignment())
        return sum(ends.values())
    finally:
        await consumer.stop()


def test_data_survive_a_sigkill_of_the_broker(tmp_path: Path) -> None:
    """Same folder, same port, same data after kill and start; nothing runs after stop."""
    with ApacheKafka(tmp_path) as broker:
        asyncio.run(choice.ensure_topics(broker.bootstrap))
        assert asyncio.run(publish_and_count(broker.bootstrap)) == 1
        before, pid = broker.bootstrap, broker.pid
        broker.kill()
        broker.start()
        assert broker.bootstrap == before
        assert asyncio.run(publish_and_count(broker.bootstrap)) == 2
        assert pid is not None
        assert start_time(pid) is None
        last = broker.pid
    assert last is not None
    assert start_time(last) is None


def test_a_folder_has_one_broker(tmp_path: Path) -> None:
    """A second owner of the folder is told so and touches nothing."""
    with ApacheKafka(tmp_path) as broker:
        with pytest.raises(FolderInUse, match="already runs in"):
            ApacheKafka(tmp_path).start()
        assert asyncio.run(is_reachable(broker.bootstrap))


def test_the_orphan_of_a_killed_owner_is_ended(tmp_path: Path) -> None:
    """When the owner is SIGKILLed the broker lives on; the next start ends it and goes on."""
    code = (
        "import sys, time; from pathlib import Path; from smslab.kafka.apache import ApacheKafka\n"
        f"k = ApacheKafka(Path({str(tmp_path)!r})); k.start(); print(k.pid, flush=True)\n"
        "time.sleep(600)"
    )
    owner = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert owner.stdout is not None
    orphan = int(owner.stdout.readline())
    owner.kill()
    owner.communicate()
    assert start_time(orphan) is not None
    with ApacheKafka(tmp_path):
        assert start_time(orphan) is None


def test_memory_broker_has_all_topics_and_ends_with_its_owner() -> None:
    """The fallback serves our clients with the right partition counts, and leaves no process."""
    with open_kafka("memory", Path(), lambda _: None) as broker:
        assert broker.is_in_memory
        assert asyncio.run(publish_and_count(broker.bootstrap)) == 1
        assert asyncio.run(partition_counts(broker.bootstrap)) == {
            topic.name: topic.partitions for topic in TOPICS
        }
        pid = broker.pid
    assert pid is not None
    assert start_time(pid) is None


async def partition_counts(bootstrap: str) -> dict[str, int]:
    """Partitions per topic as a client sees them."""
    consumer = AIOKafkaConsumer(*(t.name for t in TOPICS), bootstrap_servers=bootstrap)
    await consumer.start()
    try:
        return {t.name: len(consumer.partitions_for_topic(t.name) or ()) for t in TOPICS}
    finally:
        await consumer.stop()


def test_auto_falls_back_loudly_when_the_download_is_impossible(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No Maven Central: the memory broker serves, and the notice says what that means."""

    def unreachable(_notice: object) -> list[str]:
        raise DownloadError("Maven Central is not reachable: offline")

    monkeypatch.setattr("smslab.kafka.jars.jars", unreachable)
    notices: list[str] = []
    with open_kafka("auto", tmp_path, notices.append) as broker:
        assert broker.is_in_memory
    assert any("IN-MEMORY KAFKA" in notice and "offline" in notice for notice in notices)
    with (
        pytest.raises(KafkaUnavailable, match="--kafka apache: Maven Central"),
        open_kafka("apache", tmp_path, notices.append),
    ):
        pass


@pytest.mark.parametrize(
    ("chosen", "sentence"),
    [
        ("nonsense", "--kafka == 'nonsense', must be auto, apache, memory or HOST:PORT"),
        (f"127.0.0.1:{free_ports(1)[0]}", "Kafka is not reachable at 127.0.0.1"),
    ],
    ids=["no choice", "absent"],
)
def test_a_broker_that_is_not_there_is_one_sentence(chosen: str, sentence: str) -> None:
    """Wrong choices and absent brokers are named, within seconds."""
    started = time.monotonic()
    with pytest.raises(KafkaUnavailable, match=sentence), open_kafka(chosen, Path(), print):
        pass
    assert time.monotonic() - started < 40


def test_an_existing_broker_gets_our_topics(own_kafka: ApacheKafka) -> None:
    """`--kafka HOST:PORT` uses the broker that is there and does not stop it."""
    with open_kafka(own_kafka.bootstrap, Path(), print) as broker:
        assert (broker.kind, broker.is_in_memory) == ("external", False)
    assert asyncio.run(is_reachable(own_kafka.bootstrap))
