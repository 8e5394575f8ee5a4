"""The worker as a process on a real broker: killed at any moment, its totals stay exact."""

from __future__ import annotations

import asyncio
import random
import resource
import time
from collections import Counter
from collections.abc import Sequence
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import duckdb
import pytest
from aiokafka import AIOKafkaConsumer
from confluent_kafka import Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from pipeline.join.cohorts import VECTOR
from pipeline.join.engine import JoinEngine
from pipeline.join.horizon import DAY_MS
from pipeline.roles import ALONE
from pipeline.settings import WorkerSettings
from pipeline.storage.reader import ResultsReader
from pipeline.storage.recount import recount_folder
from pipeline.watchdog import StalledError
from pipeline.worker import Worker
from runtime.kafka import KafkaPublisher, headers_of
from runtime.process import ExitCode
from schemas.codec import encode
from schemas.events import Event, ReceiptReceived, SubjectEvent
from schemas.subject import partition_of
from smslab.kafka.apache import ApacheKafka
from tests.support.worker import WorkerProcess, campaign_events, connection_report, definition

KEY = ("campaign_id", "variant_id", "cohort_start_ms", "cohort_width_ms", "dimension", "value")
RECEIPTS = "sms.message.receipt.v1"
GARBAGE = (b"", b"not json", b'{"type":"receipt_received"}', b"\xff\xfe", b"[1]")


def expected_cohorts(events: Sequence[SubjectEvent]) -> dict[tuple[Any, ...], list[int]]:
    """What one engine says that sees every distinct event once."""
    engine = JoinEngine()
    engine.define(definition())
    engine.apply(events)
    return engine.take().cohorts


def served_cohorts(data: Path) -> dict[tuple[Any, ...], list[int]]:
    """The same from the published file."""
    with duckdb.connect(data / "serve.duckdb", read_only=True) as connection:
        columns = [duckdb.ColumnExpression(name) for name in (*KEY, *VECTOR)]
        rows = connection.table("cohorts").select(*columns).fetchall()
    return {tuple(row[:6]): [int(n) for n in row[6:]] for row in rows if any(row[6:])}


