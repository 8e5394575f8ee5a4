"""The ESMEs of a proxy: binds them, keeps their limits, hands their messages to the relays."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, Protocol

from smpp_bridge.adapters.front import TOO_MUCH, Front
from smpp_bridge.adapters.link import Link
from smpp_bridge.adapters.listener import Listener, Reason
from smpp_bridge.admission import Admission
from smpp_bridge.configuration import Account, ProxyConfig
from smpp_bridge.pacing import TokenBucket
from smpp_bridge.protocol import session_events
from smpp_bridge.protocol.constants import CommandStatus
from smpp_bridge.protocol.pdu import Bind, DataSm, DeliverSm, Pdu, SubmitSm, Tlvs
from smpp_bridge.protocol.session_events import SessionEvent

MAX_QUEUED: Final = 10_000
"""deliver_sm in memory for an account with `when_unbound: queue`; beyond, they are refused."""
MAX_WAITING: Final = 1000
"""deliver_sm that wait for a slow ESME; beyond, they are refused, so that no account fills the
connection it shares with others (4000 unanswered by default)."""
_TICK_S: Final = 0.5
_STRANGE_ENDS: Final[tuple[tuple[str, Reason], ...]] = (
    ("not bound in time", "timeout"),
    ("framing lost", "garbage"),
    (TOO_MUCH, "flood"),
)
"""How the session of somebody ends who never bound, and what that is."""


@dataclass(slots=True, eq=False)
class Delivery:
    """A deliver_sm on its way to an ESME. The SMSC's answer is due unless `is_answered`."""

    link: Link
    request: DeliverSm | DataSm
    is_answered: bool = False

    def answer(self, status: int, tlvs: Tlvs = ()) -> None:
        """Answer the SMSC, once."""
        if not self.is_answered:
            self.is_answered = True
            self.link.respond(self.request, status, tlvs=tlvs)


@dataclass(slots=True)
class Client:
    """An account at work."""

    account: Account
    bucket: TokenBucket
    fronts: list[Front] = field(default_factory=list)
    waiting: deque[Delivery] = field(default_factory=deque)
    submits: int = 0
    delivered: int = 0
    refused: Counter[int] = field(default_factory=Counter)
    dropped: int = 0
    """deliver_sm that the ESME never got: unbound with `drop`, or refused from the queue."""

    @property
    def bound(self) -> int:
        """Its sessions."""
        return sum(front.session.is_bound for front in self.fronts)

    def refuse(self, front: Front, request: SubmitSm | DataSm, status: CommandStatus) -> None:
        """Answer a message that is not taken, and count it."""
        self.refused[status] += 1
        front.respond(request, status)

    @property
    def has_receiver(self) -> bool:
        """Whether one of them takes deliver_sm."""
        return any(front.is_receiver for front in self.fronts)


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
        while loop.time() < deadline and self._fronts:  # noqa: ASYNC110 - as above
            await asyncio.sleep(0.02)
        for front in list(self._fronts):
            front.abort()

    def deliver(self, delivery: Delivery, owner: str) -> None:
        """Bring a deliver_sm to its ESME, or do what the account wants while there is none."""
        client = self.clients[owner]
        if not client.has_receiver:
            self._without_front(client, delivery)
        elif len(client.waiting) >= MAX_WAITING:
            delivery.answer(CommandStatus.RX_T_APPN)
        else:
            client.waiting.append(delivery)
            self._pump(client)

    def _without_front(self, client: Client, delivery: Delivery) -> None:
        policy = client.account.when_unbound
        if policy == "queue" and len(client.waiting) < MAX_QUEUED:
            client.waiting.append(delivery)
            delivery.answer(CommandStatus.ROK)
        elif policy == "drop":
            client.dropped += 1
            delivery.answer(CommandStatus.ROK)
        else:
            delivery.answer(CommandStatus.RX_T_APPN)

    def _pump(self, client: Client) -> None:
        """Send waiting deliver_sm while a session of the account can take one."""
        while client.waiting:
            ready = [front for front in client.fronts if front.can_receive]
            if not ready:
                return
            for front in ready:
                if not client.waiting:
                    break
                self._send(front, client.waiting.popleft())

    def _send(self, front: Front, delivery: Delivery) -> None:
        try:
            front.session.send(delivery.request, delivery, front.now(), is_strict=False)
        except ValueError:  # a peer of 3.3 cannot read it: no second try would help
            delivery.answer(CommandStatus.RX_P_APPN)
            return
        front.flush_soon()

    def on_front_open(self, front: Front) -> None:
        """Bound or not, it takes a place."""
        self._fronts.add(front)

    def on_front_ready(self, front: Front) -> None:
        """It may take more."""
        if front.account is not None:
            self._pump(self.clients[front.account.system_id])

    def on_front_closed(self, front: Front) -> None:
        """What it was about to get goes to another session, or back."""
        self._fronts.discard(front)
        if front.account is None:
            return
        client = self.clients[front.account.system_id]
        if front in client.fronts:
            client.fronts.remove(front)
        if client.has_receiver:
            self._pump(client)
            return
        waiting, client.waiting = client.waiting, deque()
        for delivery in waiting:
            self._without_front(client, delivery)

    def on_front_event(self, front: Front, event: SessionEvent) -> None:
        """Route what an ESME does."""
        match event:
            case session_events.BindRequested(request):
                self._bind(front, request)
            case session_events.Received(SubmitSm() | DataSm() as request):
                self._submit(front, request)
            case session_events.Received(request):
                front.unanswered -= 1
                front.session.refuse(request)
            case session_events.Answered(delivery, response, _, is_late):
                self._delivered(front, delivery, response, is_late=is_late)
            case session_events.Expired(delivery):
                self._given_back(front, delivery)
            case session_events.Closed(reason, unanswered):
                for delivery in reversed(unanswered):
                    self._given_back(front, delivery)
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
        self._pump(client)

    def _turn_away(self, front: Front, request: Bind, status: CommandStatus) -> None:
        """Closes as well: the next guess costs a connection. Nothing happens if it has left."""
        front.session.answer_bind(request, status)
        front.flush()

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
        assert front.account is not None
        client = self.clients[front.account.system_id]
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

    def _delivered(self, front: Front, delivery: Delivery, response: Pdu, *, is_late: bool) -> None:
        assert front.account is not None
        status = response.command_status
        client = self.clients[front.account.system_id]
        if status == CommandStatus.ROK:
            client.delivered += 1
        elif delivery.is_answered and not is_late:
            client.dropped += 1
        delivery.answer(status, response.tlvs)
        self._pump(client)

    def _given_back(self, front: Front, delivery: Delivery) -> None:
        """The ESME did not answer: the SMSC sends it again, or it waits in our queue again."""
        assert front.account is not None
        client = self.clients[front.account.system_id]
        if delivery.is_answered:
            client.waiting.appendleft(delivery)
        else:
            delivery.answer(CommandStatus.RX_T_APPN)
