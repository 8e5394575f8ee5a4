"""`python -m dashboards`: the pages, served by Streamlit in this process."""

from __future__ import annotations

import gc
import importlib
import os
import socket
import sys
from pathlib import Path
from typing import Final

from dashboards.settings import DashboardSettings
from runtime.process import CannotRun, ExitCode, port_in_use
from runtime.settings import SettingsError, read_settings

APP: Final = Path(__file__).parent / "router" / "app.py"
OPTIONS: Final = {
    "server.headless": "true",
    "server.fileWatcherType": "none",
    "server.showEmailPrompt": "false",
    "server.enableStaticServing": "false",
    "server.disconnectedSessionTTL": "30",
    "server.maxUploadSize": "1",
    "browser.gatherUsageStats": "false",
    "client.toolbarMode": "minimal",
    "client.showErrorDetails": "none",
    "client.showErrorLinks": "false",
    "runner.magicEnabled": "false",
    "logger.level": "warning",
    "theme.font": "'Source Sans', 'PingFang SC', 'Microsoft YaHei', 'Noto Sans CJK SC', sans-serif",
    "theme.baseFontSize": "15",
    "theme.baseRadius": "10px",
    "theme.light.primaryColor": "#0b6e4f",
    "theme.light.backgroundColor": "#fbfbfa",
    "theme.light.secondaryBackgroundColor": "#f1f1ee",
    "theme.light.textColor": "#1d2320",
    "theme.light.borderColor": "#e2e3de",
    "theme.dark.primaryColor": "#3ecf9a",
    "theme.dark.backgroundColor": "#111412",
    "theme.dark.secondaryBackgroundColor": "#1b1f1c",
    "theme.dark.textColor": "#e8ebe8",
    "theme.dark.borderColor": "#2d332f",
}
"""Given as flags, so that neither the working directory nor a config file of the user matters."""
WARM: Final = (
    "pipeline.snapshot",
    "pipeline.storage.reader",
    "dashboards.components.decision",
    "dashboards.components.operations",
    "streamlit.runtime.scriptrunner",
    "pandas",
    "pyarrow",
)
"""What the first visitor would wait for (0.9-2.2 s)."""


def main() -> None:
    """Read the settings and serve until SIGTERM."""
    try:
        settings = read_settings(DashboardSettings, os.environ)
        _check_port(settings)
    except SettingsError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(ExitCode.WRONG_USE)
    except CannotRun as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.code)
    serve(settings)


def serve(settings: DashboardSettings) -> None:
    """Run Streamlit in this process; it ends on SIGTERM and SIGINT."""
    cli = importlib.import_module("streamlit.web.cli")
    for name in WARM:
        importlib.import_module(name)
    # Streamlit collects garbage after every script run: 107 ms over what never dies, 0 without.
    gc.collect()
    gc.freeze()
    options = OPTIONS | {
        "server.address": settings.host,
        "server.port": str(settings.port),
        "browser.serverAddress": settings.host,
    }
    flags = [f"--{name}={value}" for name, value in options.items()]
    cli.main(["run", str(APP), *flags], standalone_mode=False)


def _check_port(settings: DashboardSettings) -> None:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.host, settings.port))
        except OSError as error:
            raise port_in_use("SMS_DASHBOARD_PORT", settings.host, settings.port) from error


if __name__ == "__main__":
    main()
