"""Runs an async main until SIGTERM/SIGINT; turns known errors into one sentence."""

from __future__ import annotations

import asyncio
import gc
import signal
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from enum import IntEnum

COLLECT_EVERY_S = 30.0
"""One look takes 0.1 s and more where half a million people and all their stories are known."""


class ExitCode(IntEnum):
    """Exit codes of every command."""

    DONE = 0
    ANSWER_IS_NO = 1
    WRONG_USE = 2
    DEPENDENCY_UNREACHABLE = 3


class CannotRun(Exception):  # noqa: N818 - reads as the sentence it prints
    """The process cannot do its work; `str` is one sentence with the setting or row and the fix."""

    def __init__(self, sentence: str, code: ExitCode = ExitCode.WRONG_USE) -> None:
        super().__init__(sentence)
        self.code = code


def run_process(main: Callable[[asyncio.Event], Awaitable[None]]) -> int:
    """Run `main(stop)`; `stop` is set on SIGTERM or SIGINT. Returns the exit code.

    `CannotRun` becomes one line on stderr. Anything else is a defect or an
    infrastructure failure and keeps its traceback: the supervisor restarts us.
    """

    async def supervised() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for signum in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(signum, stop.set)
        await main(stop)

    try:
        asyncio.run(supervised())
    except CannotRun as error:
        print(f"error: {error}", file=sys.stderr)
        return int(error.code)
    return int(ExitCode.DONE)


def rest_garbage_collector(*thresholds: int) -> None:
    """Call once when everything is built: what exists then lives as long as the process.

    A message makes a few dozen objects and almost no cycles, so with the default threshold of
    700 the collector walks the whole process many times a second for nothing: 6-12 % of a
    bridge's time.

    Args:
        thresholds: As `gc.set_threshold` takes them; 0: never by itself.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*thresholds)


@contextmanager
def garbage_by_the_clock(every_s: float = COLLECT_EVERY_S) -> Iterator[None]:
    """While the block runs, look for cycles at intervals, not whenever many objects were made.

    For a process that makes hundreds of thousands of objects a second and no cycle of them: even
    a rested collector takes a tenth of a worker's time there. What the process makes besides
    (connections, errors) waits for the next interval. Call it in the event loop, when everything
    is built.
    """
    before = gc.get_threshold()
    rest_garbage_collector(0)
    collecting = asyncio.create_task(_collect(every_s), name="garbage")
    try:
        yield
    finally:
        collecting.cancel()
        gc.set_threshold(*before)


async def _collect(every_s: float) -> None:
    while True:
        await asyncio.sleep(every_s)
        gc.collect()


def port_in_use(setting: str, host: str, port: int) -> CannotRun:
    """The sentence for a port that somebody else holds."""
    return CannotRun(
        f"{setting} == {port}: the port is already in use on {host}. "
        f"Stop the other program or set {setting} to a free port.",
        ExitCode.DEPENDENCY_UNREACHABLE,
    )
