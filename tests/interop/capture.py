"""tshark as the judge: captures the test's own port on the loopback and finds malformed PDUs."""

from __future__ import annotations

import asyncio
import signal
import socket
import uuid
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.interop.registries import debian
from tests.support.topics import wait_until

FIELDS = ("tcp.srcport", "smpp.command_id", "smpp.command_status", "_ws.malformed", "frame.number")


@dataclass
class Verdict:
    """PDUs by command_id, statuses of answers, and frames with a malformed PDU; both sides'."""

    ours: Counter[int] = field(default_factory=Counter)
    our_statuses: Counter[int] = field(default_factory=Counter)
    theirs: Counter[int] = field(default_factory=Counter)
    their_statuses: Counter[int] = field(default_factory=Counter)
    our_malformed: list[str] = field(default_factory=list)
    their_malformed: list[str] = field(default_factory=list)


class Capture:
    """A capture that runs."""

    def __init__(self, port: int, path: Path) -> None:
        self._port = port
        self._path = path

    async def judge(self, *, we_listen: bool) -> Verdict:
        """Dissect what was captured until now. `we_listen`: our side owns the port."""
        await self._catch_up()
        command = ["tshark", "-n", "-r", str(self._path), "-d", f"tcp.port=={self._port},smpp"]
        # the markers are UDP, and in one of 200 tshark sees broken RTCP
        command += ["-Y", "tcp && (smpp || _ws.malformed)", "-T", "fields", "-E", "occurrence=a"]
        command += [part for name in FIELDS for part in ("-e", name)]
        tshark = await asyncio.create_subprocess_exec(
            *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
        found, said = await tshark.communicate()
        assert tshark.returncode == 0, said.decode()
        return self._verdict(found.decode(), we_listen=we_listen)

    def _verdict(self, found: str, *, we_listen: bool) -> Verdict:
        verdict = Verdict()
        for line in found.splitlines():
            source, commands, statuses, malformed, frame = line.split("\t")
            is_ours = (source == str(self._port)) == we_listen
            counter = verdict.ours if is_ours else verdict.theirs
            counter.update(int(each, 16) for each in commands.split(",") if each)
            counter = verdict.our_statuses if is_ours else verdict.their_statuses
            counter.update(int(each, 16) for each in statuses.split(",") if each)
            if malformed:
                (verdict.our_malformed if is_ours else verdict.their_malformed).append(frame)
        return verdict

    async def _catch_up(self) -> None:
        """The kernel hands packets over in blocks: send one of our own and wait for it."""
        marker = uuid.uuid4().bytes
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.sendto(marker, ("127.0.0.1", self._port))
        await wait_until(lambda: marker in self._path.read_bytes())


@asynccontextmanager
async def capture(port: int, folder: Path) -> AsyncIterator[Capture]:
    """Capture this port on the loopback while the block runs."""
    debian("tshark")
    path = folder / f"{port}.pcapng"
    dumpcap = await asyncio.create_subprocess_exec(
        *("dumpcap", "-q", "-i", "lo", "-B", "32", "-w", str(path)),
        *("-f", f"tcp port {port} or udp port {port}"),
        stderr=asyncio.subprocess.PIPE,
    )
    assert dumpcap.stderr is not None
    said = b""
    try:
        while b"File: " not in said:  # printed when the capture runs
            line = await dumpcap.stderr.readline()
            assert line, f"dumpcap cannot capture on the loopback: {said.decode()}"
            said += line
        yield Capture(port, path)
    finally:
        if dumpcap.returncode is None:
            dumpcap.send_signal(signal.SIGINT)
        await dumpcap.communicate()
