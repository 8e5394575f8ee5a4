"""The whole system with two workers and a sink: what the simulator did is what was counted."""

from __future__ import annotations

from pathlib import Path

import pytest

from runtime.process import ExitCode
from schemas.topics import SUBJECT_PARTITIONS
from smslab.kafka.apache import ApacheKafka
from tests.support.demo import Demo
from tests.support.worker import WorkerProcess

MESSAGES = 3_000


@pytest.mark.kafka
@pytest.mark.crash
@pytest.mark.soak
async def test_the_ledger_agrees_whatever_happens_to_the_workers(
    own_kafka: ApacheKafka, tmp_path: Path
) -> None:
    """Under load one worker is killed, one added, one stopped, the sink killed: lost 0, twice 0."""
    arguments = ("--workers", "2", "--messages", str(MESSAGES), "--rate", "40")
    arguments += ("--kafka", own_kafka.bootstrap, "--exit", "--json")
    with Demo(tmp_path, *arguments) as demo:
        await demo.until(lambda: demo.submitted() > 100)
        demo.kill("worker-1")
        with WorkerProcess(own_kafka.bootstrap, demo.folder / "worker", "--member") as third:
            await third.until(lambda s: s["ready"] and len(s["partitions"]) > 0)
            seen = demo.submitted()
            await demo.until(lambda: demo.submitted() > seen)
            demo.kill("worker")
            assert len(third.status()["partitions"]) < SUBJECT_PARTITIONS
            assert third.stop() == ExitCode.DONE, third.log
            assert demo.submitted() < MESSAGES, "this came after the load"
        assert await demo.ended() == 0, demo.said
        report = demo.report()
    assert (report["lost"], report["counted_twice"]) == (0, 0)
    assert report["counted"]["total"]["submitted"] == MESSAGES
    assert report["unknown"] == 0
