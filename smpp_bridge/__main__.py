"""`python -m smpp_bridge`: run one bridge until SIGTERM or Ctrl-C."""

from __future__ import annotations

import asyncio
import os
import sys
from contextlib import AsyncExitStack

from runtime.health import serve_health
from runtime.kafka import KafkaPublisher, kafka_unreachable
from runtime.logs import configure_logs
from runtime.process import CannotRun, ExitCode, port_in_use, run_process
from runtime.settings import SettingsError, read_settings
from runtime.topics import is_reachable
from smpp_bridge.adapters.clock import now_ms
from smpp_bridge.adapters.journal import Journal
from smpp_bridge.bridge import DAY_MS, Bridge
from smpp_bridge.settings import BridgeSettings


async def main(stop: asyncio.Event) -> None:
    """Read the settings, open everything, run."""
    try:
        settings = read_settings(BridgeSettings, os.environ)
    except SettingsError as error:
        raise CannotRun(str(error)) from error
    if not await is_reachable(settings.kafka):
        raise CannotRun(kafka_unreachable(settings.kafka), ExitCode.DEPENDENCY_UNREACHABLE)
    try:
        journal = Journal(settings.data, day=now_ms() // DAY_MS)
    except OSError as error:
        raise CannotRun(f"SMS_BRIDGE_DATA == {settings.data}: {error.strerror}.") from error
    try:
        await _run(settings, journal, stop)
    finally:
        journal.close()


async def _run(settings: BridgeSettings, journal: Journal, stop: asyncio.Event) -> None:
    async with AsyncExitStack() as stack:
        publisher = KafkaPublisher(settings.kafka, client_id="smslab-bridge")
        await stack.enter_async_context(publisher)
        bridge = Bridge(settings, publisher, journal)
        host, port = settings.health_host, settings.health_port
        try:
            await stack.enter_async_context(serve_health(host, port, bridge.probe))
        except OSError as error:
            raise port_in_use("SMS_BRIDGE_HEALTH_PORT", host, port) from error
        await bridge.run(stop)


if __name__ == "__main__":
    configure_logs("bridge")
    sys.exit(run_process(main))
