"""`python -m tracking`: serve short links and the conversion webhook until SIGTERM or Ctrl-C."""

from __future__ import annotations

import asyncio
import os
import sys
from contextlib import AsyncExitStack

from aiohttp import web

from runtime.kafka import KafkaPublisher, kafka_unreachable
from runtime.logs import configure_logs
from runtime.process import CannotRun, ExitCode, port_in_use, run_process
from runtime.settings import SettingsError, read_settings
from runtime.topics import is_reachable
from schemas.subject import SubjectKey, Tokenizer
from tracking.app import Tracking
from tracking.links import LinkTable
from tracking.settings import TrackingSettings

_SHUTDOWN_S = 2.0


async def main(stop: asyncio.Event) -> None:
    """Read the settings, open everything, serve."""
    try:
        settings = read_settings(TrackingSettings, os.environ)
    except SettingsError as error:
        raise CannotRun(str(error)) from error
    if not await is_reachable(settings.kafka):
        raise CannotRun(kafka_unreachable(settings.kafka), ExitCode.DEPENDENCY_UNREACHABLE)
    async with AsyncExitStack() as stack:
        publisher = KafkaPublisher(settings.kafka, client_id="smslab-tracking")
        await stack.enter_async_context(publisher)
        links = LinkTable(settings.kafka)
        stack.push_async_callback(links.stop)
        tokenizer = Tokenizer(SubjectKey(settings.subject_key_id, settings.subject_key))
        tracking = Tracking(links, publisher, tokenizer, settings.webhook_secret)
        await _serve(tracking, settings, stack)
        await links.start()
        following = asyncio.ensure_future(links.follow())
        stopped = asyncio.ensure_future(stop.wait())
        try:
            await asyncio.wait({following, stopped}, return_when=asyncio.FIRST_COMPLETED)
            if following.done():
                following.result()
        finally:
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)


async def _serve(tracking: Tracking, settings: TrackingSettings, stack: AsyncExitStack) -> None:
    runner = web.AppRunner(tracking.app(), access_log=None)
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    site = web.TCPSite(runner, settings.host, settings.port, shutdown_timeout=_SHUTDOWN_S)
    try:
        await site.start()
    except OSError as error:
        raise port_in_use("SMS_TRACKING_PORT", settings.host, settings.port) from error


if __name__ == "__main__":
    configure_logs("tracking")
    sys.exit(run_process(main))
