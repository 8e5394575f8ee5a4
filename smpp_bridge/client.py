"""A small blocking SMPP client: connect, bind, send, read. For scripts and first steps.

The bridge does not use it. There is no thread: the link is served while a call waits, so an
idle program calls `read` from time to time.
"""

from __future__ import annotations

import itertools
import ssl
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self

from smpp_bridge.protocol import constants, pdu, session_events
from smpp_bridge.protocol.constants import CommandStatus
from smpp_bridge.protocol.long_messages import Joined, Joiner, messages_of
from smpp_bridge.protocol.meanings import status_meaning, status_name
from smpp_bridge.protocol.receipts import Receipt, parse_receipt
from smpp_bridge.protocol.session import Session
from smpp_bridge.protocol.session_events import SessionEvent
from smpp_bridge.protocol.text import Encoding
from smpp_bridge.protocol.timers import Timeouts
from smpp_bridge.wire import Wire, open_socket, secure, tls_sentence

_TICK_S: Final = 0.5
"""The session's timers are looked at so often while a call waits."""


class SmppError(Exception):
    """What can go wrong between us and an SMSC."""


class BindRefused(SmppError):  # noqa: N818 - it names what happened
    """The SMSC refused the bind: `command_status` and its name say why."""

    def __init__(self, command_status: int) -> None:
        self.command_status = command_status
        self.status = status_name(command_status)
        super().__init__(f"bind refused: {_reason(command_status)}.")


class SubmitRefused(SmppError):  # noqa: N818
    """The SMSC refused a part; `message_ids` are those of the parts that it took."""

    def __init__(self, command_status: int, message_ids: list[str]) -> None:
        self.command_status = command_status
        self.status = status_name(command_status)
        self.message_ids = message_ids
        super().__init__(f"submit_sm refused: {_reason(command_status)}.")


class NotAnswered(SmppError, TimeoutError):  # noqa: N818
    """The SMSC did not answer in time; it may have taken the message nevertheless."""


