"""The Kafka publisher on a real broker."""

from __future__ import annotations

import asyncio
import uuid

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from runtime.kafka import KafkaPublisher, PublishError, headers_of
from runtime.topics import (
    DEAD_LETTER_RETENTION_MS,
    TopicError,
    ensure_topics,
    is_reachable,
)
from schemas.codec import decode
from schemas.events import ConversionRecorded
from schemas.subject import SubjectKey, Tokenizer, partition_of
from schemas.topics import (
    CONVERSION_RECORDED,
    MESSAGE_RECEIPT,
    OUTBOUND_REQUESTED,
    RESTRICTED_RETENTION_MS,
    Topic,
)
from smslab.kafka.apache import ApacheKafka

pytestmark = pytest.mark.kafka
TOKENIZER = Tokenizer(SubjectKey("k1", b"k" * 32))


def conversion(number: int, run: str) -> ConversionRecorded:
    """The n-th event of a run."""
    return ConversionRecorded(
        event_id=f"{run}-{number}",
        occurred_at_ms=number,
        subject=TOKENIZER.token(str(8613800000000 + number % 50)),
        conversion_id=f"{run}-{number}",
        goal="order",
        value_minor=number,
        currency="CNY",
    )


async def read_all(bootstrap: str, topic: str, count: int, run: str) -> list[ConversionRecorded]:
    """The run's events in partition order."""
    consumer = AIOKafkaConsumer(
        topic, bootstrap_servers=bootstrap, auto_offset_reset="earliest", group_id=None
    )
    await consumer.start()
    found: list[ConversionRecorded] = []
    try:
        async with asyncio.timeout(20):
            while len(found) < count:
                for tp, records in (await consumer.getmany(timeout_ms=200)).items():
                    events = [decode(record.value) for record in records]
                    mine = [e for e in events if e.event_id.startswith(run)]
                    assert all(partition_of(e.subject) == tp.partition for e in mine)
                    found += mine
    finally:
        await consumer.stop()
    return found


async def test_every_event_arrives_once_in_its_person_s_partition_in_order(kafka: str) -> None:
    """5,000 events of 50 people: all there, none twice, each person's in the order put."""
    run = uuid.uuid4().hex
    errors: list[BaseException | None] = []
    async with KafkaPublisher(kafka) as publisher:
        for number in range(5000):
            publisher.put_event(conversion(number, run), errors.append)
        await publisher.flush()
        assert publisher.pending == publisher.pending_bytes == 0
    assert errors == [None] * 5000
    found = await read_all(kafka, CONVERSION_RECORDED.name, 5000, run)
    assert len({event.event_id for event in found}) == len(found) == 5000
    for subject in {event.subject for event in found}:
        values = [event.value_minor for event in found if event.subject == subject]
        assert values == sorted(values)


