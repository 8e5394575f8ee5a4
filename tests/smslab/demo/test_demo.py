"""The whole way on real parts, as a person starts it."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import pytest

from tests.support.demo import Demo

STOP_WITHIN_S = 30.0
"""The stack kills after 8 s what does not end; a busy machine takes its time to tell."""

pytestmark = [pytest.mark.kafka, pytest.mark.slow]


async def test_ctrl_c_stops_everything(tmp_path: Path) -> None:
    """Soon no process that it started is left, and the screen says so in one word."""
    with Demo(tmp_path, "--messages", "3000") as demo:
        await demo.until(lambda: demo.submitted() > 100)
        assert len(demo.children()) >= 6
        started = time.monotonic()
        demo.process.send_signal(signal.SIGINT)
        assert await demo.ended() == 130, demo.said
        assert time.monotonic() - started < STOP_WITHIN_S
        assert demo.children() == []
        assert "Stopped." in demo.said
        assert "Traceback" not in demo.said


async def test_the_in_memory_broker_carries_a_demo_too(tmp_path: Path) -> None:
    """Small, loudly announced, and just as exact."""
    arguments = ("--messages", "300", "--kafka", "memory", "--exit", "--json")
    with Demo(tmp_path, *arguments) as demo:
        assert await demo.ended() == 0, demo.said
        report = demo.report()
        assert (report["lost"], report["counted_twice"]) == (0, 0)
        assert report["counted"]["total"]["submitted"] == 300
        assert "IN-MEMORY" in demo.said
