"""`python -m smpp_bridge`: run one bridge until SIGTERM or Ctrl-C."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Mapping
from contextlib import AsyncExitStack
from pathlib import Path

from runtime.health import serve_health
from runtime.kafka import KafkaPublisher, kafka_unreachable
from runtime.logs import configure_logs
from runtime.process import (
    CannotRun,
    ExitCode,
    port_in_use,
    rest_garbage_collector,
    run_process,
)
from runtime.settings import SettingsError, read_settings
from runtime.topics import is_reachable
from smpp_bridge.adapters.clock import now_ms
from smpp_bridge.adapters.journal import Journal, JournalInUse
from smpp_bridge.assembly import assemble
from smpp_bridge.bridge import DAY_MS, END_S
from smpp_bridge.config_file import ConfigError, parse_config
from smpp_bridge.configuration import BridgeConfig
from smpp_bridge.settings import (
    CONFIG_VARIABLE,
    BridgeSettings,
    ProcessSettings,
    read_file_settings,
)


async def main(stop: asyncio.Event) -> None:
    """Read the settings, open everything, run."""
    settings, config = _read(os.environ)
    if not await is_reachable(settings.kafka):
        raise CannotRun(kafka_unreachable(settings.kafka), ExitCode.DEPENDENCY_UNREACHABLE)
    try:
        journal = Journal(settings.data, day=now_ms() // DAY_MS)
    except JournalInUse as error:
        raise CannotRun(f"SMS_BRIDGE_DATA == {settings.data}: {error}") from error
    except OSError as error:
        raise CannotRun(f"SMS_BRIDGE_DATA == {settings.data}: {error.strerror}.") from error
    try:
        await _run(settings, config, journal, stop)
    finally:
        journal.close()


async def _run(
    settings: ProcessSettings, config: BridgeConfig, journal: Journal, stop: asyncio.Event
) -> None:
    async with AsyncExitStack() as stack:
        publisher = KafkaPublisher(settings.kafka, client_id="smslab-bridge", close_within_s=END_S)
        await stack.enter_async_context(publisher)
        try:
            bridge, metrics = assemble(settings, config, publisher, journal)
        except OSError as error:
            raise CannotRun(f"SMS_BRIDGE_DATA == {settings.data}: {error.strerror}.") from error
        host, port = settings.health_host, settings.health_port
        endpoint = serve_health(host, port, bridge.probe, routes=[metrics])
        try:
            await stack.enter_async_context(endpoint)
        except OSError as error:
            raise port_in_use("SMS_BRIDGE_HEALTH_PORT", host, port) from error
        rest_garbage_collector(50_000, 20, 20)
        await bridge.run(stop)


def _read(environ: Mapping[str, str]) -> tuple[ProcessSettings, BridgeConfig]:
    path = environ.get(CONFIG_VARIABLE)
    try:
        if not path:
            settings = read_settings(BridgeSettings, environ)
            return settings, settings.bridge_config()
        file = parse_config(Path(path).read_text("utf-8"), environ)
        return read_file_settings(environ, file.secrets), file.config
    except SettingsError as error:
        raise CannotRun(str(error)) from error
    except OSError as error:
        raise CannotRun(f"{CONFIG_VARIABLE} == {path} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise CannotRun(f"{CONFIG_VARIABLE} == {path} is not a text in UTF-8.") from error
    except ConfigError as error:
        raise CannotRun(f"{CONFIG_VARIABLE} == {path} cannot be used:\n{error}") from error


if __name__ == "__main__":
    configure_logs("bridge")
    sys.exit(run_process(main))
