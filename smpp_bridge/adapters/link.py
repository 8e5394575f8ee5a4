"""One SMPP session on one TCP connection, and the keeper that brings it back."""

from __future__ import annotations

import asyncio
import logging
import random
from typing import Any, Final, Protocol

from smpp_bridge.protocol import pdu
from smpp_bridge.protocol.constants import REFUSED_BINDS
from smpp_bridge.protocol.session import Session
from smpp_bridge.protocol.session_events import (
    BindRefused,
    Bound,
    Closed,
    SessionEvent,
)
from smpp_bridge.protocol.states import SessionState
from smpp_bridge.protocol.timers import Timeouts

MAX_INBOUND_PENDING: Final = 4000
"""Unacknowledged deliver_sm per link, about 0.8 KB each; above, the socket is not read."""
_BACKOFF_S: Final = (0.25, 30.0)
_REFUSED_BACKOFF_S: Final = (5.0, 300.0)
"""Retrying a refused bind fast only locks the account."""
_CONNECT_WITHIN_S: Final = 10.0
_TICK_S: Final = 0.5

log = logging.getLogger(__name__)


class LinkOwner(Protocol):
    """Who acts on what a link reports."""

    def on_link_event(self, link: Link, event: SessionEvent) -> None:
        """Something happened in the session."""

    def on_link_ready(self) -> None:
        """A link may take more: a window slot, a bind, or the socket is free again."""


class Link(asyncio.Protocol):
    """The shell of one session; lives as long as its socket."""

    def __init__(
        self, owner: LinkOwner, bind: pdu.Bind, *, window: int, timeouts: Timeouts
    ) -> None:
        self._owner = owner
        self._bind = bind
        self._loop = asyncio.get_running_loop()
        self.session = Session("esme", now=self.now(), window=window, timeouts=timeouts)
        self.closed = asyncio.Event()
        self.throttled_until = 0.0
        self.throttles_in_row = 0
        self._is_writable = True
        self._is_reading = True
        self._flush_is_due = False
        self._transport: asyncio.Transport | None = None

    def now(self) -> float:
        """The session's clock, seconds."""
        return self._loop.time()

    def can_submit(self) -> bool:
        """Whether a submit_sm may go out now."""
        session = self.session
        return (
            session.state in (SessionState.BOUND_TX, SessionState.BOUND_TRX)
            and self._is_writable
            and session.window.free > 0
            and self.now() >= self.throttled_until
        )

    def flush(self) -> None:
        """Write what the session wants to send; close when it has ended."""
        assert self._transport is not None
        data = self.session.data_to_send()
        if data:
            self._transport.write(data)
        if self.session.is_closed:
            self._transport.close()
        elif not self._is_reading and self.session.inbound_pending < MAX_INBOUND_PENDING // 2:
            self._is_reading = True
            self._transport.resume_reading()

    def flush_soon(self) -> None:
        """Flush once for all answers of this turn of the loop."""
        if not self._flush_is_due:
            self._flush_is_due = True
            self._loop.call_soon(self._flush_now)

    def _flush_now(self) -> None:
        self._flush_is_due = False
        self.flush()

    def tick(self) -> None:
        """Let time pass in the session."""
        self.session.tick(self.now())
        self._report()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Connected: bind at once."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self.session.bind(self._bind)
        self.flush()

    def data_received(self, data: bytes) -> None:
        """Octets from the SMSC."""
        self.session.receive_data(data, self.now())
        self._report()
        if self._is_reading and self.session.inbound_pending > MAX_INBOUND_PENDING:
            self._is_reading = False
            assert self._transport is not None
            self._transport.pause_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        """The socket is gone."""
        self.session.disconnected(f"connection lost: {exc}" if exc else "connection closed")
        self._report()
        self.closed.set()

    def pause_writing(self) -> None:
        """The peer reads too slowly; never a partial PDU, just no more of them."""
        self._is_writable = False

    def resume_writing(self) -> None:
        """The peer has caught up."""
        self._is_writable = True
        self._owner.on_link_ready()

    def _report(self) -> None:
        for event in self.session.events():
            self._owner.on_link_event(self, event)
        self.flush()
        self._owner.on_link_ready()


class LinkKeeper:
    """Keeps one link up: connect, bind, wait until it ends, wait longer each time, again."""

    def __init__(
        self,
        owner: LinkOwner,
        bind: pdu.Bind,
        *,
        host: str,
        port: int,
        window: int,
        timeouts: Timeouts,
    ) -> None:
        self._owner = owner
        self._arguments: dict[str, Any] = {"window": window, "timeouts": timeouts}
        self._bind = bind
        self._address = (host, port)
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
            refused = self.refused_with in REFUSED_BINDS
            least, most = _REFUSED_BACKOFF_S if refused else _BACKOFF_S
            # full jitter, so that many links do not come back in step
            delay_s = random.uniform(least / 2, min(most, least * 2**failures))  # noqa: S311
            log.warning(
                "link is down",
                extra={"fields": {"reason": self.last_error, "retry_in_s": round(delay_s, 2)}},
            )
            await asyncio.sleep(delay_s)

    async def _once(self) -> None:
        host, port = self._address
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(_CONNECT_WITHIN_S):
                _, link = await loop.create_connection(
                    lambda: Link(self, self._bind, **self._arguments), host, port
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
