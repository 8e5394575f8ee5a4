"""Several workers and a sink as processes on a real broker: whatever happens, totals are exact."""

from __future__ import annotations

import asyncio
from pathlib import Path

import duckdb
import pytest

from runtime.kafka import KafkaPublisher
from runtime.process import ExitCode
from schemas.topics import SUBJECT_PARTITIONS
from smslab.kafka.apache import ApacheKafka
from tests.pipeline.test_worker import expected_cohorts, publish_slowly, served_cohorts
from tests.support.worker import WorkerProcess, campaign_events, definition

SETTINGS = {"FLUSH_RECORDS": 300, "FLUSH_MS": 20, "SNAPSHOT_MS": 200}


def member(kafka: ApacheKafka, data: Path) -> WorkerProcess:
    """One more worker."""
    return WorkerProcess(kafka.bootstrap, data, "--member", **SETTINGS)


@pytest.mark.kafka
@pytest.mark.crash
@pytest.mark.slow
async def test_killed_added_and_stopped_under_load_the_totals_are_exact(
    own_kafka: ApacheKafka, tmp_path: Path
) -> None:
    """One worker is killed, one added, one stopped, and the sink killed: nothing lost or twice."""
    events = campaign_events(recipients=6000, seed=11)
    data = tmp_path / "data"
    async with KafkaPublisher(own_kafka.bootstrap) as publisher:
        publishing = asyncio.create_task(
            publish_slowly(publisher, [*events[:2000], definition(), *events[2000:]], 350)
        )
        sink = WorkerProcess(own_kafka.bootstrap, data, "--sink", **SETTINGS)
        with sink, member(own_kafka, data) as first, member(own_kafka, data) as second:
            await first.until(lambda s: s["flushes"] >= 5 and s["ready"])
            await second.until(lambda s: s["flushes"] >= 5 and s["ready"])
            second.kill()
            await first.until(lambda s: len(s["partitions"]) == SUBJECT_PARTITIONS)
            with member(own_kafka, data) as third:
                await third.until(lambda s: s["flushes"] >= 5 and s["ready"])
                sink.kill()
                assert first.stop() == ExitCode.DONE, first.log
                await third.until(lambda s: len(s["partitions"]) == SUBJECT_PARTITIONS)
                await publishing
                with WorkerProcess(own_kafka.bootstrap, data, "--sink", **SETTINGS) as again:
                    total = len({event.event_id for event in events})
                    await again.until(lambda s: s["lag"] == 0 and s["events_applied"] >= total)
                    assert third.stop() == ExitCode.DONE, third.log
                    assert again.stop() == ExitCode.DONE, again.log
    assert served_cohorts(data) == expected_cohorts(events)
    with duckdb.connect(data / "serve.duckdb", read_only=True) as served:
        counted = served.execute("SELECT events_applied, duplicates_ignored FROM snapshot_info")
        assert counted.fetchall() == [(total, 0)]
        assert len(served.execute("FROM partitions").fetchall()) == SUBJECT_PARTITIONS
