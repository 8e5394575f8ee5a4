"""Starting the product's own processes in tests."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

ROOT = Path(__file__).parents[2]


@asynccontextmanager
async def process(
    module: str, environment: Mapping[str, str]
) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run `python -m module` while the block runs; killed at the end if it still lives."""
    started = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        *module.split(" "),
        cwd=ROOT,
        env={**plain_environment(), **environment},
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield started
    finally:
        if started.returncode is None:
            started.kill()
        await started.communicate()


async def sentence_of(module: str, environment: Mapping[str, str]) -> tuple[int, str]:
    """Run a process that must give up: exit code and what it said."""
    async with process(module, environment) as started:
        async with asyncio.timeout(20):
            _, error = await started.communicate()
        assert started.returncode is not None
        return started.returncode, error.decode()


def plain_environment() -> dict[str, str]:
    """Our own environment without settings of the product."""
    return {name: value for name, value in os.environ.items() if not name.startswith("SMS_")}
