"""The ESMEs of a proxy: binds them, keeps their limits, hands their messages to the relays."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Final, Protocol

from smpp_bridge.adapters.deliveries import Client, Deliveries, Delivery
from smpp_bridge.adapters.front import IN_THE_WAY, TOO_MUCH, Front
from smpp_bridge.adapters.link import Link
from smpp_bridge.adapters.listener import Listener, Reason
from smpp_bridge.adapters.seldom import tell_unexpected
from smpp_bridge.admission import Admission
from smpp_bridge.configuration import ProxyConfig
from smpp_bridge.pacing import TokenBucket
from smpp_bridge.protocol import session_events
from smpp_bridge.protocol.constants import CommandStatus
from smpp_bridge.protocol.pdu import Bind, DataSm, SubmitSm
from smpp_bridge.protocol.session_events import SessionEvent
from smpp_bridge.protocol.states import SessionState

_TICK_S: Final = 0.5
_STRANGE_ENDS: Final[tuple[tuple[str, Reason], ...]] = (
    ("not bound in time", "timeout"),
    ("framing lost", "garbage"),
    (TOO_MUCH, "flood"),
    (IN_THE_WAY, "connections"),
)
"""How the session of somebody ends who never bound, and what that is."""


class Relayer(Protocol):
    """Where the messages of an account go."""

    def submit(self, front: Front, client: Client, request: SubmitSm | DataSm) -> None:
        """Pass a message on; answers it when its result is durable."""


class Desk:
    """All ESMEs of the process."""

    def __init__(
        self, config: ProxyConfig, *, is_kafka_away: Callable[[], bool], path: str = "listen"
    ) -> None:
        self._config = config
        self._is_kafka_away = is_kafka_away
        self.deliveries = Deliveries(config.accounts)
        self._fronts: set[Front] = set()
        self.listener = Listener(
            config, lambda: Front(self, config), lambda: len(self._fronts), path=path
        )
        self._admission = Admission(config.accounts)
        now = asyncio.get_running_loop().time()
        self.clients = {
            account.system_id: Client(account, TokenBucket(account.rate_per_s, now=now))
            for account in config.accounts
        }
        self._relayers: Mapping[str, Relayer] = {}
        self._is_draining = False

    def connect(self, relayers: Mapping[str, Relayer]) -> None:
        """Tell where connections lead."""
        self._relayers = relayers

    async def start(self) -> None:
        """Listen.

        Raises:
            CannotRun: If the port is in use.
        """
        await self.listener.start()

    async def tick_regularly(self) -> None:
        """Let time pass in every session, until cancelled."""
        while True:
            await asyncio.sleep(_TICK_S)
            for front in list(self._fronts):
                front.tick()

    async def drain(self, within_s: float) -> None:
        """No new connection and no new message; answers that are due, then goodbye."""
        self._is_draining = True
        self.listener.close()
        loop = asyncio.get_running_loop()
        deadline = loop.time() + within_s
        # many sessions end the wait, once in a life
        while loop.time() < deadline and any(front.unanswered for front in self._fronts):  # noqa: ASYNC110
            await asyncio.sleep(0.02)
        for front in list(self._fronts):
            if front.session.is_bound:
                front.session.unbind()
                front.flush()
            elif front.session.state is SessionState.OPEN:
                front.abort()  # a stranger
        while loop.time() < deadline and self._fronts:  # noqa: ASYNC110 - as above
            await asyncio.sleep(0.02)
        for front in list(self._fronts):
            front.abort()

    def deliver(self, delivery: Delivery, owner: str) -> None:
        """Bring a deliver_sm to its ESME, or do what the account wants while there is none."""
        self.deliveries.deliver(delivery, self.clients[owner])

    def link_lost(self, link: Link) -> None:
        """Nobody waits for answers to what came on it."""
        for client in self.clients.values():
            self.deliveries.link_lost(client, link)

    def on_front_open(self, front: Front) -> None:
        """Bound or not, it takes a place."""
        self._fronts.add(front)
        self.listener.came(front)

    def on_front_ready(self, front: Front) -> None:
        """It may take more."""
        if front.account is not None:
            self.deliveries.pump(self.clients[front.account.system_id])

    def on_front_closed(self, front: Front) -> None:
        """What it was about to get goes to another session, or back."""
        self._fronts.discard(front)
        self.listener.bound_or_gone(front)
        if front.account is None:
            return
        client = self.clients[front.account.system_id]
        if front in client.fronts:
            client.fronts.remove(front)
        if client.has_receiver:
            self.deliveries.pump(client)
        else:
            self.deliveries.no_receiver(client)

    def on_front_event(self, front: Front, event: SessionEvent) -> None:
        """Route what an ESME does. What fails unforeseen ends one PDU, and not the session."""
        try:
            self._on_event(front, event)
        except Exception as error:  # noqa: BLE001 - whatever a PDU has set off
            self._failed(front, event, error)

    def _failed(self, front: Front, event: SessionEvent, error: Exception) -> None:
        """Whoever waits for an answer shall try again."""
        if front.account is not None:
            self.clients[front.account.system_id].failed(error)
        else:
            tell_unexpected(error)
            self._strange(front, "unexpected")
        match event:
            case session_events.BindRequested(request):
                self._turn_away(front, request, CommandStatus.RSYSERR)
            case session_events.Received(request):
                front.respond(request, CommandStatus.RSYSERR)
            case session_events.Answered(delivery) | session_events.Expired(delivery):
                self.deliveries.failed(self._client(front), delivery)
            case _:
                pass

    def _on_event(self, front: Front, event: SessionEvent) -> None:
        match event:
            case session_events.BindRequested(request):
                self._bind(front, request)
            case session_events.Received(SubmitSm() | DataSm() as request):
                self._submit(front, request)
            case session_events.Received(request):
                front.unanswered -= 1
                front.session.refuse(request)
            case session_events.Answered(delivery, response, _, is_late):
                self.deliveries.answered(self._client(front), delivery, response, is_late=is_late)
            case session_events.Expired(delivery):
                self.deliveries.expired(self._client(front), delivery, front)
            case session_events.Closed(reason, unanswered):
                for delivery in unanswered:
                    self.deliveries.given_back(self._client(front), delivery)
                self.on_front_ready(front)  # its socket may close later, others need not wait
                self._strange(front, next((k for w, k in _STRANGE_ENDS if w in reason), None))
            case session_events.Unparsed(_, _, status):
                self._unreadable(front, status)
            case session_events.Unexpected():
                self._strange(front, "not_bind")
            case _:
                pass

    def _bind(self, front: Front, request: Bind) -> None:
        bound = {name: client.bound for name, client in self.clients.items()}
        verdict = self._admission.judge(
            request, address=front.address, bound=bound, now=front.now()
        )
        if verdict.reason is not None:
            self._strange(front, verdict.reason)
            loop = asyncio.get_running_loop()
            loop.call_later(verdict.wait_s, self._turn_away, front, request, verdict.status)
            return
        assert verdict.account is not None
        front.account = verdict.account
        front.session.answer_bind(request, verdict.status, self._config.system_id.encode())
        client = self.clients[verdict.account.system_id]
        client.fronts.append(front)
        self.listener.bound_or_gone(front)
        self.deliveries.pump(client)

    def _turn_away(self, front: Front, request: Bind, status: CommandStatus) -> None:
        """Closes as well: the next guess costs a connection. Nothing happens if it has left."""
        front.session.answer_bind(request, status)
        front.flush()

    def _client(self, front: Front) -> Client:
        assert front.account is not None
        return self.clients[front.account.system_id]

    def _unreadable(self, front: Front, status: int) -> None:
        """The session has answered it."""
        if front.account is not None:
            self.clients[front.account.system_id].refused[status] += 1
        self._strange(front, "not_bind")

    def _strange(self, front: Front, reason: Reason | None) -> None:
        """Counts each connection that is not bound once, by what it did first."""
        if reason is not None and front.account is None and front.refused_for is None:
            front.refused_for = reason
            self.listener.refuse(reason, front.address)

    def _submit(self, front: Front, request: SubmitSm | DataSm) -> None:
        client = self._client(front)
        status = self._refusal(front, client)
        if status is not None:
            client.refuse(front, request, status)
            return
        client.submits += 1
        self._relayers[client.account.connection].submit(front, client, request)

    def _refusal(self, front: Front, client: Client) -> CommandStatus | None:
        """Why a message is not taken now; each of these may be sent again later."""
        if self._is_draining or front.unanswered > client.account.window:
            return CommandStatus.RMSGQFUL
        if self._is_kafka_away():
            return self._config.kafka_away_status
        if not client.bucket.take(front.now()):
            return CommandStatus.RTHROTTLED
        return None
