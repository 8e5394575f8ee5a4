"""Starting, restarting and stopping children, with small programs in place of ours."""

from __future__ import annotations

import asyncio
import os
import signal
import textwrap
from pathlib import Path

import pytest

from runtime.process import CannotRun, ExitCode
from smslab.kafka.sockets import free_ports, start_time
from smslab.stack import Child, Stack, children

SERVER = """
import http.server, os, signal, sys, pathlib
pathlib.Path(os.environ["TRACE"]).open("a").write(f"start {os.getpid()}\\n")
class Ready(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
    def log_message(self, *_):
        pass
def stop(*_):
    pathlib.Path(os.environ["TRACE"]).open("a").write(f"stop {os.environ['NAME']}\\n")
    os._exit(0)
signal.signal(signal.SIGTERM, stop)
http.server.HTTPServer(("127.0.0.1", int(os.environ["PORT"])), Ready).serve_forever()
"""
STARTS_AND_TIMES_AWAY = """
import os, pathlib, sys
count = pathlib.Path(os.environ["TRACE"] + ".count")
count.open("a").write("x")
if 1 < len(count.read_text()) <= 1 + {away}:
    sys.exit(print("error: nobody there", file=sys.stderr) or 3)
"""


def program(folder: Path, source: str) -> str:
    """A module that `python -m` finds."""
    (folder / "childprogram.py").write_text(textwrap.dedent(source))
    return "childprogram"


def child(folder: Path, name: str, module: str) -> Child:
    """One child on a free port."""
    (port,) = free_ports(1)
    environment = {
        "PORT": str(port),
        "NAME": name,
        "TRACE": str(folder / "trace"),
        "PYTHONPATH": str(folder),
    }
    return Child(name, (module,), environment, f"http://127.0.0.1:{port}/")


def pid_of(folder: Path, name: str) -> int:
    """Of a running child."""
    return int((folder / "pids" / f"{name}.pid").read_text().split()[0])


async def test_children_stop_in_reverse_order(tmp_path: Path) -> None:
    """The last one started is the first one stopped; none is left, nor its pid file."""
    module = program(tmp_path, SERVER)
    async with Stack(tmp_path, lambda _: None) as stack:
        for name in ("one", "two", "three"):
            await stack.start(child(tmp_path, name, module))
        pids = [pid_of(tmp_path, name) for name in ("one", "two", "three")]
    trace = (tmp_path / "trace").read_text().splitlines()
    assert trace[-3:] == ["stop three", "stop two", "stop one"]
    assert [start_time(pid) for pid in pids] == [None] * 3
    assert list((tmp_path / "pids").iterdir()) == []


async def test_a_killed_child_is_started_again(tmp_path: Path) -> None:
    """With the same settings, and it is said."""
    notices: list[str] = []
    async with Stack(tmp_path, notices.append) as stack:
        await stack.start(child(tmp_path, "one", program(tmp_path, SERVER)))
        before = pid_of(tmp_path, "one")
        os.kill(before, signal.SIGKILL)
        async with asyncio.timeout(20):
            while pid_of(tmp_path, "one") == before:  # noqa: ASYNC110 - another process's file
                await asyncio.sleep(0.01)
    assert notices == ["one ended (signal 9): started again"]


async def test_a_child_that_cannot_run_ends_the_stack_with_its_sentence(tmp_path: Path) -> None:
    """Starting it again would say the same."""
    module = program(
        tmp_path, 'import sys; sys.exit(print("error: no luck", file=sys.stderr) or 2)'
    )
    async with Stack(tmp_path, lambda _: None) as stack:
        with pytest.raises(CannotRun, match="no luck") as raised:
            await stack.start(child(tmp_path, "one", module))
    assert raised.value.code == ExitCode.WRONG_USE


async def test_a_child_that_dies_again_and_again_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sentence names its log."""
    monkeypatch.setattr(children, "_BACKOFF_S", 0.0)
    module = program(tmp_path, "raise SystemExit(70)")
    async with Stack(tmp_path, lambda _: None) as stack:
        with pytest.raises(CannotRun, match=r"one died 6 times; see .*one\.log"):
            await stack.start(child(tmp_path, "one", module))


async def test_an_orphan_of_a_killed_owner_is_ended(tmp_path: Path) -> None:
    """The next start in the same folder cleans up."""
    first = Stack(tmp_path, lambda _: None)
    await first.__aenter__()
    await first.start(child(tmp_path, "one", program(tmp_path, SERVER)))
    orphan = pid_of(tmp_path, "one")
    first._running[0]._is_stopping = True  # the owner is gone: nobody restarts it
    first._running[0].watching.cancel()
    async with Stack(tmp_path, lambda _: None):
        assert start_time(orphan) is None
    await first.__aexit__()


async def test_a_child_that_does_not_stop_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The stack is down in time whatever a child does."""
    monkeypatch.setattr(children, "STOP_WITHIN_S", 0.5)
    notices: list[str] = []
    deaf = SERVER.replace(
        "signal.signal(signal.SIGTERM, stop)", "signal.signal(15, signal.SIG_IGN)"
    )
    async with Stack(tmp_path, notices.append) as stack:
        await stack.start(child(tmp_path, "one", program(tmp_path, deaf)))
        pid = pid_of(tmp_path, "one")
    assert start_time(pid) is None
    assert notices == ["one does not stop: killed"]


async def test_a_child_waits_for_what_it_has_reached_before(tmp_path: Path) -> None:
    """A broker that is started again: the process that finds nobody there is tried on."""
    notices: list[str] = []
    module = program(tmp_path, STARTS_AND_TIMES_AWAY.format(away=3) + SERVER)
    async with Stack(tmp_path, notices.append) as stack:
        await stack.start(child(tmp_path, "one", module))
        os.kill(pid_of(tmp_path, "one"), signal.SIGKILL)
        async with asyncio.timeout(20):
            while (tmp_path / "trace").read_text().count("start") < 2:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
    away = "one ended (exit code 3): started again"
    assert notices == ["one ended (signal 9): started again", away, away, away]


async def test_a_child_does_not_wait_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Then its own sentence is the reason."""
    monkeypatch.setattr(children, "UNREACHABLE_FOR_S", 0.0)
    module = program(tmp_path, STARTS_AND_TIMES_AWAY.format(away=99) + SERVER)
    async with Stack(tmp_path, lambda _: None) as stack:
        await stack.start(child(tmp_path, "one", module))
        os.kill(pid_of(tmp_path, "one"), signal.SIGKILL)
        with pytest.raises(CannotRun, match="nobody there") as raised:
            await asyncio.wait_for(stack.failed(), 20)
    assert raised.value.code == ExitCode.DEPENDENCY_UNREACHABLE