async def test_whoever_fails_on_an_answer_keeps_it_from_nobody_else(
    kafka: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Its neighbours in the batch, and what waits behind it, are told; the log says where."""
    run = uuid.uuid4().hex
    told: list[BaseException | None] = []

    def fails(_error: BaseException | None) -> None:
        raise KeyError("8613800000000")

    async with KafkaPublisher(kafka) as publisher:
        for done in (told.append, fails, told.append):
            publisher.put_event(conversion(0, run), done)
        await publisher.flush()
        assert publisher.pending == 0
    assert told == [None, None]
    (said,) = (record for record in caplog.records if record.levelname == "ERROR")
    assert vars(said)["fields"]["error"] == "KeyError"
    assert "86138" not in repr(vars(said))


async def test_a_stopped_broker_loses_nothing_that_was_acknowledged(
    own_kafka: ApacheKafka,
) -> None:
    """Events put while the broker is SIGKILLed are acknowledged after it is back, and are there."""
    run = uuid.uuid4().hex
    async with KafkaPublisher(own_kafka.bootstrap) as publisher:
        await publisher.publish(conversion(0, run))
        await asyncio.to_thread(own_kafka.kill)
        waiting = [publisher.publish(conversion(number, run)) for number in range(1, 200)]
        await asyncio.sleep(0)
        assert publisher.pending == 199
        await asyncio.to_thread(own_kafka.start)
        async with asyncio.timeout(60):
            await asyncio.gather(*waiting)
    found = await read_all(own_kafka.bootstrap, CONVERSION_RECORDED.name, 200, run)
    assert {event.event_id for event in found} == {f"{run}-{n}" for n in range(200)}


async def test_a_batch_never_gets_too_old_to_be_sent(kafka: str) -> None:
    """Aiokafka drops an old batch whose partition has no leader; guards its private names."""
    async with KafkaPublisher(kafka) as publisher:
        builder = publisher._producer.create_batch()
        partition = TopicPartition(CONVERSION_RECORDED.name, 0)
        accumulator = publisher._producer._message_accumulator
        batch = accumulator._append_batch(builder, partition)
        batch._ctime -= 1e9
        assert not batch.expired()
        accumulator._batches.clear()


async def test_dead_letter_keeps_the_bytes_and_says_why(kafka: str) -> None:
    """The original bytes and the reason are on `<topic>.dlq`."""
    marker = uuid.uuid4().hex
    done: asyncio.Future[BaseException | None] = asyncio.get_running_loop().create_future()
    async with KafkaPublisher(kafka) as publisher:
        publisher.dead_letter(
            CONVERSION_RECORDED.name,
            b"\xff" + marker.encode(),
            "not JSON",
            done.set_result,
            partition=3,
        )
        assert await done is None
    consumer = AIOKafkaConsumer(
        CONVERSION_RECORDED.dead_letters,
        bootstrap_servers=kafka,
        auto_offset_reset="earliest",
        group_id=None,
    )
    await consumer.start()
    try:
        async with asyncio.timeout(20):
            while (record := await consumer.getone()).value != b"\xff" + marker.encode():
                pass
    finally:
        await consumer.stop()
    assert headers_of(record.headers) == {"reason": "not JSON", "partition": "3"}


async def test_a_record_too_large_for_a_batch_is_the_callers_mistake(kafka: str) -> None:
    """It raises at once and leaves nothing pending."""
    async with KafkaPublisher(kafka) as publisher:
        with pytest.raises(ValueError, match="must be at most"):
            publisher.put("sms.link.clicked.v1", 0, None, b"x" * 2_000_000, lambda _: None)
        assert publisher.pending == 0


async def test_unknown_topic_is_reported_as_publish_error(kafka: str) -> None:
    """A broker that refuses a record gives an error, not silence."""
    done: asyncio.Future[BaseException | None] = asyncio.get_running_loop().create_future()
    async with KafkaPublisher(kafka) as publisher:
        publisher.put("sms.no.such.v1", 0, None, b"x", done.set_result)
        async with asyncio.timeout(90):
            assert isinstance(await done, PublishError)


async def test_a_topic_with_another_partition_count_is_refused(kafka: str) -> None:
    """Partition counts are for ever: a difference stops the start with a sentence."""
    topic = Topic(f"sms.test.{uuid.uuid4().hex}.v1", ConversionRecorded, "subject", 3)
    await ensure_topics(kafka, [topic])
    await ensure_topics(kafka, [topic])
    other = Topic(topic.name, ConversionRecorded, "subject", 4)
    with pytest.raises(TopicError, match="has 3 partitions, must have 4"):
        await ensure_topics(kafka, [other])


async def test_is_reachable_tells_a_broker_from_a_closed_port(kafka: str) -> None:
    """True for the broker, False within the time-out for nobody."""
    assert await is_reachable(kafka)
    assert not await is_reachable("127.0.0.1:1", timeout_s=2)


async def test_unreadable_requests_are_kept_no_longer_than_requests(kafka: str) -> None:
    """They hold numbers and texts; other dead letters have a month."""
    names = (OUTBOUND_REQUESTED.dead_letters, MESSAGE_RECEIPT.dead_letters)
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    try:
        resources = [ConfigResource(ConfigResourceType.TOPIC, name) for name in names]
        (answer,) = await admin.describe_configs(resources)
    finally:
        await admin.close()
    kept = {
        name: int(next(value for key, value, *_ in entries if key == "retention.ms"))
        for *_, name, entries in answer.resources
    }
    assert [kept[name] for name in names] == [RESTRICTED_RETENTION_MS, DEAD_LETTER_RETENTION_MS]
