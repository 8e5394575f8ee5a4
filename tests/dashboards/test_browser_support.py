"""Finding a browser: what is there is used, what is missing is said."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.support import browser

SCRIPT = Path(browser.__file__)


def run(**environment: str) -> subprocess.CompletedProcess[str]:
    """`python tests/support/browser.py --install`."""
    command = [sys.executable, str(SCRIPT), "--install"]
    return subprocess.run(
        command, env=os.environ | environment, capture_output=True, text=True, check=False
    )


def test_a_named_browser_wins(tmp_path: Path) -> None:
    """CHROMIUM is taken when it can be run, and nothing else in its place when it cannot."""
    named = tmp_path / "my-chromium"
    named.touch(mode=0o755)
    assert browser.find_browser({"CHROMIUM": str(named)}) == named
    assert browser.find_browser({"CHROMIUM": str(tmp_path / "gone")}) is None


def test_what_is_there_is_told_in_one_line() -> None:
    """`make test` asks every time."""
    done = run()
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("Chromium: ")
    assert done.stdout.count("\n") == 1


def test_what_is_missing_is_told_in_one_sentence() -> None:
    """A wrong CHROMIUM is the caller's mistake; nothing is installed over it."""
    done = run(CHROMIUM="/no/such/browser")
    assert done.returncode == 1
    assert done.stderr == "error: CHROMIUM == '/no/such/browser', must be an executable Chromium.\n"
