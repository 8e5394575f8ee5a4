"""`smslab bridge`, `smslab worker` …: one process in the foreground, the same as `python -m …`."""

from __future__ import annotations

import os
import sys
from typing import Any, Final, NamedTuple

import click

from dashboards.settings import DashboardSettings
from pipeline.settings import WorkerSettings
from runtime.settings import variables_of
from simulator.settings import SimulatorSettings
from smpp_bridge.settings import BridgeSettings
from tracking.settings import TrackingSettings


class Process(NamedTuple):
    """One process of the system."""

    command: tuple[str, ...]
    """Arguments after `python -m`."""
    settings: type[Any]
    summary: str


PROCESSES: Final[dict[str, Process]] = {
    "bridge": Process(("smpp_bridge",), BridgeSettings, "SMPP ⇄ Kafka, one operator account."),
    "worker": Process(("pipeline",), WorkerSettings, "Kafka → DuckDB: join, count, decide."),
    "tracking": Process(("tracking",), TrackingSettings, "Short links and conversions → Kafka."),
    "dashboard": Process(("dashboards",), DashboardSettings, "The pages over serve.duckdb."),
    "simulate": Process(
        ("simulator", "run"), SimulatorSettings, "An operator and an audience with known effects."
    ),
}
"""Command → process."""


def process_commands() -> list[click.Command]:
    """One click command per process."""
    return [_command(name, process) for name, process in PROCESSES.items()]


def _command(name: str, process: Process) -> click.Command:
    def run() -> None:
        os.execv(sys.executable, [sys.executable, "-m", *process.command])  # noqa: S606 - ourselves

    return click.Command(
        name,
        callback=run,
        help=f"{process.summary}\n\nRuns until Ctrl-C or SIGTERM. Settings come from the "
        f"environment:\n\n\b\n{_settings_help(process.settings)}",
        short_help=process.summary,
    )


def _settings_help(settings: type[Any]) -> str:
    return "\n".join(
        f"  {variable.name}\n      {variable.help}" for variable in variables_of(settings).values()
    )
