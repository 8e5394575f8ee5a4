"""Starts our processes in order, restarts those that die, stops them in reverse order."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final, Self

import aiohttp

from runtime.process import CannotRun, ExitCode
from smslab.kafka.sockets import end_orphan, start_time

READY_WITHIN_S: Final = 60.0
STOP_WITHIN_S: Final = 8.0
"""For all of them; Kafka takes up to 0.8 s more, and the whole stack must be down in 10 s."""
RESTARTS: Final = 5
RESTARTS_WITHIN_S: Final = 60.0
_BACKOFF_S: Final = 0.5
_GIVE_UP: Final = (ExitCode.WRONG_USE, ExitCode.DEPENDENCY_UNREACHABLE)
"""The process has said what is wrong; starting it again would say the same."""
UNREACHABLE_FOR_S: Final = 120.0
"""How long what a process has reached before may be away: a broker that is started again."""
Notice = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Child:
    """One process of ours. `ready_url` answers 200 when it can work."""

    name: str
    command: tuple[str, ...]
    """Arguments after `python -m`."""
    environment: Mapping[str, str] = field(repr=False)
    ready_url: str


class Stack:
    """The children of one folder, which holds their pid files and logs.

    An async context manager: leaving it stops everything in reverse order.
    """

    def __init__(self, folder: Path, notice: Notice) -> None:
        self._folder = folder
        self._notice = notice
        self._running: list[_Running] = []
        self._http: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        (self._folder / "logs").mkdir(parents=True, exist_ok=True)
        (self._folder / "pids").mkdir(exist_ok=True)
        for pid_file in (self._folder / "pids").glob("*.pid"):
            end_orphan(pid_file)  # of an owner that was killed
        self._http = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=2))
        return self

    async def __aexit__(self, *_: object) -> None:
        deadline = time.monotonic() + STOP_WITHIN_S
        for running in reversed(self._running):
            await running.stop(deadline)
        assert self._http is not None
        await self._http.close()

    async def start(self, child: Child) -> None:
        """Start a child and wait until it is ready.

        Raises:
            CannotRun: With the child's own sentence, or when it does not become ready.
        """
        running = _Running(child, self._folder, self._notice)
        self._running.append(running)
        await running.start()
        try:
            async with asyncio.timeout(READY_WITHIN_S):
                while not await self._is_ready(child):
                    if running.watching.done():
                        running.watching.result()
                    await asyncio.sleep(0.05)
        except TimeoutError:
            raise CannotRun(
                f"{child.name} was not ready within {READY_WITHIN_S:.0f} s; see {running.log}.",
                ExitCode.DEPENDENCY_UNREACHABLE,
            ) from None
        running.was_ready = True

    async def failed(self) -> None:
        """Return never, but raise what a child died of for good."""
        watching = [running.watching for running in self._running]
        done, _ = await asyncio.wait(watching, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()

    async def status(self, url: str) -> Mapping[str, Any]:
        """JSON of a status endpoint; empty while its process does not answer."""
        assert self._http is not None
        with contextlib.suppress(aiohttp.ClientError, OSError, TimeoutError, ValueError):
            async with self._http.get(url) as answer:
                found: Mapping[str, Any] = await answer.json()
                return found
        return {}

    async def _is_ready(self, child: Child) -> bool:
        assert self._http is not None
        with contextlib.suppress(aiohttp.ClientError, OSError, TimeoutError):
            async with self._http.get(child.ready_url) as answer:
                return answer.status == HTTPStatus.OK
        return False


class _Running:
    """A child while it lives, through its restarts."""

    def __init__(self, child: Child, folder: Path, notice: Notice) -> None:
        self._child = child
        self._notice = notice
        self._pid_file = folder / "pids" / f"{child.name}.pid"
        self._restarts: deque[float] = deque(maxlen=RESTARTS)
        self._unreachable_since: float | None = None
        self._is_stopping = False
        self._launching = asyncio.Lock()
        self.log = folder / "logs" / f"{child.name}.log"
        self.was_ready = False

    async def start(self) -> None:
        """Start it, and watch it from now on."""
        self._process = await self._launch()
        self.watching = asyncio.create_task(self._watch(), name=self._child.name)

    async def stop(self, deadline: float) -> None:
        """SIGTERM; SIGKILL at the deadline."""
        self._is_stopping = True
        async with self._launching:  # a restart under way has left its process behind by then
            self.watching.cancel()
        await asyncio.gather(self.watching, return_exceptions=True)
        with contextlib.suppress(ProcessLookupError):
            self._process.terminate()
        try:
            async with asyncio.timeout(max(0.1, deadline - time.monotonic())):
                await self._process.wait()
        except TimeoutError:
            self._notice(f"{self._child.name} does not stop: killed")
            self._process.kill()
            await self._process.wait()
        self._pid_file.unlink(missing_ok=True)

    async def _launch(self) -> asyncio.subprocess.Process:
        with self.log.open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                *self._child.command,
                env=_environment(self._child.environment),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C is for us, who stop them in order
            )
        self._pid_file.write_text(f"{process.pid} {start_time(process.pid)}")
        return process

    async def _watch(self) -> None:
        """Start it again whenever it dies.

        Raises:
            CannotRun: If it says that it cannot run, or dies again and again.
        """
        while True:
            code = await self._process.wait()
            self._check(code, time.monotonic())
            self._notice(f"{self._child.name} ended ({_how(code)}): started again")
            await asyncio.sleep(_BACKOFF_S)
            async with self._launching:
                if self._is_stopping:
                    return
                self._process = await self._launch()

    def _check(self, code: int, now: float) -> None:
        """Whether it may be started again.

        Raises:
            CannotRun: If not.
        """
        if code == ExitCode.DEPENDENCY_UNREACHABLE and self.was_ready:
            self._unreachable_since = self._unreachable_since or now
            if now - self._unreachable_since < UNREACHABLE_FOR_S:
                return
        else:
            self._unreachable_since = None
        if code in _GIVE_UP:
            raise CannotRun(self._last_words(), ExitCode(code))
        if len(self._restarts) == RESTARTS and now - self._restarts[0] < RESTARTS_WITHIN_S:
            raise CannotRun(
                f"{self._child.name} died {RESTARTS + 1} times; see {self.log}.",
                ExitCode.DEPENDENCY_UNREACHABLE,
            )
        self._restarts.append(now)

    def _last_words(self) -> str:
        lines = self.log.read_text("utf-8", "replace").splitlines()
        said = [line.removeprefix("error: ") for line in lines if line.startswith("error: ")]
        return said[-1] if said else f"{self._child.name} ended; see {self.log}."


def _how(code: int) -> str:
    return f"signal {-code}" if code < 0 else f"exit code {code}"


def _environment(own: Mapping[str, str]) -> dict[str, str]:
    """Ours without the settings of other processes, with the child's."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("SMS_")}
    return {**inherited, **own}