class ConnectionLost(SmppError, ConnectionError):  # noqa: N818
    """There is no connection (any more)."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """A message from a phone, or a receipt (then `receipt` is there). Long messages are joined."""

    source_addr: str
    dest_addr: str
    text: str
    receipt: Receipt | None


class Connection:
    """One SMPP session with an SMSC; also a context manager that unbinds at its end.

    Args:
        system_id: The account.
        password: At most 8 characters.
        host: Host of the SMSC.
        port: Port of the SMSC.
        system_type: If the SMSC wants one.
        timeout_s: Seconds to wait for the connection and for each answer.
        window: Most submit_sm without an answer.
        tls: For SMPP over TLS; `host` is the name that the certificate must have.
    """

    def __init__(
        self,
        *,
        system_id: str,
        password: str,
        host: str = "127.0.0.1",
        port: int = 2775,
        system_type: str = "",
        timeout_s: float = 30.0,
        window: int = 10,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._account = (system_id.encode(), password.encode(), system_type.encode())
        self._address = (host, port)
        self._timeout_s = timeout_s
        self._window = window
        self._tls = tls
        self._wire: Wire | None = None
        self._session: Session | None = None
        self._references = itertools.count(time.time_ns() & 0xFF)
        self._inbox: deque[tuple[Delivery, pdu.Request | None]] = deque()
        self._joiner = Joiner()
        self._refused_with: int | None = None
        self._closed_because = "not connected"

    def bind_transceiver(self) -> None:
        """Connect and bind for both directions.

        Raises:
            BindRefused: If the SMSC does not want us.
            ConnectionLost: If it cannot be reached or hangs up.
            NotAnswered: If it stays silent.
            ValueError: If a field is too long for SMPP.
        """
        self._connect_and_bind(pdu.BindTransceiver)

    def bind_transmitter(self) -> None:
        """Connect and bind for sending; raises as `bind_transceiver` does."""
        self._connect_and_bind(pdu.BindTransmitter)

    def bind_receiver(self) -> None:
        """Connect and bind for receiving; raises as `bind_transceiver` does."""
        self._connect_and_bind(pdu.BindReceiver)

    def submit_sm(
        self,
        *,
        source_addr: str,
        dest_addr: str,
        short_message: str,
        wants_receipt: bool = True,
        encoding: Encoding | None = None,
    ) -> list[str]:
        """Send a text in as many parts as it needs; returns the SMSC's id of each part.

        Raises:
            SubmitRefused: If the SMSC refuses a part.
            NotAnswered: If a part stays unanswered; it may have been sent.
            ConnectionLost: If the connection ends before the answers.
            ValueError: If an address or the text does not fit into SMPP, or we are a receiver.
        """
        session = self._bound()
        template = addressed(source_addr, dest_addr, wants_receipt=wants_receipt)
        parts = messages_of(
            template, short_message, reference=next(self._references), encoding=encoding
        )
        answers: dict[int, pdu.Pdu] = {}
        for number, part in enumerate(parts):
            if not self._serve_until(lambda: session.window.free > 0, self._timeout_s):
                break
            session.send(part, (answers, number), time.monotonic())
        self._serve_until(lambda: len(answers) == len(parts), self._timeout_s)
        return self._message_ids([answers.get(number) for number in range(len(parts))])

    def read(self, timeout_s: float | None = None) -> Delivery | None:
        """The next receipt or message; `None` when none comes in time (`None`: wait for ever).

        It is acknowledged to the SMSC when it is handed out.

        Raises:
            ConnectionLost: If the connection has ended.
        """
        if not self._serve_until(lambda: bool(self._inbox), timeout_s):
            return None
        delivery, request = self._inbox.popleft()
        self._acknowledge(request, CommandStatus.ROK)
        return delivery

    def listen(
        self, on_delivery: Callable[[Delivery], None], timeout_s: float | None = None
    ) -> None:
        """Call `on_delivery` with everything that comes until nothing comes for `timeout_s`.

        The SMSC gets its acknowledgement when the call has returned. When it raises, the SMSC
        is told to send this one again, and the exception goes on.

        Raises:
            ConnectionLost: If the connection has ended.
        """
        while self._serve_until(lambda: bool(self._inbox), timeout_s):
            delivery, request = self._inbox.popleft()
            try:
                on_delivery(delivery)
            except BaseException:
                self._acknowledge(request, CommandStatus.RX_T_APPN)
                raise
            self._acknowledge(request, CommandStatus.ROK)

    def unbind(self) -> None:
        """Say goodbye and close. What was not read goes back to the SMSC, to be sent again."""
        session = self._session
        try:
            if session is not None and session.is_bound:
                while self._inbox:
                    self._acknowledge(self._inbox.popleft()[1], CommandStatus.RX_T_APPN)
                session.unbind()
                self._serve_until(lambda: session.is_closed, self._timeout_s)
        finally:
            self.close()

    def close(self) -> None:
        """Drop the connection without a goodbye."""
        if self._wire is not None:
            self._wire.close()
        self._wire = self._session = None
        self._closed_because = "closed"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with suppress(SmppError):  # the way out must not hide why
            self.unbind()

    def _connect_and_bind(self, cls: type[pdu.Bind]) -> None:
        if self._session is not None:
            raise ValueError("the connection is in use, must be unbound before it is bound again.")
        system_id, password, system_type = self._account
        bind = cls(system_id=system_id, password=password, system_type=system_type)
        wire = self._connected()
        session = wire.session
        self._wire, self._session, self._refused_with = wire, session, None
        self._inbox.clear()
        is_bound = False
        try:
            session.bind(bind)
            is_bound = self._serve_until(lambda: session.is_bound, self._timeout_s)
        finally:
            if not is_bound:
                self.close()
        if not is_bound:
            raise NotAnswered(f"bind was not answered within {self._timeout_s:g} s.")

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

    def _bound(self) -> Session:
        if self._session is None:
            raise ConnectionLost(f"{self._closed_because}: bind first.")
        return self._session

    def _message_ids(self, answers: list[pdu.Pdu | None]) -> list[str]:
        ids = [
            answer.message_id.decode("latin-1")
            for answer in answers
            if isinstance(answer, pdu.SubmitSmResp) and answer.command_status == CommandStatus.ROK
        ]
        for answer in answers:
            if answer is not None and answer.command_status != CommandStatus.ROK:
                raise SubmitRefused(answer.command_status, ids)
        if None in answers:
            raise NotAnswered(f"submit_sm was not answered within {self._timeout_s:g} s.")
        return ids

    def _serve_until(self, is_done: Callable[[], bool], timeout_s: float | None) -> bool:
        """Serve the link until `is_done` or the time is over; whether it is done."""
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        session = self._bound()
        self._flush()
        while not is_done():
            if session.is_closed:
                self._raise_closed(session)
            wait_s = _TICK_S if deadline is None else min(_TICK_S, deadline - time.monotonic())
            if wait_s <= 0:
                return False
            self._serve(session, wait_s)
        return True

    def _raise_closed(self, session: Session) -> None:
        for event in session.events():
            self._handle(session, event)
        reason = self._closed_because
        self.close()
        if self._refused_with is not None:
            raise BindRefused(self._refused_with)
        raise ConnectionLost(f"the session has ended: {reason}.")

    def _serve(self, session: Session, wait_s: float) -> None:
        assert self._wire is not None
        for event in self._wire.serve(wait_s):
            self._handle(session, event)
        self._wire.flush()

    def _flush(self) -> None:
        if self._wire is not None:
            self._wire.flush()

    def _handle(self, session: Session, event: SessionEvent) -> None:
        match event:
            case session_events.BindRefused(command_status):
                self._refused_with = command_status
            case session_events.Answered((answers, number), response):
                answers[number] = response
            case session_events.Received(pdu.DeliverSm() | pdu.DataSm() as request):
                self._receive(session, request)
            case session_events.Received(request):
                session.refuse(request)
            case session_events.Closed(reason):
                self._closed_because = reason
            case _:
                pass  # answered by the session, or of no use to a client

    def _receive(self, session: Session, request: pdu.DeliverSm | pdu.DataSm) -> None:
        receipt = parse_receipt(request)
        if receipt is not None:
            self._inbox.append((_delivery(Joined((request,), 1, ""), receipt), request))
            return
        joined = self._joiner.add(request, time.monotonic())
        is_part = joined is None or joined.total > 1
        for lost in self._joiner.expire(time.monotonic()):
            self._inbox.append((_delivery(lost), None))
        if is_part:  # a peer that waits for each answer would never send the next part
            session.respond(request)
        if joined is not None:
            self._inbox.append((_delivery(joined), None if is_part else request))

    def _acknowledge(self, request: pdu.Request | None, status: CommandStatus) -> None:
        if request is not None and self._session is not None:
            self._session.respond(request, status)
            self._flush()


def _reason(command_status: int) -> str:
    meaning = status_meaning(command_status)
    return f"{status_name(command_status)} ({meaning})" if meaning else status_name(command_status)


def addressed(source_addr: str, dest_addr: str, *, wants_receipt: bool) -> pdu.SubmitSm:
    """A submit_sm without text; a sender that is no number is alphanumeric (§5.2.5)."""
    is_number = source_addr.lstrip("+").isdigit()
    return pdu.SubmitSm(
        source_addr_ton=constants.TON_UNKNOWN if is_number else constants.TON_ALPHANUMERIC,
        source_addr_npi=constants.NPI_ISDN if is_number else constants.NPI_UNKNOWN,
        source_addr=source_addr.encode("latin-1"),
        dest_addr_ton=constants.TON_INTERNATIONAL,
        dest_addr_npi=constants.NPI_ISDN,
        destination_addr=dest_addr.lstrip("+").encode("ascii"),
        registered_delivery=int(wants_receipt),
    )


def _delivery(joined: Joined, receipt: Receipt | None = None) -> Delivery:
    request = joined.requests[0]
    return Delivery(
        source_addr=request.source_addr.decode("latin-1"),
        dest_addr=request.destination_addr.decode("latin-1"),
        text=joined.text,
        receipt=receipt,
    )
