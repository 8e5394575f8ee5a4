"""docs/client.md is true: its commands and its scripts run as they are printed."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.support.processes import ROOT, plain_environment
from tests.support.sockets import free_port

DOCUMENT = (ROOT / "docs/client.md").read_text("utf-8")
PORT = "2775"
WITHIN_S = 60


def blocks(language: str) -> list[str]:
    """The fenced blocks of a language."""
    return re.findall(rf"```{language}\n(.*?)```", DOCUMENT, re.DOTALL)


def run(*command: str) -> str:
    """What it prints; it must succeed."""
    done = subprocess.run(
        command,
        cwd=ROOT,
        env=plain_environment() | {"PYTHONPATH": str(ROOT), "PYTHONUTF8": "1"},
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=WITHIN_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def port() -> Iterator[str]:
    """The document's first command, on a free port; ready when it says so."""
    free = str(free_port())
    (command,) = blocks("sh")[0].strip().splitlines()
    assert command.endswith(" &")
    with subprocess.Popen(
        ["bash", "-c", f"exec {command.removesuffix(' &').replace(PORT, free)}"],
        cwd=ROOT,
        env=plain_environment(),
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == (
            f"SMSC on 127.0.0.1:{free}, system_id smslab. Ctrl-C ends it.\n"
        )
        yield free
        os.kill(process.pid, signal.SIGINT)
    assert process.returncode == 0


def test_the_quick_start_prints_what_stands_there(port: str) -> None:
    """Against the simulator, as a newcomer types it."""
    (command,) = blocks("sh")[1].strip().splitlines()
    assert run("bash", "-c", command.replace(PORT, port)) in blocks("text")


def test_every_script_runs_and_prints_its_comments(port: str) -> None:
    """The first one its ids and the state of the receipt, the second what stands behind `#`."""
    first, second = (
        run(sys.executable, "-c", script.replace(PORT, port)) for script in blocks("python")
    )
    assert re.fullmatch(r"\['[0-9A-F]+'\] DELIVERED\n", first)
    comments = re.findall(r"print\(.*\)  # (.*)", blocks("python")[1])
    assert second.splitlines() == comments
    assert len(comments) == 2


def test_it_is_linked_from_the_index() -> None:
    """Every page of docs/ is in docs/README.md."""
    index = (ROOT / "docs/README.md").read_text("utf-8")
    pages = {path.name for path in (ROOT / "docs").glob("*.*")} - {"README.md"}
    assert {page for page in pages if f"]({page})" not in index} == set()
