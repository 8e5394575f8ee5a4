"""One SMPP session without I/O: octets in → events out, requests in → octets out.

The shell owns the socket and the clock (`now`, monotonic seconds). It calls `receive_data`,
then takes `events()`, then writes `data_to_send()`, and closes when `is_closed`. Faults of
the peer never raise: an unreadable PDU is answered and reported, lost framing closes.
Requests of the shell that the state forbids raise `ValueError`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeVar

import msgspec

from smpp_bridge.protocol import pdu, session_events, sizes
from smpp_bridge.protocol.codec import RESPONSES, PduError, decode, encode
from smpp_bridge.protocol.constants import (
    FIRST_VERSION_WITH_TLVS,
    INTERFACE_VERSION,
    RESPONSE_BIT,
    CommandId,
    CommandStatus,
    Tag,
)
from smpp_bridge.protocol.framing import MAX_LENGTH, FrameBuffer, FramingError
from smpp_bridge.protocol.session_events import SessionEvent
from smpp_bridge.protocol.states import (
    BOUND,
    BOUND_BY,
    BUSY,
    MAY_ISSUE,
    NOT_SERVED,
    Role,
    SessionState,
    wrong_state_status,
)
from smpp_bridge.protocol.timers import Due, Timeouts, Timers
from smpp_bridge.protocol.window import Window

_PEER: Final[dict[Role, Role]] = {"esme": "smsc", "smsc": "esme"}
_PDU_OVERHEAD: Final = 100
"""Octets of a pending request besides its strings and TLVs: header, flags."""
_WITHOUT_ID: Final[dict[Role, tuple[type[pdu.Pdu], ...]]] = {
    "esme": (pdu.DeliverSm, pdu.DataSm),
    "smsc": (pdu.DeliverSm,),
}
"""§4.6.2: message_id of the answer is unused and must be empty; some peers drop the link."""
_P = TypeVar("_P", bound=pdu.Pdu)


class Session:
    """The state of one connection; `role` is ours. `window` bounds our unanswered requests.

    `max_length`: octets of the largest PDU that is believed; above, framing is lost.
    """

    def __init__(
        self,
        role: Role,
        *,
        now: float,
        window: int = 64,
        timeouts: Timeouts | None = None,
        max_length: int = MAX_LENGTH,
    ) -> None:
        self.role: Role = role
        self.state = SessionState.OPEN
        self.window = Window(window)
        self.version = INTERFACE_VERSION
        """interface_version that both sides speak, known once bound."""
        self.inbound_pending = 0
        """Requests of the peer that we have not answered."""
        self.inbound_octets = 0
        """About how many octets they have."""
        self._timeouts = timeouts or Timeouts()
        self._timers = Timers(self._timeouts, now)
        self._frames = FrameBuffer(max_length)
        self._events: list[SessionEvent] = []
        self._out: list[bytes] = []
        self._bind: pdu.Bind | None = None
        """The bind that waits for its answer, whoever asked."""
        self._link_requests: dict[CommandId, int] = {}
        """Our last bind, enquire_link and unbind that wait for an answer → sequence_number."""
        self._unbind_request: pdu.Unbind | None = None
        self._unbinding_since: float | None = None
        self._unbind_reason = "unbound"

    @property
    def state(self) -> SessionState:
        """Where the session is in its life."""
        return self._state

    @state.setter
    def state(self, state: SessionState) -> None:
        self._state = state
        self.is_closed = state is SessionState.CLOSED
        """Whether the shell shall close the socket once `data_to_send` is written."""
        self._we_may = MAY_ISSUE[self.role, state]
        self._peer_may = MAY_ISSUE[_PEER[self.role], state]

    @property
    def is_bound(self) -> bool:
        """Whether messages may travel."""
        return self.state in BOUND

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

    def bind(self, request: pdu.Bind, *, is_strict: bool = True) -> None:
        """Ask to bind (ESME). Not strict: a field may be longer than SMPP allows."""
        self._require(request.command_id)
        if self._bind is not None:
            raise ValueError("a bind waits for its answer, must be one at a time.")
        self._send_own(request, is_strict=is_strict)
        self._bind = request

    def answer_bind(self, request: pdu.Bind, status: int, system_id: bytes = b"") -> None:
        """Accept (ROK) or refuse a `BindRequested` (SMSC). On a closed session this does nothing.

        sc_interface_version tells a peer of 3.4 or later what we speak (§5.3.2.25).
        """
        if self.is_closed:
            return
        self._bind = None
        if status != CommandStatus.ROK:
            self._answer(request, status)
            self._close(f"bind refused with 0x{status:02x}")
            return
        self.version = min(request.interface_version, INTERFACE_VERSION)
        tlvs = ((Tag.SC_INTERFACE_VERSION, bytes((INTERFACE_VERSION,))),)
        self._answer(request, status, system_id=system_id, tlvs=tlvs if self._has_tlvs else ())
        self.state = BOUND_BY[request.command_id]

    def send(
        self, request: pdu.Request, context: Any, now: float, *, is_strict: bool = True
    ) -> int:
        """Send a request within the window; returns its sequence_number.

        A peer of 3.3 gets it without TLVs. Not strict: what another peer sent is passed on.

        Raises:
            ValueError: If the state or the window forbids it, a field breaks its limit, or the
                text is in a TLV that a peer of 3.3 cannot read.
        """
        self._require(request.command_id)
        if not self.window.free:
            raise ValueError(f"window == {self.window.size}, all slots are in use.")
        sequence = self._next_sequence()
        self._write(self._readable(request), sequence, is_strict=is_strict)
        self.window.add(sequence, context, now)
        self._timers.worked(now)
        return sequence

    def notify(self, notification: pdu.AlertNotification | pdu.Outbind) -> None:
        """Send what has no answer (SMSC)."""
        self._require(notification.command_id)
        self._write(self._readable(notification), self._next_sequence())

    def respond(
        self,
        request: pdu.Pdu,
        status: int = CommandStatus.ROK,
        message_id: bytes = b"",
        **fields: Any,
    ) -> None:
        """Answer a `Received` request. After the session has closed this does nothing.

        Args:
            request: As it was received.
            status: Any command_status.
            message_id: For submit_sm, and for data_sm when we are the SMSC.
            **fields: Further fields of the answer, as query_sm_resp has them.

        Raises:
            ValueError: If `message_id` is given where it must be empty.
        """
        if self.is_closed:
            return
        if message_id and isinstance(request, _WITHOUT_ID[self.role]):
            raise ValueError(f"message_id has {len(message_id)} octets, must be empty.")
        self.inbound_pending -= 1
        self.inbound_octets -= octets_of(request)
        if message_id:
            fields["message_id"] = message_id
        self._answer(request, status, **fields)
        self._go_on_unbinding()

    def refuse(self, request: pdu.Request) -> None:
        """Answer a `Received` request that this side does not serve."""
        self.respond(request, NOT_SERVED.get(request.command_id, CommandStatus.RINVCMDID))

    def unbind(self) -> None:
        """Say goodbye; no new work from now on. `Closed` follows.

        unbind goes out when what is in flight either way has its answer or has expired.
        """
        self._require(CommandId.UNBIND)
        self.state = SessionState.UNBINDING
        self._go_on_unbinding()

    def tick(self, now: float) -> None:
        """Let time pass: expiry, link check, dead link, bind and unbind in time, inactivity."""
        if self.is_closed:
            return
        for request in self.window.expire(now - self._timeouts.response_s):
            self._events.append(session_events.Expired(request.context))
        self._go_on_unbinding()
        self._hurry_unbinding(now)
        due = self._timers.tick(now, is_open=self.state is SessionState.OPEN)
        if due is Due.CHECK_LINK:
            self._send_own(pdu.EnquireLink())
            self._timers.link_checked(now)
        elif due is Due.LINK_DEAD:
            self._close("link check was not answered")
        elif due is Due.NOT_BOUND_IN_TIME:
            self._close("not bound in time")
        elif due is Due.INACTIVE and self.is_bound:
            self._unbind_reason = "no message within the inactivity time"
            self.unbind()

    def disconnected(self, reason: str) -> None:
        """The transport is gone."""
        self._close(reason)

    @property
    def _has_tlvs(self) -> bool:
        return self.version >= FIRST_VERSION_WITH_TLVS

    @property
    def _is_draining(self) -> bool:
        """We want to unbind, but something is still in flight."""
        is_said = self._unbind_request is not None or CommandId.UNBIND in self._link_requests
        return self.state is SessionState.UNBINDING and not is_said

    def _receive_frame(self, frame: bytes, now: float) -> None:
        if self.is_closed:
            return
        try:
            received = decode(frame, is_strict=self.role == "smsc")
        except PduError as error:
            self._refuse_unparsed(error)
            return
        if received.command_id & RESPONSE_BIT:
            self._receive_response(received, now)
        elif received.command_id in self._peer_may:
            self._receive_request(received, now)
        else:
            self._refuse(received, wrong_state_status(received.command_id, self.state))

    def _refuse_unparsed(self, error: PduError) -> None:
        self._events.append(
            session_events.Unparsed(error.frame, error.reason, error.command_status)
        )
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

    def _receive_request(self, request: pdu.Pdu, now: float) -> None:
        if isinstance(request, pdu.REQUESTS):
            self._receive_content(request, now)
        elif isinstance(request, pdu.Bind):
            self._receive_bind(request)
        else:
            _RECEIVE[type(request)](self, request)

    def _receive_content(self, request: pdu.Request, now: float) -> None:
        if self._is_draining:
            self._refuse(request, BUSY[self.role])
            return
        self._timers.worked(now)
        self.inbound_pending += 1
        self.inbound_octets += octets_of(request)
        self._events.append(session_events.Received(request))

    def _receive_bind(self, request: pdu.Bind) -> None:
        if self._bind is not None:
            self._refuse(request, CommandStatus.RALYBND)
            return
        self._bind = request
        self._events.append(session_events.BindRequested(request))

    def _receive_enquire_link(self, request: pdu.EnquireLink) -> None:
        self._write(pdu.EnquireLinkResp(sequence_number=request.sequence_number))

    def _receive_unbind(self, request: pdu.Unbind) -> None:
        self._unbind_request = request
        self.state = SessionState.UNBINDING
        self._go_on_unbinding()

    def _receive_alert(self, notification: pdu.AlertNotification) -> None:
        self._events.append(session_events.AlertReceived(notification))

    def _receive_outbind(self, request: pdu.Outbind) -> None:
        self._events.append(session_events.OutbindReceived(request))

    def _go_on_unbinding(self) -> None:
        """Answers that are due go out before the goodbye, and ours are waited for."""
        if self.state is not SessionState.UNBINDING or self.inbound_pending > 0:
            return
        if self._unbind_request is not None:
            sequence = self._unbind_request.sequence_number
            self._write(pdu.UnbindResp(sequence_number=sequence))
            self._close("peer unbound")
        elif self._is_draining and not len(self.window):
            self._send_own(pdu.Unbind())
            self._unbinding_since = None  # the answer has its own time

    def _hurry_unbinding(self, now: float) -> None:
        if self.state is not SessionState.UNBINDING:
            return
        if self._unbinding_since is None:
            self._unbinding_since = now
        elif now - self._unbinding_since >= self._timeouts.response_s:
            self._close("unbind did not end in time")

    def _receive_response(self, response: pdu.Pdu, now: float) -> None:
        own = self._own_request(response.sequence_number) if self._link_requests else None
        if own is not None:
            self._receive_own_answer(own, response)
        elif isinstance(response, pdu.UnbindResp) and CommandId.UNBIND in self._link_requests:
            self._close(self._unbind_reason)  # some peers number it anew
        elif not isinstance(response, pdu.EnquireLinkResp):  # `heard` has noted that one
            self._receive_answer(response, now)

    def _own_request(self, sequence: int) -> CommandId | None:
        return next((c for c, number in self._link_requests.items() if number == sequence), None)

    def _receive_own_answer(self, own: CommandId, response: pdu.Pdu) -> None:
        """Whatever carries the number is the answer, generic_nack too."""
        del self._link_requests[own]
        if own is CommandId.UNBIND:
            self._close(self._unbind_reason)
        elif own is not CommandId.ENQUIRE_LINK:
            self._receive_bind_answer(response)

    def _receive_bind_answer(self, response: pdu.Pdu) -> None:
        request, self._bind = self._bind, None
        assert request is not None
        if response.command_status == CommandStatus.ROK and isinstance(response, pdu.BindResp):
            self.state = BOUND_BY[request.command_id]
            self.version = min(request.interface_version, _version_of(response))
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
        self._timers.worked(now)
        latency_s = now - request.sent_at
        self._events.append(session_events.Answered(request.context, response, latency_s, is_late))
        self._go_on_unbinding()

    def _require(self, command_id: CommandId) -> None:
        if command_id not in self._we_may or self._state is SessionState.UNBINDING:
            raise ValueError(f"{command_id.name} is not allowed for {self.role} in {self.state}.")

    def _readable(self, request: _P) -> _P:
        if self._has_tlvs or not request.tlvs:
            return request
        if request.tlv(Tag.MESSAGE_PAYLOAD) is not None:
            raise ValueError(f"the peer speaks 0x{self.version:02x}, message_payload needs 0x34.")
        return msgspec.structs.replace(request, tlvs=())

    def _answer(self, request: pdu.Pdu, status: int, **fields: Any) -> None:
        if not self._has_tlvs:
            fields.pop("tlvs", None)
        answer = RESPONSES[type(request)](
            command_status=status, sequence_number=request.sequence_number, **fields
        )
        # an operator's id may be longer than §5.2.23 allows; it is passed on as it is
        self._out.append(encode(answer, is_strict=False))

    def _send_own(self, request: pdu.Pdu, *, is_strict: bool = True) -> None:
        """Send a request of the link itself, which takes no slot of the window."""
        sequence = self._next_sequence()
        self._write(request, sequence, is_strict=is_strict)
        self._link_requests[request.command_id] = sequence

    def _next_sequence(self) -> int:
        return self.window.next_sequence(avoid=self._link_requests.values())

    def _write(
        self, message: pdu.Pdu, sequence_number: int | None = None, *, is_strict: bool = True
    ) -> None:
        self._out.append(encode(message, sequence_number, is_strict=is_strict))

    def _close(self, reason: str) -> None:
        if self.is_closed:
            return
        self.state = SessionState.CLOSED
        unanswered = tuple(request.context for request in self.window.drain())
        self._events.append(session_events.Closed(reason, unanswered))


_RECEIVE: Final[dict[type[pdu.Pdu], Callable[[Session, Any], None]]] = {
    pdu.EnquireLink: Session._receive_enquire_link,  # noqa: SLF001 - a table of its own methods
    pdu.Unbind: Session._receive_unbind,  # noqa: SLF001
    pdu.AlertNotification: Session._receive_alert,  # noqa: SLF001
    pdu.Outbind: Session._receive_outbind,  # noqa: SLF001
}
"""What is not answered by the shell."""


def _version_of(response: pdu.BindResp) -> int:
    """Many SMSCs of 3.4 leave sc_interface_version out, so its absence means nothing."""
    return int.from_bytes(response.tlv(Tag.SC_INTERFACE_VERSION) or b"", "big") or INTERFACE_VERSION


def octets_of(request: pdu.Pdu) -> int:
    """About how many octets a pending request holds in memory."""
    return _PDU_OVERHEAD + sizes.content_octets(request)
