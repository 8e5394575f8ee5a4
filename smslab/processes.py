"""`smslab bridge`, `smslab worker` …: one process in the foreground, the same as `python -m …`."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from types import MappingProxyType
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
    flags: Mapping[str, str] = MappingProxyType({})
    """Flag → what it does; passed on as it is."""
    examples: tuple[str, ...] = ()


PROCESSES: Final[dict[str, Process]] = {
    "bridge": Process(("smpp_bridge",), BridgeSettings, "SMPP ⇄ Kafka, one operator account."),
    "worker": Process(
        ("pipeline",),
        WorkerSettings,
        "Kafka → DuckDB: join, count, decide.",
        {
            "--rebuild": "Put the state beside and count again from Kafka; of several, the sink.",
            "--member": "Be one of several workers that share the partitions (docs/workers.md).",
            "--sink": "Add up what the members count, decide and publish.",
        },
        (
            "smslab worker                     one worker, which does everything",
            "smslab worker --sink              with several: exactly one of these",
            "smslab worker --member            and as many of these as you like, same folder",
            "smslab worker --sink --rebuild    all stopped: count everything again",
        ),
    ),
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
    def run(**flags: bool) -> None:
        given = [flag for flag in process.flags if flags[flag.removeprefix("--")]]
        command = [sys.executable, "-m", *process.command, *given]
        os.execv(sys.executable, command)  # noqa: S606 - ourselves

    return click.Command(
        name,
        callback=run,
        params=[
            click.Option([flag], is_flag=True, help=text) for flag, text in process.flags.items()
        ],
        help=f"{process.summary}\n\n{_examples(process)}"
        "Runs until Ctrl-C or SIGTERM. Settings come from the environment:"
        f"\n\n\b\n{_settings_help(process.settings)}",
        short_help=process.summary,
    )


def _examples(process: Process) -> str:
    if not process.examples:
        return ""
    lines = "\n".join(f"  {example}" for example in process.examples)
    return f"\b\nexamples:\n{lines}\n\n"


def _settings_help(settings: type[Any]) -> str:
    return "\n".join(
        f"  {variable.name}\n      {variable.help}" for variable in variables_of(settings).values()
    )
