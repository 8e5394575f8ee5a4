"""The operator: an SMSC over TCP on the protocol core. Keeps every deliver_sm until it is acked."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final

from smpp_bridge.protocol import pdu
from smpp_bridge.protocol.constants import CommandStatus
from smpp_bridge.protocol.session import Session
from smpp_bridge.protocol.session_events import Answered, BindRequested, Closed, Expired, Received
from smpp_bridge.protocol.states import SessionState
from smpp_bridge.protocol.timers import Timeouts

DELIVER_WINDOW: Final = 200
"""Unanswered deliver_sm per session, as a generous operator allows."""
_RETRY_S: Final = 1.0
_RECEIVES: Final = (SessionState.BOUND_RX, SessionState.BOUND_TRX)
OnSubmit = Callable[["Peer", pdu.SubmitSm], None]
OnOther = Callable[["Peer", pdu.Request], None]


@dataclass(slots=True, eq=False)
class Delivery:
    """A deliver_sm that is kept until an ESME has acknowledged it."""

    request: pdu.DeliverSm
    taken: Callable[[], None]
    is_taken: bool = False


class Smsc:
    """The listener and the queue of what is to be delivered."""

    def __init__(self, *, system_id: str, password: str, timeouts: Timeouts | None = None) -> None:
        self._credentials = (system_id.encode(), password.encode())
        self.timeouts = timeouts
        self._peers: set[Peer] = set()
        self._outbox: deque[Delivery] = deque()
        self.in_flight = 0
        self.undelivered = 0
        """deliver_sm that no ESME has acknowledged."""
        self.taken = 0
        """deliver_sm that one has acknowledged."""
        self.resent = 0
        self._server: asyncio.Server | None = None

    async def start(
        self, host: str, port: int, on_submit: OnSubmit, on_other: OnOther | None = None
    ) -> int:
        """Listen, and hand every submit_sm to `on_submit`; returns the real port.

        Other requests go to `on_other`; without it they are refused.

        Raises:
            OSError: If the port is in use.
        """
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: Peer(self, on_submit, on_other), host, port)
        return int(self._server.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        """Close the listener and every session."""
        if self._server is not None:
            self._server.close()
        for peer in list(self._peers):
            peer.close()

    def deliver(self, request: pdu.DeliverSm, taken: Callable[[], None]) -> None:
        """Deliver again and again until an ESME acknowledges; then call `taken`, once."""
        self.undelivered += 1
        self._outbox.append(Delivery(request, taken))
        self.pump()

    def pump(self) -> None:
        """Send what the sessions' windows allow."""
        ready = [peer for peer in self._peers if peer.can_deliver()]
        while self._outbox and ready:
            for peer in ready:
                self._send_next(peer)
            ready = [peer for peer in ready if peer.can_deliver()]
        for peer in list(self._peers):
            peer.flush()

    def _send_next(self, peer: Peer) -> None:
        while self._outbox:
            delivery = self._outbox.popleft()
            if not delivery.is_taken:
                self.in_flight += 1
                peer.send(delivery)
                return

    def acknowledged(self, delivery: Delivery, status: int, *, is_late: bool) -> None:
        """An ESME answered a deliver_sm; a late answer is to one that is already sent again."""
        self.in_flight -= not is_late
        if status == CommandStatus.ROK:
            if not delivery.is_taken:
                delivery.is_taken = True
                self.undelivered -= 1
                self.taken += 1
                delivery.taken()
        elif not is_late:
            asyncio.get_running_loop().call_later(_RETRY_S, self._again, [delivery])

    def expired(self, delivery: Delivery) -> None:
        """No answer in time: it is sent again, as operators do."""
        self.in_flight -= 1
        self._again([delivery])

    def unacknowledged(self, deliveries: list[Delivery]) -> None:
        """A session has died with deliver_sm in flight: they are sent again, first."""
        self.in_flight -= len(deliveries)
        self.resent += len(deliveries)
        self._outbox.extendleft(reversed(deliveries))

    def is_right(self, request: pdu.Bind) -> bool:
        """Whether the credentials are right."""
        return (request.system_id, request.password) == self._credentials

    def joined(self, peer: Peer) -> None:
        """A connection came."""
        self._peers.add(peer)

    def left(self, peer: Peer) -> None:
        """A connection went."""
        self._peers.discard(peer)
        self.pump()

    def tick(self) -> None:
        """Let time pass in every session."""
        for peer in list(self._peers):
            peer.tick()

    def _again(self, deliveries: Iterable[Delivery]) -> None:
        deliveries = [each for each in deliveries if not each.is_taken]
        self.resent += len(deliveries)
        self._outbox.extend(deliveries)
        self.pump()


