"""One session on one blocking socket: the link is served while a call waits. No thread."""

from __future__ import annotations

import socket
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

_CHUNK: Final = 65_536
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
        self._socket: socket.socket | None = None
        self._session: Session | None = None
        self._refused_with: int | None = None
        self._closed_because = "not connected"

    @property
    def is_open(self) -> bool:
        """Whether there is a socket."""
        return self._session is not None

    @property
    def is_bound(self) -> bool:
        """Whether messages may travel."""
        return self._session is not None and self._session.is_bound

    def bind(self, request: pdu.Bind) -> None:
        """Connect, and bind within the timeout; closed again when that fails."""
        self._socket = self._connected()
        timeouts = Timeouts(response_s=self._timeout_s, session_init_s=2 * self._timeout_s)
        session = Session("esme", now=time.monotonic(), window=self._window, timeouts=timeouts)
        self._session, self._refused_with = session, None
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
        session = self._bound()
        answers: dict[int, pdu.Pdu] = {}
        for number, request in enumerate(requests):
            if not self._wait_for_slot(session):
                break
            session.send(request, (answers, number), time.monotonic())
        self.serve_until(lambda: len(answers) == len(requests), self._timeout_s)
        return [answers.get(number) for number in range(len(requests))]

    def respond(self, request: pdu.Request, status: int) -> None:
        """Answer a request of the SMSC; nothing when the connection is gone."""
        if self._session is not None:
            self._session.respond(request, status)
            self._flush(self._session)

    def unbind(self) -> None:
        """Say goodbye and wait for the SMSC's; nothing when the connection is gone."""
        session = self._session
        if session is not None and session.is_bound:
            session.unbind()
            self.serve_until(lambda: session.is_closed, self._timeout_s)

    def close(self) -> None:
        """Drop the connection without a goodbye."""
        if self._socket is not None:
            self._socket.close()
        self._socket = self._session = None
        self._closed_because = "closed"

    def serve_until(self, is_done: Callable[[], bool], timeout_s: float | None) -> bool:
        """Serve the link until `is_done` or the time is over; whether it is done.

        Raises:
            BindRefused: If the session has ended for that reason.
            ConnectionLost: If it has ended for any other.
        """
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        session = self._bound()
        self._flush(session)
        while not is_done():
            if session.is_closed:
                self._raise_closed(session)
            wait_s = _TICK_S if deadline is None else min(_TICK_S, deadline - time.monotonic())
            if wait_s <= 0:
                return False
            self._serve(session, wait_s)
        return True

    def _wait_for_slot(self, session: Session) -> bool:
        """Whether another request may go out; a write that failed ends the session here."""
        has_slot = self.serve_until(
            lambda: session.window.free > 0 and not session.is_closed, self._timeout_s
        )
        if session.state is SessionState.UNBINDING:
            raise ConnectionLost("the SMSC unbinds: read what it has sent, then bind again.")
        return has_slot

    def _connected(self) -> socket.socket:
        host, port = self._address
        try:
            plain = socket.create_connection(self._address, timeout=self._timeout_s)
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return (
                plain if self._tls is None else self._tls.wrap_socket(plain, server_hostname=host)
            )
        except OSError as error:
            raise ConnectionLost(f"{host}:{port} cannot be reached: {error}.") from error

    def _bound(self) -> Session:
        if self._session is None:
            raise ConnectionLost(f"{self._closed_because}: bind first.")
        return self._session

    def _raise_closed(self, session: Session) -> None:
        self._handle_events(session)
        reason = self._closed_because
        self.close()
        if self._refused_with is not None:
            raise BindRefused(self._refused_with)
        raise ConnectionLost(f"the session has ended: {reason}.")

    def _serve(self, session: Session, wait_s: float) -> None:
        assert self._socket is not None
        self._socket.settimeout(wait_s)
        try:
            data = self._socket.recv(_CHUNK)
        except TimeoutError:
            pass
        except OSError as error:
            session.disconnected(str(error))
        else:
            if data:
                session.receive_data(data, time.monotonic())
            else:
                session.disconnected("the SMSC closed the connection")
        session.tick(time.monotonic())
        self._handle_events(session)
        self._flush(session)

    def _flush(self, session: Session) -> None:
        data = session.data_to_send()
        if not data or self._socket is None:
            return
        self._socket.settimeout(self._timeout_s)
        try:
            self._socket.sendall(data)
        except OSError as error:  # a timeout, too: half a PDU may be out
            session.disconnected(str(error))

    def _handle_events(self, session: Session) -> None:
        for event in session.events():
            self._handle(session, event)

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