async def publish_slowly(
    publisher: KafkaPublisher, events: Sequence[Event], per_second: int
) -> None:
    """Publish in small steps, so that kills fall into the stream."""
    failures: list[BaseException | None] = []
    for start in range(0, len(events), per_second // 20):
        for event in events[start : start + per_second // 20]:
            publisher.put_event(event, failures.append)
        await asyncio.sleep(0.05)
    await publisher.flush()
    assert failures == [None] * len(events)


async def dead_letter_reasons(bootstrap: str, count: int) -> list[str]:
    """Reasons of the first `count` records on the dead-letter topic."""
    consumer = AIOKafkaConsumer(
        f"{RECEIPTS}.dlq", bootstrap_servers=bootstrap, auto_offset_reset="earliest"
    )
    await consumer.start()
    try:
        async with asyncio.timeout(20):
            return [headers_of((await consumer.getone()).headers)["reason"] for _ in range(count)]
    finally:
        await consumer.stop()


@pytest.mark.kafka
@pytest.mark.crash
@pytest.mark.slow
async def test_killed_again_and_again_the_totals_are_exact(
    own_kafka: ApacheKafka, tmp_path: Path
) -> None:
    """SIGKILLs in mid-stream, duplicates and garbage: each distinct event counts exactly once."""
    events = campaign_events(recipients=4000, seed=7)
    rng = random.Random(3)
    stream = [e for event in events for e in [event] * (2 if rng.random() < 0.05 else 1)]
    data = tmp_path / "data"
    settings = {"FLUSH_RECORDS": 300, "FLUSH_MS": 20, "SNAPSHOT_MS": 200, "FACTS_S": 1}
    settings["PEOPLE_AT_HAND"] = 500  # of 4,000: most are on the shelf
    async with KafkaPublisher(own_kafka.bootstrap) as publisher:
        first = [definition(), connection_report()]
        publishing = asyncio.create_task(
            publish_slowly(publisher, [*stream[:3000], *first, *stream[3000:]], 800)
        )
        for number, garbage in enumerate(GARBAGE):
            publisher.put(RECEIPTS, number, None, garbage, lambda _: None)
        for _ in range(3):
            with WorkerProcess(own_kafka.bootstrap, data, **settings) as worker:
                await worker.until(lambda status: status["flushes"] >= 8)
                worker.kill()
        await publishing
        with WorkerProcess(own_kafka.bootstrap, data, **settings) as worker:
            total = len({event.event_id for event in events})
            await worker.until(lambda s: s["lag"] == 0 and s["events_applied"] >= total)
            started = time.monotonic()
            assert worker.stop() == ExitCode.DONE, worker.log
            assert time.monotonic() - started < 20
    assert served_cohorts(data) == expected_cohorts(events)
    found = recount_folder(data)
    assert found.agrees, found
    assert found.events == len(stream)
    assert Counter(await dead_letter_reasons(own_kafka.bootstrap, len(GARBAGE))).total() == 5
    with duckdb.connect(data / "serve.duckdb", read_only=True) as served:
        rejected = served.execute("SELECT record_offset FROM dead_letters").fetchall()
        assert len(rejected) == len(GARBAGE)
        info = served.execute("SELECT events_applied, duplicates_ignored FROM snapshot_info")
        assert info.fetchall() == [(total, len(stream) - total)]
        assert served.execute("SELECT state FROM connections").fetchall() == [("BOUND_TRX",)]
        lags = served.execute("SELECT sum(end_offset - next_offset) FROM lags").fetchall()
        assert lags == [(0,)]
        assert served.execute("SELECT count(*) > 0 FROM verdicts").fetchall() == [(True,)]


@pytest.mark.kafka
@pytest.mark.crash
async def test_a_second_worker_on_the_same_folder_ends(kafka: str, tmp_path: Path) -> None:
    """It ends with one sentence that names the setting; the first goes on."""
    with WorkerProcess(kafka, tmp_path) as first:
        await first.until(lambda status: bool(status["ready"]))
        with WorkerProcess(kafka, tmp_path) as second:
            assert await asyncio.to_thread(second.process.wait, 30) == ExitCode.WRONG_USE
            assert second.log.splitlines()[-1].startswith("error: SMS_WORKER_DATA == ")
            assert "Traceback" not in second.log
        assert first.process.poll() is None
        assert first.stop() == ExitCode.DONE


async def test_without_a_broker_it_says_so(tmp_path: Path) -> None:
    """One sentence with the setting, and the exit code for a dependency."""
    with WorkerProcess("127.0.0.1:1", tmp_path) as worker:
        assert await asyncio.to_thread(worker.process.wait, 30) == ExitCode.DEPENDENCY_UNREACHABLE
        assert "error: Kafka is not reachable at 127.0.0.1:1." in worker.log
        assert "Traceback" not in worker.log


@pytest.mark.kafka
@pytest.mark.crash
@pytest.mark.slow
async def test_partitions_that_leave_and_return_count_once(
    own_kafka: ApacheKafka, tmp_path: Path
) -> None:
    """A stranger joins the group in mid-stream and dies: what it took is read again, once."""
    events = campaign_events(recipients=3500, seed=8)
    settings = {"FLUSH_RECORDS": 300, "FLUSH_MS": 20, "SNAPSHOT_MS": 200}
    async with KafkaPublisher(own_kafka.bootstrap) as publisher:
        stream = [definition(), *events]
        with WorkerProcess(own_kafka.bootstrap, tmp_path / "one", **settings) as worker:
            await worker.until(lambda status: bool(status["ready"]))
            publishing = asyncio.create_task(publish_slowly(publisher, stream, 900))
            await worker.until(lambda status: status["flushes"] >= 3)
            with WorkerProcess(own_kafka.bootstrap, tmp_path / "two", **settings) as stranger:
                await stranger.until(lambda status: status["flushes"] >= 3)
                stranger.kill()
            await publishing
            await worker.until(lambda s: s["lag"] == 0 and s["events_applied"] >= len(events))
            assert worker.stop() == ExitCode.DONE, worker.log
    assert served_cohorts(tmp_path / "one") == expected_cohorts(events)


@pytest.mark.kafka
@pytest.mark.crash
async def test_a_full_disk_ends_the_process(own_kafka: ApacheKafka, tmp_path: Path) -> None:
    """It ends with an error instead of going on; with room again, nothing is missing."""
    events = campaign_events(recipients=1500, seed=9)
    async with KafkaPublisher(own_kafka.bootstrap) as publisher:
        with WorkerProcess(own_kafka.bootstrap, tmp_path) as worker:
            await worker.until(lambda status: bool(status["ready"]))
            size = (tmp_path / "state.duckdb").stat().st_size
            resource.prlimit(worker.process.pid, resource.RLIMIT_FSIZE, (size, size))
            await publish_slowly(publisher, [definition(), *events], 20_000)
            code = await asyncio.to_thread(worker.process.wait, 30)
            assert code not in (0, *ExitCode), worker.log
        with WorkerProcess(own_kafka.bootstrap, tmp_path) as worker:
            await worker.until(lambda s: s["lag"] == 0 and s["events_applied"] >= len(events))
            assert worker.stop() == ExitCode.DONE, worker.log
    assert served_cohorts(tmp_path) == expected_cohorts(events)


@pytest.mark.kafka
@pytest.mark.crash
@pytest.mark.slow
async def test_a_broker_that_dies_and_returns_is_waited_for(
    own_kafka: ApacheKafka, tmp_path: Path
) -> None:
    """The worker outlives a restart of the broker and goes on with what is new."""
    events = campaign_events(recipients=600, seed=10)
    half = len(events) // 2
    with WorkerProcess(own_kafka.bootstrap, tmp_path, SNAPSHOT_MS=200) as worker:
        async with KafkaPublisher(own_kafka.bootstrap) as publisher:
            await publish_slowly(publisher, [definition(), *events[:half]], 20_000)
        await worker.until(lambda status: status["events_applied"] >= half)
        await asyncio.to_thread(own_kafka.kill)
        # not by its lag: a verdict that was on its way to Kafka waits for it, and the lag with it
        await worker.until(lambda _: "Unable to update metadata" in worker.log)
        await asyncio.to_thread(own_kafka.start)
        async with KafkaPublisher(own_kafka.bootstrap) as publisher:
            await publish_slowly(publisher, events[half:], 20_000)
        await worker.until(lambda s: s["lag"] == 0 and s["events_applied"] >= len(events))
        assert worker.stop() == ExitCode.DONE, worker.log
    assert served_cohorts(tmp_path) == expected_cohorts(events)


@pytest.mark.kafka
@pytest.mark.crash
async def test_a_rebuild_gives_the_same_totals(own_kafka: ApacheKafka, tmp_path: Path) -> None:
    """Killed in the middle and started again: to the digit, and nobody sees half of it."""
    events = campaign_events(recipients=1500, seed=11)
    async with KafkaPublisher(own_kafka.bootstrap) as publisher:
        await publish_slowly(publisher, [definition(), *events], 20_000)
    with WorkerProcess(own_kafka.bootstrap, tmp_path) as worker:
        await worker.until(lambda s: s["lag"] == 0 and s["events_applied"] >= len(events))
        assert worker.stop() == ExitCode.DONE, worker.log
    before, verdicts = served_cohorts(tmp_path), served_verdicts(tmp_path)
    reader = ResultsReader(tmp_path / "serve.duckdb")  # inode and time: an inode is used again
    published = reader.generation()
    slow = {"FLUSH_RECORDS": 100, "SNAPSHOT_MS": 50}
    with WorkerProcess(own_kafka.bootstrap, tmp_path, "--rebuild", **slow) as worker:
        await worker.until(lambda status: status["flushes"] >= 2)
        worker.kill()
    assert reader.generation() == published
    with WorkerProcess(own_kafka.bootstrap, tmp_path, **slow) as worker:
        await worker.until(lambda s: s["lag"] == 0 and s["events_applied"] >= len(events))
        assert worker.stop() == ExitCode.DONE, worker.log
    assert reader.generation() != published
    assert served_cohorts(tmp_path) == before == expected_cohorts(events)
    assert served_verdicts(tmp_path) == verdicts
    assert recount_folder(tmp_path).agrees


def served_verdicts(data: Path) -> list[tuple[Any, ...]]:
    """The history of verdicts, as published."""
    with duckdb.connect(data / "serve.duckdb", read_only=True) as connection:
        return connection.execute("SELECT verdict, reason, decided_at_ms FROM verdicts").fetchall()


class StuckSource:
    """A source that has joined the group and brings nothing."""

    def failure(self) -> None:
        """Faust says that all is well."""

    def assigned(self) -> set[tuple[str, int]]:
        """Everything is ours."""
        return ALONE.partitions


class LateResults:
    """Records wait."""

    def lag_of(self, _: object) -> int:
        """As many."""
        return 5


async def test_a_stuck_consumer_ends_the_worker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Faust is content, the broker has records, nothing is stored: the worker says so and ends."""
    settings = WorkerSettings(kafka="127.0.0.1:1", data=tmp_path, watchdog_s=30)
    worker = Worker(settings)
    monkeypatch.setattr(worker, "_source", StuckSource())
    monkeypatch.setattr(worker, "_results", LateResults())
    monkeypatch.setattr("pipeline.worker.LOOK_S", 0)
    monkeypatch.setattr("pipeline.worker.time", SimpleNamespace(monotonic=count(0, 7).__next__))
    with pytest.raises(StalledError, match="5 records wait and none was stored for 30 s"):
        await worker._watch()


@pytest.mark.kafka
async def test_what_retention_took_is_a_gap(own_kafka: ApacheKafka, tmp_path: Path) -> None:
    """Records removed while the worker was away are a row with their number, and it goes on."""
    events = [e for e in campaign_events(recipients=200, seed=12) if isinstance(e, ReceiptReceived)]
    with WorkerProcess(own_kafka.bootstrap, tmp_path) as worker:
        await worker.until(lambda status: bool(status["ready"]))
        assert worker.stop() == ExitCode.DONE, worker.log
    async with KafkaPublisher(own_kafka.bootstrap) as publisher:
        await publish_slowly(publisher, events, 20_000)
    partitions = [TopicPartition(RECEIPTS, number, -1) for number in range(12)]
    admin = AdminClient({"bootstrap.servers": own_kafka.bootstrap})
    removed = [f.result(10).low_watermark for f in admin.delete_records(partitions).values()]
    assert sum(removed) == len(events)
    with WorkerProcess(own_kafka.bootstrap, tmp_path) as worker:
        await worker.until(lambda s: bool(s["ready"]) and s["lag"] == 0)
        assert "Kafka removed records before they were read" in worker.log
        await worker.until(lambda _: f"missing_records {len(events)}.0" in worker.metrics())
        assert worker.stop() == ExitCode.DONE, worker.log
    with duckdb.connect(tmp_path / "serve.duckdb", read_only=True) as served:
        found = "SELECT sum(missing), bool_and(written_after_ms < seen_at_ms) FROM gaps"
        assert served.execute(found).fetchall() == [(len(events), True)]
        left = served.execute("SELECT DISTINCT written_before_ms FROM gaps").fetchall()
        assert left == [(None,)], "nothing is left"


def publish_at(kafka: ApacheKafka, events: Sequence[ReceiptReceived], at_ms: int) -> dict[int, int]:
    """Publish with Kafka's time set, one after the other; partition → time of its last record."""
    producer = Producer({"bootstrap.servers": kafka.bootstrap})
    last = {}
    for time_ms, event in enumerate(events, at_ms):
        place = partition_of(event.subject)
        last[place] = time_ms
        producer.produce(RECEIPTS, encode(event), event.subject, place, timestamp=time_ms)
    assert producer.flush(20) == 0
    return last


@pytest.mark.kafka
async def test_a_new_folder_on_an_old_kafka_holds_its_loss_against_old_campaigns_only(
    own_kafka: ApacheKafka, tmp_path: Path
) -> None:
    """What the first record left follows was written before a later campaign was defined."""
    now_ms = time.time_ns() // 1_000_000
    events = [e for e in campaign_events(recipients=200, seed=12) if isinstance(e, ReceiptReceived)]
    last = publish_at(own_kafka, events, now_ms - 3 * DAY_MS)
    admin = AdminClient({"bootstrap.servers": own_kafka.bootstrap})
    sizes = Counter(partition_of(event.subject) for event in events)
    cut = [TopicPartition(RECEIPTS, place, size - 1) for place, size in sizes.items() if size > 1]
    for removed in admin.delete_records(cut).values():
        removed.result(10)
    async with KafkaPublisher(own_kafka.bootstrap) as publisher:
        for name, at_ms in (("old", now_ms - 4 * DAY_MS), ("new", now_ms)):
            await publisher.publish(definition(name, occurred_at_ms=at_ms))
    with WorkerProcess(own_kafka.bootstrap, tmp_path) as worker:
        await worker.until(lambda s: bool(s["ready"]) and s["lag"] == 0)
        await worker.until(
            lambda _: f"missing_records {len(events) - len(last)}.0" in worker.metrics()
        )
        assert worker.stop() == ExitCode.DONE, worker.log
    with duckdb.connect(tmp_path / "serve.duckdb", read_only=True) as served:
        found = dict(served.execute('SELECT "partition", written_before_ms FROM gaps').fetchall())
        lights = "SELECT campaign_id, status FROM health_checks WHERE \"check\" = 'nothing_lost'"
        assert found == {tp.partition: last[tp.partition] for tp in cut}
        assert dict(served.execute(lights).fetchall()) == {"old": "bad", "new": "ok"}
