"""`smslab demo` as a child process in tests."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psutil

from pipeline.storage.reader import ResultsReader
from tests.support.processes import ROOT, plain_environment

SETTLED_WITHIN_S = 300.0


class Demo:
    """A running demo; a context manager that never leaves a process behind."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self.folder = folder / "demo"
        self._out = folder / "out.json"
        self._err = folder / "err.txt"
        command = [sys.executable, "-m", "smslab", "demo", "--data", str(self.folder), *arguments]
        with self._out.open("wb") as out, self._err.open("wb") as err:
            self.process = subprocess.Popen(
                command, cwd=ROOT, env=plain_environment(), stdout=out, stderr=err
            )
        self._seen: dict[int, psutil.Process] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for process in self.children():
            process.kill()
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()

    @property
    def said(self) -> str:
        """Everything on the screen, and the ends of the logs."""
        logs = [f"--- {p.name}\n{p.read_text()[-2000:]}" for p in self.folder.glob("logs/*.log")]
        return self._err.read_text() + "\n".join(logs)

    def report(self) -> dict[str, Any]:
        """What `--json` printed."""
        found: dict[str, Any] = json.loads(self._out.read_text())
        return found

    def children(self) -> list[psutil.Process]:
        """Every process it ever started that is still alive."""
        if self.process.poll() is None:
            for child in psutil.Process(self.process.pid).children(recursive=True):
                self._seen.setdefault(child.pid, child)
        return [child for child in self._seen.values() if child.is_running()]

    def kill(self, name: str) -> bool:
        """SIGKILL one of its processes. Returns whether it was alive."""
        pid, _ = (self.folder / "pids" / f"{name}.pid").read_text().split()
        try:
            os.kill(int(pid), signal.SIGKILL)
        except ProcessLookupError:
            return False
        return True

    def submitted(self) -> int:
        """Recipients with a submit result in the published snapshot."""
        reader = ResultsReader(self.folder / "worker" / "serve.duckdb")
        campaigns = reader.campaigns()
        if not campaigns:
            return 0
        rows = reader.variant_results(campaigns[0].campaign_id, "live")
        return sum(row.counters.submitted for row in rows)

    async def until(
        self, condition: Callable[[], bool], within_s: float = SETTLED_WITHIN_S
    ) -> None:
        """Wait for a condition; fails with what was said."""
        deadline = time.monotonic() + within_s
        while not condition():
            assert self.process.poll() is None, self.said
            assert time.monotonic() < deadline, self.said
            self.children()
            await asyncio.sleep(0.1)

    async def ended(self, within_s: float = SETTLED_WITHIN_S) -> int:
        """Its exit code."""
        deadline = time.monotonic() + within_s
        while self.process.poll() is None:
            assert time.monotonic() < deadline, self.said
            self.children()
            await asyncio.sleep(0.1)
        return self.process.returncode
