"""One SMPP session of ours on one TCP connection.

What the SMSC sends is bounded by count and octets: above, the socket is not read until Kafka
has caught up. The session parses all it is given, so nothing waits unparsed in our own buffer
while the socket rests; one read (asyncio: 256 KiB) is the most by which a bound is passed.
While the socket rests no timer runs: answers and link checks may lie unread in it. A peer that
reads nothing itself is dead after the time that an answer may take.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final, Protocol

from smpp_bridge.adapters.closing import end_connection
from smpp_bridge.adapters.tls import tls_sentence
from smpp_bridge.configuration import ConnectionConfig
from smpp_bridge.protocol import pdu
from smpp_bridge.protocol.constants import CommandStatus
from smpp_bridge.protocol.session import Session
from smpp_bridge.protocol.session_events import Answered, Closed, Received, SessionEvent
from smpp_bridge.protocol.states import SessionState
from smpp_bridge.protocol.timers import Timeouts

MAX_UNWRITTEN: Final = 2**20
"""Octets a peer may leave unread before we stop reading its requests, whose answers pile up."""
_TRANSMITS: Final = (SessionState.BOUND_TX, SessionState.BOUND_TRX)


class LinkOwner(Protocol):
    """Who acts on what a link reports."""

    def on_link_event(self, link: Link, event: SessionEvent) -> None:
        """Something happened in the session."""

    def on_link_ready(self) -> None:
        """A link may take more: a window slot, a bind, or the socket is free again."""


class Link(asyncio.Protocol):
    """The shell of one session; lives as long as its socket.

    `is_careful`: the link before it died with messages unanswered. One of them may be the
    reason, so this one sends one at a time at first, and loses one if it dies as well.
    """

    def __init__(
        self,
        owner: LinkOwner,
        bind: pdu.Bind,
        config: ConnectionConfig,
        *,
        is_careful: bool = False,
    ) -> None:
        self._owner = owner
        self._bind = bind
        self._config = config
        self._loop = asyncio.get_running_loop()
        timeouts = Timeouts(
            response_s=config.response_timeout_s,
            enquire_link_s=config.enquire_link_s,
            inactivity_s=config.inactivity_s,
        )
        self.session = Session("esme", now=self.now(), window=config.window, timeouts=timeouts)
        self.closed = asyncio.Event()
        self._allowed = 1 if is_careful else config.window
        """Unanswered submit_sm at a time; each answer admits one more, up to the window."""
        self._closed_for = ""
        self.refused_full = 0
        """Requests that were refused because too many wait (`when_full: refuse`)."""
        self._is_writable = True
        self._is_reading = True
        self._flush_is_due = False
        self._unwritten = 0
        self._moved_at = self.now()
        """When octets left for the peer last, or none waited."""
        self._transport: asyncio.Transport | None = None

    def now(self) -> float:
        """The session's clock, seconds."""
        return self._loop.time()

    @property
    def is_careful(self) -> bool:
        """Whether it has not had enough answers yet to fill its window."""
        return self._allowed < self._config.window

    @property
    def unacknowledged(self) -> int:
        """Requests of the SMSC that we have not answered."""
        return self.session.inbound_pending

    @property
    def unacknowledged_bytes(self) -> int:
        """About the octets that they hold."""
        return self.session.inbound_octets

    @property
    def is_reading(self) -> bool:
        """Whether the socket is read."""
        return self._is_reading

    @property
    def is_transmitter(self) -> bool:
        """Whether it is bound for submit_sm."""
        return self.session.state in _TRANSMITS

    def can_submit(self) -> bool:
        """Whether a submit_sm may go out now."""
        session = self.session
        return (
            session.state in _TRANSMITS
            and self._is_writable
            and len(session.window) < self._allowed
        )

    def respond(self, request: pdu.Request, status: int, **fields: Any) -> None:
        """Answer a request of the SMSC; flushed with the other answers of this turn."""
        self.session.respond(request, status, **fields)
        self.flush_soon()

    def refuse(self, request: pdu.Request) -> None:
        """Answer what an ESME does not serve."""
        self.session.refuse(request)
        self.flush_soon()

    def flush(self) -> None:
        """Write what the session wants to send; close when it has ended."""
        assert self._transport is not None
        data = self.session.data_to_send()
        if data:
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

    def abort(self) -> None:
        """Drop the connection; what was not written never will be."""
        self.session.data_to_send()
        if self._transport is not None:
            self._transport.abort()

    def tick(self) -> None:
        """Let time pass in the session, unless its answers may lie unread."""
        self._note_progress()
        if self.now() - self._moved_at >= self._config.response_timeout_s:
            self.session.disconnected("the peer does not read what we write")
            self.abort()
        elif self._is_reading:
            self.session.tick(self.now())
            self._report()

    def _note_progress(self) -> None:
        """Whether the peer has taken something off the socket since the last look."""
        assert self._transport is not None
        unwritten, before = self._transport.get_write_buffer_size(), self._unwritten
        self._unwritten = unwritten
        if not unwritten or unwritten < before:
            self._moved_at = self.now()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Connected: bind at once."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self.session.bind(self._bind, is_strict=False)  # configured; a password may be longer
        self.flush()

    def data_received(self, data: bytes) -> None:
        """Octets from the SMSC."""
        self.session.receive_data(data, self.now())
        self._report()

    def connection_lost(self, exc: Exception | None) -> None:
        """The socket is gone."""
        self.session.disconnected(reason_of(exc))
        self._report()
        self.closed.set()

    def pause_writing(self) -> None:
        """The peer reads too slowly; never a partial PDU, just no more of them."""
        self._is_writable = False

    def resume_writing(self) -> None:
        """The peer has caught up."""
        self._is_writable = True
        self.flush()
        self._owner.on_link_ready()

    def _report(self) -> None:
        events = self.session.events()
        if self._config.when_full == "refuse" and self._is_full():
            events = self._without_surplus(events)
        for event in events:
            if isinstance(event, Closed):
                self._closed_for = event.reason
            elif isinstance(event, Answered) and self.is_careful:
                self._allowed += 1
            self._owner.on_link_event(self, event)
        self.flush()
        self._owner.on_link_ready()

    def _without_surplus(self, events: list[SessionEvent]) -> list[SessionEvent]:
        """Refuse the last that came until the bounds are kept; the SMSC brings them again."""
        kept: list[SessionEvent] = []
        for event in reversed(events):
            if isinstance(event, Received) and self._is_full():
                self.refused_full += 1
                self.respond(event.request, CommandStatus.RMSGQFUL)
            else:
                kept.append(event)
        return kept[::-1]

    def _is_full(self, part: float = 1.0) -> bool:
        config = self._config
        return (
            self.unacknowledged > part * config.max_unacknowledged
            or self.unacknowledged_bytes > part * config.max_unacknowledged_bytes
        )

    def _read_or_rest(self) -> None:
        """Rest above the bounds, read again at half of them."""
        assert self._transport is not None
        unwritten = self._transport.get_write_buffer_size()
        if self._is_reading and (self._is_full() or unwritten > MAX_UNWRITTEN):
            self._is_reading = False
            self._transport.pause_reading()
        elif not self._is_reading and not self._is_full(0.5) and unwritten <= MAX_UNWRITTEN / 2:
            self._is_reading = True
            self._transport.resume_reading()


def reason_of(error: Exception | None) -> str:
    """Why a connection ended, in a few words."""
    sentence = tls_sentence(error)
    if sentence is not None:
        return sentence
    return f"connection lost: {error}" if error else "connection closed"
