"""`python -m dashboards`: starts from anywhere, ends at once, and says in one sentence why not."""

from __future__ import annotations

import asyncio
import signal
import socket
from pathlib import Path
from zoneinfo import ZoneInfo

import psutil
import pytest

from dashboards.settings import DashboardSettings
from runtime.settings import SettingsError, read_settings
from tests.support.pages import free_port, is_healthy
from tests.support.processes import process, sentence_of
from tests.support.waiting import wait_until


def environment(folder: Path, port: int) -> dict[str, str]:
    """The least that the process needs."""
    return {"SMS_DASHBOARD_DATA": str(folder), "SMS_DASHBOARD_PORT": str(port)}


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
async def test_it_ends_on_a_signal_and_leaves_nobody(tmp_path: Path, signum: int) -> None:
    """Exit code 0 within 3 s, no child left, the port free again."""
    port = free_port()
    async with process("dashboards", environment(tmp_path, port)) as running:
        await asyncio.to_thread(wait_until, lambda: is_healthy(port))
        children = psutil.Process(running.pid).children(recursive=True)
        running.send_signal(signum)
        async with asyncio.timeout(20):
            assert await running.wait() == 0
        assert not [child for child in children if child.is_running()]
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(("127.0.0.1", port))


async def test_a_taken_port_is_one_sentence(tmp_path: Path) -> None:
    """It names the setting and the fix, and does not move to another port on its own."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        code, said = await sentence_of("dashboards", environment(tmp_path, port))
    assert code == 3
    assert said.startswith(f"error: SMS_DASHBOARD_PORT == {port}: the port is already in use")
    assert said.count("\n") == 1


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SMS_DASHBOARD_PORT", "99999"),
        ("SMS_DASHBOARD_HOST", "not an address"),
        ("SMS_DASHBOARD_TIME_ZONE", "Mars/Olympus"),
        ("SMS_DASHBOARD_TIME_ZONE", "../etc/passwd"),
        ("SMS_DASHBOARD_PROT", "8501"),
    ],
)
def test_wrong_settings_are_named(tmp_path: Path, name: str, value: str) -> None:
    """A misspelt name or a wrong value is told with its rule."""
    with pytest.raises(SettingsError, match=name):
        read_settings(DashboardSettings, {"SMS_DASHBOARD_DATA": str(tmp_path), name: value})


async def test_wrong_settings_end_the_process() -> None:
    """Exit code 2 and one sentence."""
    code, said = await sentence_of("dashboards", {})
    assert code == 2
    assert said.startswith("error: SMS_DASHBOARD_DATA is not set.")
    assert said.count("\n") == 1


def test_the_defaults_are_local(tmp_path: Path) -> None:
    """Nobody outside this machine sees the pages unless somebody says so."""
    settings = read_settings(DashboardSettings, {"SMS_DASHBOARD_DATA": str(tmp_path)})
    assert (settings.host, settings.port) == ("127.0.0.1", 8501)
    assert settings.time_zone == ZoneInfo("UTC")
