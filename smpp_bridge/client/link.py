"""One session on one blocking socket: the link is served while a call waits. No thread."""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable, Sequence
from typing import Final

from smpp_bridge.client.errors import BindRefused, ConnectionLost, NotAnswered
from smpp_bridge.protocol import pdu, session_events
from smpp_bridge.protocol.session import Session
from smpp_bridge.protocol.session_events import SessionEvent
from smpp_bridge.protocol.states import SessionState
from smpp_bridge.protocol.timers import Timeouts
from smpp_bridge.wire import Wire, open_socket, secure, tls_sentence

_TICK_S: Final = 0.5
"""The session's timers are looked at so often while a call waits."""


class BlockingLink:
    """Connects, binds, sends and waits. What the SMSC sends by itself goes to `on_request`."""

    def __init__(
        self,
        address: tuple[str, int],
        *,
        tls: ssl.SSLContext | None,
        timeout_s: float,
        window: int,
        on_request: Callable[[pdu.DeliverSm | pdu.DataSm], None],
    ) -> None:
        self._address = address
        self._tls = tls
        self._timeout_s = timeout_s
        self._window = window
        self._on_request = on_request
        self._wire: Wire | None = None
        self._refused_with: int | None = None
        self._closed_because = "not connected"

    @property
    def is_open(self) -> bool:
        """Whether there is a socket."""
        return self._wire is not None

    @property
    def is_bound(self) -> bool:
        """Whether messages may travel."""
        return self._wire is not None and self._wire.session.is_bound

    def bind(self, request: pdu.Bind) -> None:
        """Connect, and bind within the timeout; closed again when that fails."""
        self._wire = self._connected()
        session, self._refused_with = self._wire.session, None
        is_bound = False
        try:
            session.bind(request)
            is_bound = self.serve_until(lambda: session.is_bound, self._timeout_s)
        finally:
            if not is_bound:
                self.close()
        if not is_bound:
            raise NotAnswered(f"bind was not answered within {self._timeout_s:g} s.")

    def ask(self, requests: Sequence[pdu.Request]) -> list[pdu.Pdu | None]:
        """Send requests within the window; their answers in order, `None` for what is missing.

        Raises:
            ConnectionLost: If the connection ends before all answers are here.
            ValueError: If the operation matrix forbids it, or a field breaks its limit.
        """
        session = self._connected_wire().session
        answers: dict[int, pdu.Pdu] = {}
        for number, request in enumerate(requests):
            if not self._wait_for_slot(session):
                break
            session.send(request, (answers, number), time.monotonic())
        self.serve_until(lambda: len(answers) == len(requests), self._timeout_s)
        return [answers.get(number) for number in range(len(requests))]

    def respond(self, request: pdu.Request, status: int) -> None:
        """Answer a request of the SMSC; nothing when the connection is gone."""
        if self._wire is not None:
            self._wire.session.respond(request, status)
            self._wire.flush()

    def unbind(self) -> None:
        """Say goodbye and wait for the SMSC's; nothing when the connection is gone."""
        if self._wire is not None and self._wire.session.is_bound:
            session = self._wire.session
            session.unbind()
            self.serve_until(lambda: session.is_closed, self._timeout_s)

    def close(self) -> None:
        """Drop the connection without a goodbye."""
        if self._wire is not None:
            self._wire.close()
        self._wire = None
        self._closed_because = "closed"

    def serve_until(self, is_done: Callable[[], bool], timeout_s: float | None) -> bool:
        """Serve the link until `is_done` or the time is over; whether it is done.

        Raises:
            BindRefused: If the session has ended for that reason.
            ConnectionLost: If it has ended for any other.
        """
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        wire = self._connected_wire()
        wire.flush()
        while not is_done():
            if wire.session.is_closed:
                self._raise_closed(wire.session)
            wait_s = _TICK_S if deadline is None else min(_TICK_S, deadline - time.monotonic())
            if wait_s <= 0:
                return False
            for event in wire.serve(wait_s):
                self._handle(wire.session, event)
            wire.flush()
        return True

    def _wait_for_slot(self, session: Session) -> bool:
        """Whether another request may go out; a write that failed ends the session here."""
        has_slot = self.serve_until(
            lambda: session.window.free > 0 and not session.is_closed, self._timeout_s
        )
        if session.state is SessionState.UNBINDING:
            raise ConnectionLost("the SMSC unbinds: read what it has sent, then bind again.")
        return has_slot

    def _connected(self) -> Wire:
        host, port = self._address
        try:
            link = open_socket(host, port, self._timeout_s)
            if self._tls is not None:
                link = secure(link, self._tls, host)
        except OSError as error:
            reason = tls_sentence(error) or error
            raise ConnectionLost(f"{host}:{port} cannot be reached: {reason}.") from error
        timeouts = Timeouts(response_s=self._timeout_s, session_init_s=2 * self._timeout_s)
        session = Session("esme", now=time.monotonic(), window=self._window, timeouts=timeouts)
        return Wire(session, link, timeout_s=self._timeout_s)

    def _connected_wire(self) -> Wire:
        if self._wire is None:
            raise ConnectionLost(f"{self._closed_because}: bind first.")
        return self._wire

    def _raise_closed(self, session: Session) -> None:
        for event in session.events():
            self._handle(session, event)
        reason = self._closed_because
        self.close()
        if self._refused_with is not None:
            raise BindRefused(self._refused_with)
        raise ConnectionLost(f"the session has ended: {reason}.")

    def _handle(self, session: Session, event: SessionEvent) -> None:
        match event:
            case session_events.BindRefused(command_status):
                self._refused_with = command_status
            case session_events.Answered((answers, number), response):
                answers[number] = response
            case session_events.Received(pdu.DeliverSm() | pdu.DataSm() as request):
                self._on_request(request)
            case session_events.Received(request):
                session.refuse(request)
            case session_events.Closed(reason):
                self._closed_because = reason
            case _:
                pass  # answered by the session, or of no use to a client
