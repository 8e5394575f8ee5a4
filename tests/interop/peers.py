"""Foreign peers as processes that tell what they see, one JSON object per line."""

from __future__ import annotations

import asyncio
import json
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from smslab.kafka.jars import java
from tests.interop import registries
from tests.support.processes import ROOT, plain_environment
from tests.support.topics import wait_until

SCRIPTS: Final = Path(__file__).parent / "peers"
LONGEST_LINE: Final = 1 << 20


@dataclass
class Peer:
    """What a peer has said so far."""

    process: asyncio.subprocess.Process
    lines: list[dict[str, Any]] = field(default_factory=list)
    errors: bytearray = field(default_factory=bytearray)
    readers: list[asyncio.Future[None]] = field(default_factory=list)

    def told(self, key: str) -> list[dict[str, Any]]:
        """Lines that have this key."""
        return [line for line in self.lines if key in line]

    async def read(self) -> None:
        """Collect standard output until it ends."""
        assert self.process.stdout is not None
        async for line in self.process.stdout:
            if line.startswith(b"{"):  # Kannel and jsmpp log as they like
                self.lines.append(json.loads(line))

    async def read_errors(self) -> None:
        """Collect standard error until it ends."""
        assert self.process.stderr is not None
        async for line in self.process.stderr:
            self.errors += line

    async def wait_for(self, condition: Callable[[Peer], bool], within_s: float = 90) -> None:
        """Wait for something it says; its errors are the reason when it never does."""
        try:
            await wait_until(
                lambda: condition(self) or self.process.returncode is not None, within_s
            )
        except TimeoutError as error:
            said = Counter(next(iter(line)) for line in self.lines)
            reason = f"{said} {self.lines[-3:]} {self.errors[-2000:].decode()}"
            raise AssertionError(reason) from error
        if self.process.returncode is not None:
            await asyncio.wait(self.readers)  # its last words may still be in the pipe
        assert condition(self), self.errors[-2000:].decode()


@asynccontextmanager
async def running(
    command: Sequence[str], environment: Mapping[str, str] | None = None
) -> AsyncIterator[Peer]:
    """Run a peer while the block runs."""
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=ROOT,
        env={**plain_environment(), **(environment or {})},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        limit=LONGEST_LINE,
    )
    peer = Peer(process)
    peer.readers += [asyncio.ensure_future(read()) for read in (peer.read, peer.read_errors)]
    try:
        yield peer
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
        await asyncio.gather(*peer.readers)


def node(script: str, *arguments: str) -> tuple[list[str], dict[str, str]]:
    """Command and environment of a node script."""
    modules = registries.node_modules()
    return ["node", str(SCRIPTS / script), *arguments], {"NODE_PATH": str(modules)}


def perl(script: str, *arguments: str) -> tuple[list[str], dict[str, str]]:
    """Command and environment of a perl script that uses Net::SMPP."""
    registries.debian("libnet-smpp-perl")
    # Debian's own perl: another one in PATH does not see Debian's modules
    return ["/usr/bin/perl", str(SCRIPTS / script), *arguments], {"PERL_UNICODE": ""}


def python(script: str, *arguments: str) -> tuple[list[str], dict[str, str]]:
    """Command and environment of a script with a peer that is a development dependency."""
    return [sys.executable, str(SCRIPTS / script), *arguments], {}


def jsmpp(port: str) -> tuple[list[str], dict[str, str]]:
    """Command and environment of jsmpp's simulator, which logs instead of telling."""
    options = {"simulator.port": port, "client.systemId": "shop", "client.password": "secret"}
    properties = [f"-Djsmpp.{name}={value}" for name, value in options.items()]
    main = "org.jsmpp.examples.SMPPServerSimulator"
    return [java(), "-Xmx256m", *properties, "-cp", registries.jsmpp_jars(), main], {}
