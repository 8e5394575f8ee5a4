"""Settings of the dashboard process."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from runtime.settings import integer, setting


def address(value: str) -> str:
    """An IP address to listen on."""
    try:
        return str(ipaddress.ip_address("127.0.0.1" if value == "localhost" else value))
    except ValueError:
        raise ValueError("must be an IP address such as 127.0.0.1.") from None


def time_zone(value: str) -> ZoneInfo:
    """An IANA time zone."""
    try:
        return ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError("must be an IANA time zone such as Asia/Shanghai.") from None


@dataclass(frozen=True, slots=True)
class DashboardSettings:
    """What `python -m dashboards` reads from the environment."""

    data: Path = setting(
        "SMS_DASHBOARD_DATA", Path, "Folder with serve.duckdb: the worker's data folder."
    )
    host: str = setting(
        "SMS_DASHBOARD_HOST",
        address,
        "Address to listen on. There is no login: keep it local or behind one.",
        default="127.0.0.1",
    )
    port: int = setting("SMS_DASHBOARD_PORT", integer(1, 65535), "Port of the pages.", default=8501)
    time_zone: ZoneInfo = setting(
        "SMS_DASHBOARD_TIME_ZONE", time_zone, "Zone of the times shown.", default=ZoneInfo("UTC")
    )
