"""One SMPP session without I/O: octets in → events out, requests in → octets out.

The shell owns the socket and the clock (`now`, monotonic seconds). It calls `receive_data`,
then takes `events()`, then writes `data_to_send()`, and closes when `is_closed`. Faults of
the peer never raise: an unreadable PDU is answered and reported, lost framing closes.
Requests of the shell that the state forbids raise `ValueError`.
"""

from __future__ import annotations

from typing import Any, Final

from smpp_bridge.protocol import pdu, session_events
from smpp_bridge.protocol.codec import RESPONSES, PduError, decode, encode
from smpp_bridge.protocol.constants import RESPONSE_BIT, CommandId, CommandStatus
from smpp_bridge.protocol.framing import FrameBuffer, FramingError
from smpp_bridge.protocol.session_events import SessionEvent
from smpp_bridge.protocol.states import BOUND, BOUND_BY, Role, SessionState, may_issue
from smpp_bridge.protocol.timers import Due, Timeouts, Timers
from smpp_bridge.protocol.window import Window

_CONTENT: Final = (pdu.SubmitSm, pdu.DeliverSm, pdu.DataSm)
_PEER: Final[dict[Role, Role]] = {"esme": "smsc", "smsc": "esme"}


class Session:
    """The state of one connection; `role` is ours. `window` bounds our unanswered messages."""

    def __init__(
        self, role: Role, *, now: float, window: int = 64, timeouts: Timeouts | None = None
    ) -> None:
        self.role: Role = role
        self.state = SessionState.OPEN
        self.window = Window(window)
        self.inbound_pending = 0
        """Requests of the peer that we have not answered."""
        self._timeouts = timeouts or Timeouts()
        self._timers = Timers(self._timeouts, now)
        self._frames = FrameBuffer()
        self._events: list[SessionEvent] = []
        self._out: list[bytes] = []
        self._bind: tuple[int, CommandId] | None = None
        self._unbind_request: pdu.Unbind | None = None

    @property
    def is_bound(self) -> bool:
        """Whether messages may travel."""
        return self.state in BOUND

    @property
    def is_closed(self) -> bool:
        """Whether the shell shall close the socket once `data_to_send` is written."""
        return self.state is SessionState.CLOSED

    def events(self) -> list[SessionEvent]:
        """What happened since the last call."""
        events, self._events = self._events, []
        return events

    def data_to_send(self) -> bytes:
        """Octets to write since the last call."""
        data = b"".join(self._out)
        self._out.clear()
        return data

    def receive_data(self, data: bytes, now: float) -> None:
        """Take octets from the peer, cut anywhere."""
        self._timers.heard(now)
        while not self.is_closed:
            try:
                frames = self._frames.feed(data)
            except FramingError as error:
                self._write(pdu.GenericNack(command_status=CommandStatus.RINVCMDLEN))
                self._close(f"framing lost: {error}")
                return
            if not frames:
                return
            data = b""
            for frame in frames:
                self._receive_frame(frame, now)

    def bind(self, request: pdu.Bind) -> None:
        """Ask to bind (ESME)."""
        self._require(request.command_id)
        sequence = self.window.next_sequence()
        self._bind = (sequence, request.command_id)
        self._write(request, sequence)

    def answer_bind(self, request: pdu.Bind, status: int, system_id: bytes = b"") -> None:
        """Accept (ROK) or refuse a `BindRequested` (SMSC)."""
        fields: dict[str, Any] = {"system_id": system_id} if status == CommandStatus.ROK else {}
        self._answer(request, status, **fields)
        if status == CommandStatus.ROK:
            self.state = BOUND_BY[request.command_id]
        else:
            self._close(f"bind refused with 0x{status:02x}")

    def send(self, request: pdu.Message | pdu.DataSm, context: Any, now: float) -> int:
        """Send submit_sm, deliver_sm or data_sm; returns its sequence_number.

        Raises:
            ValueError: If the state or the window forbids it, or a field breaks its limit.
        """
        self._require(request.command_id)
        if not self.window.free:
            raise ValueError(f"window == {self.window.size}, all slots are in use.")
        sequence = self.window.next_sequence()
        self._write(request, sequence)
        self.window.add(sequence, context, now)
        return sequence

    def respond(
        self, request: pdu.Pdu, status: int = CommandStatus.ROK, message_id: bytes = b""
    ) -> None:
        """Answer a `Received` request. After the session has closed this does nothing."""
        if self.is_closed:
            return
        self.inbound_pending -= 1
        fields: dict[str, Any] = {"message_id": message_id} if message_id else {}
        self._answer(request, status, **fields)
        self._finish_unbind()

    def unbind(self) -> None:
        """Say goodbye; the shell has drained before. `Closed` follows the answer."""
        self._require(CommandId.UNBIND)
        self._write(pdu.Unbind(), self.window.next_sequence())
        self.state = SessionState.UNBINDING

    def tick(self, now: float) -> None:
        """Let time pass: expiry, link check, dead link, bind in time."""
        if self.is_closed:
            return
        for request in self.window.expire(now - self._timeouts.response_s):
            self._events.append(session_events.Expired(request.context))
        due = self._timers.tick(now, is_open=self.state is SessionState.OPEN)
        if due is Due.CHECK_LINK:
            self._write(pdu.EnquireLink(), self.window.next_sequence())
            self._timers.link_checked(now)
        elif due is Due.LINK_DEAD:
            self._close("link check was not answered")
        elif due is Due.NOT_BOUND_IN_TIME:
            self._close("not bound in time")

    def disconnected(self, reason: str) -> None:
        """The transport is gone."""
        self._close(reason)

    def _receive_frame(self, frame: bytes, now: float) -> None:
        if self.is_closed:
            return
        try:
            received = decode(frame)
        except PduError as error:
            self._refuse_unparsed(error)
            return
        if received.command_id & RESPONSE_BIT:
            self._receive_response(received, now)
        elif may_issue(_PEER[self.role], received.command_id, self.state):
            self._receive_request(received)
        else:
            self._refuse(received, CommandStatus.RINVBNDSTS)

    def _refuse_unparsed(self, error: PduError) -> None:
        self._events.append(session_events.Unparsed(error.frame, error.reason))
        if error.is_response:
            return
        cls = next((c for c in RESPONSES if c.command_id == error.command_id), None)
        answer = RESPONSES[cls] if cls is not None else pdu.GenericNack
        self._write(
            answer(command_status=error.command_status, sequence_number=error.sequence_number)
        )

    def _refuse(self, request: pdu.Pdu, status: CommandStatus) -> None:
        if type(request) in RESPONSES:
            self._answer(request, status)
        self._events.append(session_events.Unexpected(request))

    def _receive_request(self, request: pdu.Pdu) -> None:
        if isinstance(request, _CONTENT):
            self.inbound_pending += 1
            self._events.append(session_events.Received(request))
        elif isinstance(request, pdu.EnquireLink):
            self._write(pdu.EnquireLinkResp(sequence_number=request.sequence_number))
        elif isinstance(request, pdu.Bind):
            self._events.append(session_events.BindRequested(request))
        elif isinstance(request, pdu.Unbind):
            self._unbind_request = request
            self.state = SessionState.UNBINDING
            self._finish_unbind()
        else:
            self._events.append(session_events.Unexpected(request))

    def _finish_unbind(self) -> None:
        """Answers that are due go out before the goodbye."""
        if self._unbind_request is not None and self.inbound_pending == 0:
            sequence = self._unbind_request.sequence_number
            self._write(pdu.UnbindResp(sequence_number=sequence))
            self._close("peer unbound")

    def _receive_response(self, response: pdu.Pdu, now: float) -> None:
        is_to_bind = self._bind is not None and response.sequence_number == self._bind[0]
        if isinstance(response, pdu.BindResp) or is_to_bind:
            self._receive_bind_answer(response)
        elif isinstance(response, pdu.UnbindResp):
            self._close("unbound")
        elif not isinstance(response, pdu.EnquireLinkResp):  # `heard` has noted that one
            self._receive_answer(response, now)

    def _receive_bind_answer(self, response: pdu.Pdu) -> None:
        if self._bind is None or response.sequence_number != self._bind[0]:
            self._events.append(session_events.Unexpected(response))
            return
        command_id = self._bind[1]
        self._bind = None
        if response.command_status == CommandStatus.ROK and isinstance(response, pdu.BindResp):
            self.state = BOUND_BY[command_id]
            self._events.append(session_events.Bound(response))
            return
        self._events.append(session_events.BindRefused(response.command_status))
        self._close(f"bind refused with 0x{response.command_status:02x}")

    def _receive_answer(self, response: pdu.Pdu, now: float) -> None:
        found = self.window.match(response.sequence_number)
        if found is None:
            self._events.append(session_events.Unexpected(response))
            return
        request, is_late = found
        latency_s = now - request.sent_at
        self._events.append(session_events.Answered(request.context, response, latency_s, is_late))

    def _require(self, command_id: CommandId) -> None:
        if not may_issue(self.role, command_id, self.state) or (
            self.state is SessionState.UNBINDING
        ):
            raise ValueError(f"{command_id.name} is not allowed for {self.role} in {self.state}.")

    def _answer(self, request: pdu.Pdu, status: int, **fields: Any) -> None:
        self._write(
            RESPONSES[type(request)](
                command_status=status, sequence_number=request.sequence_number, **fields
            )
        )

    def _write(self, message: pdu.Pdu, sequence_number: int | None = None) -> None:
        self._out.append(encode(message, sequence_number))

    def _close(self, reason: str) -> None:
        if self.is_closed:
            return
        self.state = SessionState.CLOSED
        unanswered = tuple(request.context for request in self.window.drain())
        self._events.append(session_events.Closed(reason, unanswered))
