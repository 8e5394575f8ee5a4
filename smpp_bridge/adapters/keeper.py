"""Keeps one link up: connect, bind, wait until it ends, wait longer each time, again."""

from __future__ import annotations

import asyncio
import logging
import random
import ssl
from typing import Final

from smpp_bridge.adapters.closing import CLOSE_WITHIN_S
from smpp_bridge.adapters.link import Link, LinkOwner
from smpp_bridge.adapters.tls import tls_sentence
from smpp_bridge.configuration import ConnectionConfig
from smpp_bridge.pacing import STABLE_S, reconnect_wait_s
from smpp_bridge.protocol import pdu
from smpp_bridge.protocol.session_events import BindRefused, Bound, Closed, SessionEvent
from smpp_bridge.protocol.states import SessionState

_CONNECT_WITHIN_S: Final = 10.0
_TICK_S: Final = 0.5
_UNFRIENDLY: Final = ("connection closed", "connection lost", "framing lost")
_MEANS: Final = {
    False: "does the port speak TLS, does the operator admit our address?",
    True: "does the operator admit our address and our client certificate?",
}
"""By whether the connection has TLS."""

log = logging.getLogger(__name__)


class LinkKeeper:
    """One bind of a connection, for as long as the process lives."""

    def __init__(
        self,
        owner: LinkOwner,
        bind: pdu.Bind,
        config: ConnectionConfig,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._tls = tls
        self._owner = owner
        self._bind = bind
        self._config = config
        self.link: Link | None = None
        self.is_leaving = False
        """The process says goodbye: no new link."""
        self.last_error: str | None = None
        self.binds = 0
        self.refused_with: int | None = None
        self._is_careful = False
        self._refused_full = 0

    @property
    def refused_full(self) -> int:
        """Requests of the SMSC that were refused because too many wait, of all links so far."""
        return self._refused_full + (self.link.refused_full if self.link is not None else 0)

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
            self.last_error = self._explained(event.reason)
            self._is_careful = bool(event.unanswered) or link.is_careful
        self._owner.on_link_event(link, event)

    async def run(self) -> None:
        """Until cancelled, or the link ends while leaving."""
        loop = asyncio.get_running_loop()
        failures = 0
        while not self.is_leaving:
            binds, began_at = self.binds, loop.time()
            await self._once()
            if self.is_leaving:
                return
            was_good = self.binds > binds and loop.time() - began_at >= STABLE_S
            failures = 0 if was_good else failures + 1
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
        try:
            async with asyncio.timeout(_CONNECT_WITHIN_S):
                link = await self._connect()
        except (OSError, TimeoutError) as error:
            reason = tls_sentence(error) or f"cannot be reached: {error or 'timeout'}"
            self.last_error = f"{host}:{port} {reason}"
            return
        self.link = link
        if self.is_leaving:
            link.abort()
        try:
            while not link.closed.is_set():
                try:
                    async with asyncio.timeout(_TICK_S):
                        await link.closed.wait()
                except TimeoutError:
                    link.tick()
        finally:
            self._refused_full += link.refused_full
            self.link = None

    async def _connect(self) -> Link:
        config, tls = self._config, self._config.tls
        _, link = await asyncio.get_running_loop().create_connection(
            lambda: Link(self, self._bind, config, is_careful=self._is_careful),
            config.host,
            config.port,
            ssl=self._tls,
            server_hostname=(tls.server_name or config.host) if tls else None,
            ssl_shutdown_timeout=CLOSE_WITHIN_S if tls else None,
        )
        return link

    def _explained(self, reason: str) -> str:
        """What the end of a session that was never bound may mean.

        A TLS port answers a plain bind with an alert, whose first octets are no length, or
        just closes; so does an SMSC that does not know our address or certificate.
        """
        if self.binds == 0 and reason.startswith(_UNFRIENDLY):
            return f"{reason} before the bind was answered; {_MEANS[self._tls is not None]}"
        return reason