class Peer(asyncio.Protocol):
    """The shell of one session in the SMSC role."""

    def __init__(self, smsc: Smsc, on_submit: OnSubmit, on_other: OnOther | None) -> None:
        self._smsc = smsc
        self._on_submit = on_submit
        self._on_other = on_other or Peer.refuse
        self._loop = asyncio.get_running_loop()
        self.session = Session(
            "smsc", now=self._loop.time(), window=DELIVER_WINDOW, timeouts=smsc.timeouts
        )
        self._transport: asyncio.Transport | None = None
        self._is_writable = True

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """An ESME connected."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._smsc.joined(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """It is gone; what it had not acknowledged goes back."""
        self.session.disconnected(str(exc or "closed"))
        self._report()
        self._smsc.left(self)

    def data_received(self, data: bytes) -> None:
        """Octets from the ESME."""
        self.session.receive_data(data, self._loop.time())
        self._report()
        self._smsc.pump()

    def pause_writing(self) -> None:
        """The ESME reads too slowly."""
        self._is_writable = False

    def resume_writing(self) -> None:
        """It has caught up."""
        self._is_writable = True
        self._smsc.pump()

    def can_deliver(self) -> bool:
        """Whether another deliver_sm may go out."""
        session = self.session
        return session.state in _RECEIVES and self._is_writable and session.window.free > 0

    def send(self, delivery: Delivery) -> None:
        """Send a deliver_sm."""
        self.session.send(delivery.request, delivery, self._loop.time())

    def answer(
        self, request: pdu.Request, status: int, message_id: bytes = b"", **fields: Any
    ) -> None:
        """Answer a request."""
        self.session.respond(request, status, message_id, **fields)

    def refuse(self, request: pdu.Request) -> None:
        """Answer a request that is not served."""
        self.session.refuse(request)

    def flush(self) -> None:
        """Write what the session wants to send."""
        assert self._transport is not None
        data = self.session.data_to_send()
        if data and not self._transport.is_closing():
            self._transport.write(data)
        if self.session.is_closed:
            self._transport.close()

    def tick(self) -> None:
        """Let time pass."""
        self.session.tick(self._loop.time())
        self._report()

    def close(self) -> None:
        """Drop the connection."""
        if self._transport is not None:
            self._transport.abort()

    def _report(self) -> None:
        for event in self.session.events():
            match event:
                case BindRequested(request):
                    is_right = self._smsc.is_right(request)
                    status = CommandStatus.ROK if is_right else CommandStatus.RINVPASWD
                    self.session.answer_bind(request, status, b"smslab")
                case Received(pdu.SubmitSm() as request):
                    self._on_submit(self, request)
                case Received(request):
                    self._on_other(self, request)
                case Answered(delivery, response, _, is_late):
                    self._smsc.acknowledged(delivery, response.command_status, is_late=is_late)
                case Expired(delivery):
                    self._smsc.expired(delivery)
                case Closed(_, unanswered):
                    self._smsc.unacknowledged(list(unanswered))
                case _:
                    pass  # Unparsed and Unexpected: the session has answered them
        self.flush()
