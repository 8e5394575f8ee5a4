"""Keeps one link up: connect, bind, wait until it ends, wait longer each time, again."""

from __future__ import annotations

import asyncio
import logging
import random
from typing import Final

from smpp_bridge.adapters.link import Link, LinkOwner
from smpp_bridge.configuration import ConnectionConfig
from smpp_bridge.pacing import reconnect_wait_s
from smpp_bridge.protocol import pdu
from smpp_bridge.protocol.session_events import BindRefused, Bound, Closed, SessionEvent
from smpp_bridge.protocol.states import SessionState

_CONNECT_WITHIN_S: Final = 10.0
_TICK_S: Final = 0.5

log = logging.getLogger(__name__)


class LinkKeeper:
    """One bind of a connection, for as long as the process lives."""

    def __init__(self, owner: LinkOwner, bind: pdu.Bind, config: ConnectionConfig) -> None:
        self._owner = owner
        self._bind = bind
        self._config = config
        self.link: Link | None = None
        self.last_error: str | None = None
        self.binds = 0
        self.refused_with: int | None = None

    @property
    def state(self) -> SessionState:
        """Of the session in being."""
        return SessionState.CLOSED if self.link is None else self.link.session.state

    def on_link_ready(self) -> None:
        """Pass it on."""
        self._owner.on_link_ready()

    def on_link_event(self, link: Link, event: SessionEvent) -> None:
        """Remember what decides how to come back, and pass it on."""
        if isinstance(event, Bound):
            self.binds += 1
            self.last_error, self.refused_with = None, None
        elif isinstance(event, BindRefused):
            self.refused_with = event.command_status
        elif isinstance(event, Closed):
            self.last_error = event.reason
        self._owner.on_link_event(link, event)

    async def run(self) -> None:
        """Until cancelled."""
        failures = 0
        while True:
            binds = self.binds
            await self._once()
            failures = 0 if self.binds > binds else failures + 1
            delay_s = reconnect_wait_s(failures, self.refused_with, random.uniform)
            fields = {
                "connection": self._config.name,
                "reason": self.last_error,
                "retry_in_s": round(delay_s, 2),
            }
            log.warning("link is down", extra={"fields": fields})
            await asyncio.sleep(delay_s)

    async def _once(self) -> None:
        host, port = self._config.host, self._config.port
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(_CONNECT_WITHIN_S):
                _, link = await loop.create_connection(
                    lambda: Link(self, self._bind, self._config), host, port
                )
        except (OSError, TimeoutError) as error:
            self.last_error = f"{host}:{port} cannot be reached: {error or 'timeout'}"
            return
        self.link = link
        try:
            while not link.closed.is_set():
                try:
                    async with asyncio.timeout(_TICK_S):
                        await link.closed.wait()
                except TimeoutError:
                    link.tick()
        finally:
            self.link = None
