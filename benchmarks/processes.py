"""The broker and the processes that are measured, started and ended by the benchmark."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Any, Self
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

import psutil

from benchmarks.cores import Cores, on
from runtime.topics import ensure_topics
from smslab.kafka.apache import ApacheKafka

STARTS_WITHIN_S = 60.0
_ROOT = Path(__file__).parents[1]


class ProcessEndedError(Exception):
    """A measured process ended by itself; the message ends with its log."""


@contextmanager
def fresh_broker(cores: Cores, **settings: str) -> Iterator[tuple[ApacheKafka, Path]]:
    """A real Apache Kafka with our empty topics on the other cores, and a folder of this block.

    Args:
        cores: Of this machine.
        settings: Of the broker, with `_` for `.`.
    """
    with TemporaryDirectory(prefix="smslab-bench-") as name:
        folder = Path(name)
        more = {name.replace("_", "."): value for name, value in settings.items()}
        kafka = ApacheKafka(folder / "kafka", settings=more)
        with on(cores.others):
            kafka.start()
        try:
            asyncio.run(ensure_topics(kafka.bootstrap))
            yield kafka, folder
        finally:
            kafka.stop()


class Process:
    """`python -m …` on given cores; a context manager that never leaves it behind."""

    def __init__(
        self,
        *arguments: str,
        cores: frozenset[int],
        log: Path,
        python: Path | None = None,
        **variables: object,
    ) -> None:
        environment = {k: v for k, v in os.environ.items() if not k.startswith("SMS_")}
        self._log = log
        with log.open("wb") as errors, on(cores):
            self._process = subprocess.Popen(
                [str(python or sys.executable), "-m", *arguments],
                cwd=_ROOT,
                env=environment | {name: str(value) for name, value in variables.items()},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
            )
        self._times = psutil.Process(self._process.pid)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.communicate()

    def cpu_s(self) -> float:
        """CPU-seconds of all its threads so far."""
        times = self._times.cpu_times()
        return float(times.user + times.system)

    def memory(self) -> tuple[int, int]:
        """Octets: resident (RSS), and with shared pages divided (PSS; RSS where nobody tells)."""
        found = self._times.memory_full_info()
        return found.rss, getattr(found, "pss", found.rss)

    def check(self) -> None:
        """Nothing, while it lives.

        Raises:
            ProcessEndedError: If it has ended.
        """
        if self._process.poll() is not None:
            tail = "\n".join(self._log.read_text(errors="replace").splitlines()[-30:])
            raise ProcessEndedError(f"exit code {self._process.returncode}\n{tail}")

    def tell(self, word: str) -> None:
        """One line to its standard input."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{word}\n".encode())
        self._process.stdin.flush()

    def hear(self) -> Any:
        """One line of JSON from its standard output."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            self._process.wait()
            self.check()
        return json.loads(line)

    def stop(self, within_s: float = 20.0) -> None:
        """SIGTERM, and wait.

        Raises:
            ProcessEndedError: If its exit code is not 0.
        """
        self._process.send_signal(signal.SIGTERM)
        if self._process.wait(within_s) != 0:
            self.check()


def ready(port: int) -> Mapping[str, Any]:
    """What `/readyz` of a process says, ready or not; empty while nobody answers."""
    url = f"http://127.0.0.1:{port}/readyz"
    try:
        with urlopen(url, timeout=5) as answer:
            found: Mapping[str, Any] = json.load(answer)
    except HTTPError as error:
        with error:
            found = json.load(error)
    except (URLError, TimeoutError):
        return {}
    return found


def wait_until_ready(process: Process, port: int, within_s: float = STARTS_WITHIN_S) -> None:
    """Until `/readyz` says so.

    Raises:
        ProcessEndedError: If the process ends before.
        TimeoutError: If it takes too long.
    """
    deadline = time.monotonic() + within_s
    while not ready(port).get("ready"):
        process.check()
        if time.monotonic() > deadline:
            raise TimeoutError(f"not ready within {within_s:.0f} s")
        time.sleep(0.05)
