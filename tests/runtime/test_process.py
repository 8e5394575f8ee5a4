"""Logs, health and the process frame."""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import os
import signal
import weakref

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.health import serve_health
from runtime.logs import JsonFormatter, mask
from runtime.process import (
    CannotRun,
    ExitCode,
    garbage_by_the_clock,
    port_in_use,
    run_process,
)
from tests.support.topics import wait_until


@given(st.from_regex(r"[1-9][0-9]{9,14}", fullmatch=True))
def test_phone_numbers_are_masked_in_logs(msisdn: str) -> None:
    """A number that slips into a message does not reach the log."""
    assert msisdn not in mask(f"peer sent {msisdn}, +{msisdn}: refused")


def test_a_log_line_is_one_json_object_without_numbers() -> None:
    """Message, extra fields and the exception are masked; times are UTC."""
    exc_info = (ValueError, ValueError("bad address 8613800000001"), None)
    record = logging.LogRecord("x", logging.INFO, "f", 1, "to %s", ("8613800000001",), exc_info)
    record.fields = {"peer": "8613800000001", "count": 3}
    line = JsonFormatter("bridge").format(record)
    assert "8613800000001" not in line
    parsed = json.loads(line)
    assert (parsed["process"], parsed["count"], parsed["message"]) == ("bridge", 3, "to [number]")
    assert "\n" not in line


async def test_health_says_alive_and_ready_apart() -> None:
    """`/healthz` is 200 while the process lives, `/readyz` only while it does its work."""
    state = {"ready": False, "bound": 0}
    async with (
        serve_health("127.0.0.1", 0, lambda: state) as port,
        aiohttp.ClientSession(f"http://127.0.0.1:{port}") as client,
    ):
        async with client.get("/healthz") as answer:
            assert answer.status == 200
        async with client.get("/readyz") as answer:
            assert (answer.status, await answer.json()) == (503, state)
        state["ready"] = True
        async with client.get("/readyz") as answer:
            assert answer.status == 200


def test_sigterm_sets_stop_and_the_exit_code_is_zero() -> None:
    """A process that is asked to stop ends by itself, cleanly."""

    async def main(stop: asyncio.Event) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        await stop.wait()

    assert run_process(main) == ExitCode.DONE


def test_cannot_run_is_one_sentence_and_its_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    """What a user can mend is one line on stderr, without a traceback."""

    async def main(_stop: asyncio.Event) -> None:
        raise port_in_use("SMS_TRACKING_PORT", "127.0.0.1", 8090)

    assert run_process(main) == ExitCode.DEPENDENCY_UNREACHABLE
    error = capsys.readouterr().err
    assert error.startswith("error: SMS_TRACKING_PORT == 8090")
    assert len(error.splitlines()) == 1


def test_a_defect_keeps_its_traceback() -> None:
    """Only `CannotRun` is turned into a sentence."""

    async def main(_stop: asyncio.Event) -> None:
        raise KeyError("defect")

    with pytest.raises(KeyError):
        run_process(main)
    assert CannotRun("x").code is ExitCode.WRONG_USE


class Knot:
    """Holds itself."""

    def __init__(self) -> None:
        self.me = self


async def test_cycles_go_by_the_clock_and_not_by_count() -> None:
    """Inside the block many objects start nothing; an interval does. Outside all is as before."""
    before = gc.get_threshold()
    with garbage_by_the_clock(every_s=0.2):
        knot = weakref.ref(Knot())
        assert [[] for _ in range(before[0] * 2)]
        assert knot() is not None
        await wait_until(lambda: knot() is None)
    assert gc.get_threshold() == before
    gc.unfreeze()
