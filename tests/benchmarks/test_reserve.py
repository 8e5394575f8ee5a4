"""The memory that is kept for a measured process: held, let go, never left behind."""

from __future__ import annotations

import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from benchmarks.processes import ProcessEndedError
from benchmarks.reserve import BLOCK, PAUSE_S, reserved
from tests.support.waiting import wait_until

ROOT = Path(__file__).parents[2]
ANYWHERE: frozenset[int] = frozenset()
WITHIN_S = 30.0


def holders() -> list[psutil.Process]:
    """The processes of ours that hold a reserve."""
    found = []
    for child in psutil.Process().children():
        with suppress(psutil.Error):  # an earlier test's, ending
            if "benchmarks.reserve" in child.cmdline():
                found.append(child)
    return found


def resident(process: psutil.Process) -> int:
    """Octets."""
    found: int = process.memory_info().rss
    return found


def test_a_reserve_is_held_until_it_is_let_go_and_then_freed_block_by_block() -> None:
    """All of it is resident when the block begins, and none of it in the end."""
    with reserved(2 * BLOCK, ANYWHERE) as let_go:
        (holder,) = holders()
        wait_until(lambda: holder.status() == psutil.STATUS_SLEEPING)  # and waits to be told
        held = resident(holder)
        assert held >= 2 * BLOCK
        began = time.monotonic()
        let_go()
        wait_until(lambda: resident(holder) < held - 1.9 * BLOCK)
        assert time.monotonic() - began >= PAUSE_S
        assert holder.is_running()


@pytest.mark.parametrize("is_let_go", [False, True])
def test_the_process_is_gone_after_the_block(*, is_let_go: bool) -> None:
    """Whether or not it has let go, and in the midst of that too."""
    with reserved(2 * BLOCK, ANYWHERE) as let_go:
        (holder,) = holders()
        if is_let_go:
            let_go()
    assert not holder.is_running()


def test_the_process_is_gone_when_the_block_raises() -> None:
    """An error leaves no memory behind."""
    found: list[psutil.Process] = []

    def fail() -> None:
        with reserved(BLOCK, ANYWHERE):
            found.extend(holders())
            raise LookupError

    with pytest.raises(LookupError):
        fail()
    (holder,) = found
    assert not holder.is_running()


def test_the_process_ends_with_its_standard_input() -> None:
    """So it does not outlive a benchmark that was killed."""
    command = [sys.executable, "-m", "benchmarks.reserve", "1"]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"1\n"
        assert holder.stdin is not None
        holder.stdin.close()
        assert holder.wait(WITHIN_S) == 0


def test_nothing_is_started_for_a_reserve_of_nothing() -> None:
    """Letting go of it does nothing."""
    with reserved(0, ANYWHERE) as let_go:
        assert holders() == []
        let_go()


def test_never_more_than_half_of_the_available_memory_is_taken(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is missing is said on stderr."""
    available = SimpleNamespace(available=2 * BLOCK)
    monkeypatch.setattr("benchmarks.reserve.psutil.virtual_memory", lambda: available)
    with reserved(8 * BLOCK, ANYWHERE):
        (holder,) = holders()
        assert BLOCK <= resident(holder) < 2 * BLOCK
    assert "a reserve of 0.06 GiB instead of 0.50: half of the" in capsys.readouterr().err


def test_a_reserve_that_was_lost_is_an_error() -> None:
    """Whoever measures must not believe that it was there."""
    with reserved(BLOCK, ANYWHERE) as let_go:
        (holder,) = holders()
        holder.kill()
        psutil.wait_procs([holder], WITHIN_S)
        with pytest.raises(ProcessEndedError):
            let_go()
