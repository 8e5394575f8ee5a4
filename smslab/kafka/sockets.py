"""Questions about ports and processes that only the kernel can answer (Linux /proc)."""

from __future__ import annotations

import os
import socket
from pathlib import Path

_LISTEN = "0A"  # /proc/net/tcp state


def free_ports(count: int) -> list[int]:
    """Ports on 127.0.0.1 that are free now; somebody may take one before it is used."""
    holders = [socket.socket() for _ in range(count)]
    try:
        for holder in holders:
            holder.bind(("127.0.0.1", 0))
        return [holder.getsockname()[1] for holder in holders]
    finally:
        for holder in holders:
            holder.close()


def is_listening(pid: int, port: int) -> bool:
    """Whether this very process listens on the port; a stranger's listener does not count."""
    proc = Path("/proc")
    if not proc.joinpath("net/tcp").exists():  # not Linux: a connection must do
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0
    try:
        own = {link.readlink().name for link in (proc / str(pid) / "fd").iterdir()}
    except OSError:
        return False
    return any(f"socket:[{inode}]" in own for inode in _listening_inodes(port))


def _listening_inodes(port: int) -> list[str]:
    inodes = []
    for table in ("tcp", "tcp6"):  # Java listens on tcp6
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            columns = line.split()
            if columns[3] == _LISTEN and int(columns[1].rsplit(":", 1)[1], 16) == port:
                inodes.append(columns[9])
    return inodes


def start_time(pid: int) -> str | None:
    """A mark that tells a process from a later one with the same pid; `None` if it is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except OSError:
        return None
    return None if fields[0] == "Z" else fields[19]


def end_orphan(pid_file: Path) -> None:
    """SIGKILL the process that a killed owner left behind: same pid and same start time."""
    try:
        pid, started = pid_file.read_text().split()
    except (OSError, ValueError):
        return
    if start_time(int(pid)) == started:
        os.kill(int(pid), 9)
        while start_time(int(pid)) == started:
            os.sched_yield()
    pid_file.unlink(missing_ok=True)
