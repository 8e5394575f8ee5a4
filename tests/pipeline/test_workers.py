"""Several workers and a sink as processes on a real broker: whatever happens, totals are exact."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import duckdb
import pytest

from pipeline.storage.recount import recount_folder
from runtime.kafka import KafkaPublisher
from runtime.process import ExitCode
from schemas.events import Event
from schemas.topics import SUBJECT_PARTITIONS
from smslab.kafka.apache import ApacheKafka
from tests.pipeline.test_worker import (
    expected_cohorts,
    publish_slowly,
    served_cohorts,
    served_verdicts,
)
from tests.support.worker import WorkerProcess, campaign_events, definition

SETTINGS = {
    "FLUSH_RECORDS": 300,
    "FLUSH_MS": 20,
    "SNAPSHOT_MS": 200,
    "PEOPLE_AT_HAND": 1200,
    "FACTS_S": 2,
}


def member(kafka: ApacheKafka, data: Path) -> WorkerProcess:
    """One more worker."""
    return WorkerProcess(kafka.bootstrap, data, "--member", **SETTINGS)


def has_all(status: Mapping[str, Any]) -> bool:
    """Whether a worker has taken over everything."""
    return len(status["partitions"]) == SUBJECT_PARTITIONS


async def both_share(*workers: WorkerProcess) -> None:
    """Wait until each has partitions: load that has run out before gives the later one nothing."""
    for worker in workers:
        await worker.until(
            lambda s: s["ready"] and 0 < len(s["partitions"]) < SUBJECT_PARTITIONS, 120
        )


async def both_count(*workers: WorkerProcess) -> None:
    """Wait until each has stored something of its own."""
    for worker in workers:
        await worker.until(lambda s: s["ready"] and s["flushes"] >= 5, 120)


async def all_in_files(data: Path) -> None:
    """Wait until the sink lists files of everything; a member that has stopped wrote the last."""
    async with asyncio.timeout(60):
        while (await asyncio.to_thread(recount_folder, data)).waiting:  # noqa: ASYNC110 - a file
            await asyncio.sleep(0.1)


async def replaced(data: Path, snapshot: int) -> None:
    """Wait for a snapshot other than that of this time."""
    async with asyncio.timeout(60):
        while (data / "serve.duckdb").stat().st_mtime_ns == snapshot:  # noqa: ASYNC110 - a file
            await asyncio.sleep(0.1)


class Load:
    """Publishes a campaign in parts, each while something happens to the workers."""

    def __init__(self, publisher: KafkaPublisher, events: Sequence[Event], parts: int) -> None:
        self._publisher = publisher
        size = -(-len(events) // parts)
        self._parts = [events[start : start + size] for start in range(0, len(events), size)]

    @asynccontextmanager
    async def flowing(self) -> AsyncIterator[None]:
        """The next part flows while the block runs, and is published whole at its end."""
        part = self._parts.pop(0)
        flowing = asyncio.create_task(publish_slowly(self._publisher, part, 800))
        try:
            yield
        finally:
            await flowing


@pytest.mark.kafka
@pytest.mark.crash
@pytest.mark.slow
async def test_killed_added_and_stopped_under_load_the_totals_are_exact(
    own_kafka: ApacheKafka, tmp_path: Path
) -> None:
    """One worker is killed, one added, one stopped, and the sink killed: nothing lost or twice."""
    events = campaign_events(recipients=4000, seed=11)
    data = tmp_path / "data"
    async with KafkaPublisher(own_kafka.bootstrap) as publisher:
        load = Load(publisher, [*events[:2000], definition(), *events[2000:]], parts=5)
        sink = WorkerProcess(own_kafka.bootstrap, data, "--sink", **SETTINGS)
        with sink, member(own_kafka, data) as first, member(own_kafka, data) as second:
            await both_share(first, second)
            async with load.flowing():
                await both_count(first, second)
            async with load.flowing():
                second.kill()
                await first.until(has_all, 120)
            async with load.flowing():
                third = member(own_kafka, data)
                await third.until(lambda s: s["ready"] and s["partitions"], 120)
            with third:
                async with load.flowing():
                    await both_count(first, third)
                    sink.kill()
                async with load.flowing():
                    assert first.stop() == ExitCode.DONE, first.log
                    await third.until(has_all, 120)
                total = len({event.event_id for event in events})
                with WorkerProcess(own_kafka.bootstrap, data, "--sink", **SETTINGS) as again:
                    await again.until(lambda s: s["lag"] == 0 and s["events_applied"] >= total, 120)
                    assert third.stop() == ExitCode.DONE, third.log
                    await all_in_files(data)
                    assert again.stop() == ExitCode.DONE, again.log
    assert served_cohorts(data) == expected_cohorts(events)
    found = recount_folder(data)
    assert found.agrees, found
    assert found.events == len(events)
    with duckdb.connect(data / "serve.duckdb", read_only=True) as served:
        counted = served.execute("SELECT events_applied, duplicates_ignored FROM snapshot_info")
        assert counted.fetchall() == [(total, 0)]
        assert len(served.execute("FROM partitions").fetchall()) == SUBJECT_PARTITIONS


@pytest.mark.kafka
@pytest.mark.crash
@pytest.mark.slow
async def test_a_worker_that_wakes_up_late_counts_nothing_twice(
    own_kafka: ApacheKafka, tmp_path: Path
) -> None:
    """Stopped until the group has forgotten it, a worker keeps its partitions; others go on."""
    events = campaign_events(recipients=2000, seed=13)
    total = len({event.event_id for event in events})
    data = tmp_path / "data"
    async with KafkaPublisher(own_kafka.bootstrap) as publisher:
        load = Load(publisher, [definition(), *events], parts=4)
        sink = WorkerProcess(own_kafka.bootstrap, data, "--sink", **SETTINGS)
        with sink, member(own_kafka, data) as sleeper, member(own_kafka, data) as other:
            await both_share(sleeper, other)
            async with load.flowing():
                await both_count(sleeper, other)
            async with load.flowing():
                sleeper.process.send_signal(signal.SIGSTOP)
                status = await other.until(lambda s: not s["ready"])
                assert 0 < len(status["partitions"]) < SUBJECT_PARTITIONS
            counted = other.status()["events_applied"]
            async with load.flowing():
                await other.until(lambda s: s["events_applied"] > counted)
            async with load.flowing():
                sleeper.process.send_signal(signal.SIGCONT)
                await other.until(lambda s: s["ready"])
                await sleeper.until(lambda s: s["ready"])
            await sink.until(lambda s: s["lag"] == 0 and s["events_applied"] >= total)
            assert sink.stop() == ExitCode.DONE, sink.log
    assert served_cohorts(data) == expected_cohorts(events)
    with duckdb.connect(data / "serve.duckdb", read_only=True) as served:
        counted = served.execute("SELECT events_applied, duplicates_ignored FROM snapshot_info")
        assert counted.fetchall() == [(total, 0)]


@pytest.mark.kafka
@pytest.mark.crash
@pytest.mark.soak
async def test_counted_again_the_totals_are_the_same(
    own_kafka: ApacheKafka, tmp_path: Path
) -> None:
    """Refused while a member works; then killed in the middle and gone on with: to the digit."""
    events = campaign_events(recipients=800, seed=17)
    kafka, data = own_kafka.bootstrap, tmp_path / "data"
    async with KafkaPublisher(kafka) as publisher:
        await publish_slowly(publisher, [definition(), *events], 20_000)
    with (
        WorkerProcess(kafka, data, "--sink", **SETTINGS) as sink,
        member(own_kafka, data) as worker,
    ):
        await sink.until(lambda s: s["lag"] == 0 and s["events_applied"] >= len(events), 120)
        assert sink.stop() == ExitCode.DONE, sink.log
        with WorkerProcess(kafka, data, "--sink", "--rebuild") as refused:
            assert await asyncio.to_thread(refused.process.wait, 60) == ExitCode.WRONG_USE
            assert "a worker works in this folder" in refused.log
        assert worker.stop() == ExitCode.DONE, worker.log
    before, verdicts = served_cohorts(data), served_verdicts(data)
    snapshot = (data / "serve.duckdb").stat().st_mtime_ns
    slow = SETTINGS | {"FLUSH_RECORDS": 50}
    with WorkerProcess(kafka, data, "--sink", "--rebuild", **slow) as sink:
        await sink.until(lambda s: s["lag"] is not None and not s["events_applied"])
        with WorkerProcess(kafka, data, "--member", **slow) as worker:
            await sink.until(lambda s: s["events_applied"] > 0)
            sink.kill()
            worker.kill()
    with WorkerProcess(kafka, data, "--sink", **slow) as sink, member(own_kafka, data) as worker:
        await sink.until(lambda s: s["lag"] == 0 and s["events_applied"] >= len(events), 120)
        await replaced(data, snapshot)  # which lists files that are gone
        await all_in_files(data)  # a member that stops may leave the last to the next owner
        assert worker.stop() == ExitCode.DONE, worker.log
        assert sink.stop() == ExitCode.DONE, sink.log
    assert served_cohorts(data) == before == expected_cohorts(events)
    assert served_verdicts(data) == verdicts
    assert recount_folder(data).agrees


@pytest.mark.kafka
@pytest.mark.crash
@pytest.mark.soak
async def test_the_broker_is_killed_while_several_count(
    own_kafka: ApacheKafka, tmp_path: Path
) -> None:
    """Twice under load; members and sink live on or are started again: totals are exact."""
    events = campaign_events(recipients=2500, seed=19)
    total, data = len({event.event_id for event in events}), tmp_path / "data"
    async with KafkaPublisher(own_kafka.bootstrap) as publisher:
        load = Load(publisher, [definition(), *events], parts=3)
        sink = WorkerProcess(own_kafka.bootstrap, data, "--sink", **SETTINGS)
        with sink, member(own_kafka, data) as first, member(own_kafka, data) as second:
            await both_share(first, second)
            async with load.flowing():
                await both_count(first, second)
            for _ in range(2):
                async with load.flowing():
                    await asyncio.to_thread(own_kafka.kill)
                    await asyncio.to_thread(own_kafka.start)
            await sink.until(lambda s: s["lag"] == 0 and s["events_applied"] >= total, 180)
            await all_in_files(data)
            for worker in (first, second):
                assert worker.stop() == ExitCode.DONE, worker.log
            assert sink.stop() == ExitCode.DONE, sink.log
    assert served_cohorts(data) == expected_cohorts(events)
    found = recount_folder(data)
    assert found.agrees, found
    with duckdb.connect(data / "serve.duckdb", read_only=True) as served:
        counted = served.execute("SELECT events_applied, duplicates_ignored FROM snapshot_info")
        assert counted.fetchall() == [(total, 0)]


@pytest.mark.kafka
async def test_a_folder_that_was_filled_otherwise_is_refused(
    own_kafka: ApacheKafka, tmp_path: Path
) -> None:
    """Another role, or another folder for what was counted: a sentence, and nothing is changed."""
    with member(own_kafka, tmp_path / "several") as worker:
        await worker.until(has_all)
        await worker.until(lambda s: s["ready"])
    refused = {
        "does not continue": WorkerProcess(own_kafka.bootstrap, tmp_path / "several"),
        "holds what was counted": member(own_kafka, tmp_path / "elsewhere"),
    }
    for sentence, process in refused.items():
        with process:
            assert await asyncio.to_thread(process.process.wait, 60) == ExitCode.WRONG_USE
            assert sentence in process.log
