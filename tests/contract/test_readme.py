"""The README is true: its commands run, its files exist."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.processes import ROOT, plain_environment

README = (ROOT / "README.md").read_text("utf-8")
DEMO = "--messages 300 --kafka memory --exit"
"""Small, and on the broker that the other end-to-end tests do not use."""
AS_IT_IS = "--old-file=.venv/.installed"
"""The environment is the real one, by a link: it must not be installed anew from another path."""
NOT_COPIED = {"examples", ".git", ".demo"}
WITHIN_S = 400
MOST_LINES = 130


def commands() -> list[str]:
    """Every line of the README's shell blocks, without comments."""
    blocks = re.findall(r"```sh\n(.*?)```", README, re.DOTALL)
    lines = [line.split("#")[0].strip() for block in blocks for line in block.splitlines()]
    return [line for line in lines if line]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Our checkout by links, with folders of its own where commands write."""
    for path in ROOT.iterdir():
        if path.name not in NOT_COPIED:
            (tmp_path / path.name).symlink_to(path)
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    return tmp_path


@pytest.mark.kafka
@pytest.mark.slow
def test_every_command_runs(checkout: Path) -> None:
    """In order, in one checkout. `make test` is what runs this test, so it is only looked up."""
    for command in commands():
        full = command
        if command == "make test":
            full = f"make {AS_IT_IS} --dry-run test"
        elif command == "make demo":
            full = f'make {AS_IT_IS} demo ARGS="{DEMO}"'
        done = subprocess.run(
            ["bash", "-c", full],
            cwd=checkout,
            env=plain_environment(),
            capture_output=True,
            text=True,
            timeout=WITHIN_S,
            check=False,
        )
        assert done.returncode == 0, f"{full}\n{done.stdout}\n{done.stderr}"
        assert "Traceback" not in done.stderr


def test_the_two_commands_come_first() -> None:
    """A newcomer finds them without scrolling."""
    assert commands()[:2] == ["make demo", "make test"]


def test_every_link_leads_somewhere() -> None:
    """Files, folders and pictures named in the README and in docs/ exist."""
    pages = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")]
    for page in pages:
        for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text("utf-8")):
            if not target.startswith("http"):
                assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_it_is_short() -> None:
    """The rest belongs into docs/."""
    assert len(README.splitlines()) <= MOST_LINES
