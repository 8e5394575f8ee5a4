"""One ESME at the proxy: the shell of a session in the SMSC role."""

from __future__ import annotations

import asyncio
from typing import Any, Final, Protocol

from smpp_bridge.adapters.closing import end_connection
from smpp_bridge.adapters.link import MAX_UNWRITTEN
from smpp_bridge.adapters.listener import Reason, address_of
from smpp_bridge.configuration import Account, ProxyConfig
from smpp_bridge.protocol import pdu
from smpp_bridge.protocol.session import Session
from smpp_bridge.protocol.session_events import Closed, Received, SessionEvent
from smpp_bridge.protocol.states import SessionState
from smpp_bridge.protocol.timers import Timeouts

DELIVER_WINDOW: Final = 100
"""deliver_sm that one ESME session may leave unanswered."""
MAX_BEFORE_BIND: Final = 1024
"""Octets of somebody who is not bound: a bind has 120 at most, link checks may precede it."""
TOO_MUCH: Final = "too much before the bind"
"""Why such a connection ends."""
IN_THE_WAY: Final = "not bound, and a later one needed its place"
"""The same."""
_RECEIVES: Final = (SessionState.BOUND_RX, SessionState.BOUND_TRX)


class FrontOwner(Protocol):
    """Who acts on what ESMEs do."""

    def on_front_event(self, front: Front, event: SessionEvent) -> None:
        """Something happened in the session."""

    def on_front_ready(self, front: Front) -> None:
        """It may take more deliver_sm."""

    def on_front_open(self, front: Front) -> None:
        """Somebody connected."""

    def on_front_closed(self, front: Front) -> None:
        """The socket is gone."""


class Front(asyncio.Protocol):
    """Lives as long as the socket."""

    def __init__(self, owner: FrontOwner, config: ProxyConfig) -> None:
        self._owner = owner
        self._loop = asyncio.get_running_loop()
        timeouts = Timeouts(
            response_s=config.response_timeout_s, enquire_link_s=config.enquire_link_s
        )
        self.session = Session("smsc", now=self.now(), window=DELIVER_WINDOW, timeouts=timeouts)
        self.account: Account | None = None
        self.address = ""
        self.refused_for: Reason | None = None
        """Why it is not served, the first reason."""
        self.unanswered = 0
        """submit_sm of this ESME that have no answer yet."""
        self._octets_before_bind = 0
        self._closed_for = ""
        self._is_writable = True
        self._is_reading = True
        self._flush_is_due = False
        self._transport: asyncio.Transport | None = None

    def now(self) -> float:
        """The session's clock, seconds."""
        return self._loop.time()

    @property
    def is_receiver(self) -> bool:
        """Whether it is bound for deliver_sm."""
        return self.session.state in _RECEIVES

    @property
    def can_receive(self) -> bool:
        """Whether a deliver_sm may go out now."""
        return self.is_receiver and self._is_writable and self.session.window.free > 0

    def hang_up(self, reason: str) -> None:
        """Close after what is to be sent."""
        self.session.disconnected(reason)

    def give_way(self) -> None:
        """It is not bound, and a later one needs its place now."""
        self.hang_up(IN_THE_WAY)
        self.abort()
        self._owner.on_front_closed(self)

    def respond(self, request: pdu.Request, status: int, **fields: Any) -> None:
        """Answer a request; flushed with the other answers of this turn."""
        self.unanswered -= 1
        self.session.respond(request, status, **fields)
        self.flush_soon()

    def flush(self) -> None:
        """Write what the session wants to send; close when it has ended, read or not."""
        assert self._transport is not None
        data = self.session.data_to_send()
        if data and not self._transport.is_closing():
            self._transport.write(data)
        if self.session.is_closed:
            end_connection(self._transport, self._closed_for)
        else:
            self._read_or_rest()

    def flush_soon(self) -> None:
        """Flush once for all answers of this turn of the loop."""
        if not self._flush_is_due:
            self._flush_is_due = True
            self._loop.call_soon(self._flush_now)

    def _flush_now(self) -> None:
        self._flush_is_due = False
        self.flush()

    def tick(self) -> None:
        """Let time pass."""
        self.session.tick(self.now())
        self._report()

    def abort(self) -> None:
        """Drop the connection."""
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """An ESME connected."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self.address = address_of(transport)
        self._owner.on_front_open(self)

    def data_received(self, data: bytes) -> None:
        """Octets from the ESME."""
        if self.session.state is SessionState.OPEN:
            data = self._received_unbound(data)
        self.session.receive_data(data, self.now())
        self._report()

    def _received_unbound(self, data: bytes) -> bytes:
        """Take no more than a bind needs; what remains is for the session that it made."""
        most = MAX_BEFORE_BIND - self._octets_before_bind
        self._octets_before_bind += len(data)
        self.session.receive_data(data[:most], self.now())
        self._report()
        if len(data) > most and self.session.state is SessionState.OPEN:
            self.hang_up(TOO_MUCH)
            self.abort()
        return data[most:]

    def connection_lost(self, exc: Exception | None) -> None:
        """It is gone."""
        self.session.disconnected(str(exc or "connection closed"))
        self._report()
        self._owner.on_front_closed(self)

    def pause_writing(self) -> None:
        """The ESME reads too slowly."""
        self._is_writable = False

    def resume_writing(self) -> None:
        """It has caught up."""
        self._is_writable = True
        self.flush()
        self._owner.on_front_ready(self)

    def _report(self) -> None:
        for event in self.session.events():
            if isinstance(event, Received):
                self.unanswered += 1
            elif isinstance(event, Closed):
                self._closed_for = event.reason
            self._owner.on_front_event(self, event)
        self.flush()

    def _read_or_rest(self) -> None:
        """A peer that does not read its answers gets no more of them."""
        assert self._transport is not None
        unwritten = self._transport.get_write_buffer_size()
        if self._is_reading and unwritten > MAX_UNWRITTEN:
            self._is_reading = False
            self._transport.pause_reading()
        elif not self._is_reading and unwritten <= MAX_UNWRITTEN / 2:
            self._is_reading = True
            self._transport.resume_reading()
