"""Proxy mode of one connection: passes messages both ways and records them.

The promise: an ESME gets the answer to a submit_sm only when Kafka has its result; the SMSC
gets the answer to a deliver_sm only when Kafka has the event and then the ESME's own answer
(or, by policy, a refusal or ROK while its account is unbound, or when it has none). Before a
submit_sm goes out it is in the transit log: after a crash each entry becomes an `unknown` result.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any, Final

import msgspec

from runtime.process import CannotRun
from schemas.events import MessageSubmitted
from schemas.subject import Tokenizer
from smpp_bridge import mapping
from smpp_bridge.adapters.clock import now_ms
from smpp_bridge.adapters.counts import Counts
from smpp_bridge.adapters.deliveries import Client, Delivery
from smpp_bridge.adapters.desk import Desk
from smpp_bridge.adapters.forwarding import Forwarding
from smpp_bridge.adapters.front import Front
from smpp_bridge.adapters.link import Link
from smpp_bridge.adapters.links import Links
from smpp_bridge.adapters.owner_log import OwnerLog
from smpp_bridge.adapters.receiver import Receiver
from smpp_bridge.adapters.recorder import Recorder
from smpp_bridge.adapters.seldom import SeldomLog
from smpp_bridge.adapters.transit import MAX_ANSWER, Transit, cut_answer, id_of
from smpp_bridge.adapters.transit_log import TransitLog
from smpp_bridge.configuration import ConnectionConfig, Unrouted
from smpp_bridge.order import AnswersFirst
from smpp_bridge.owners import Owners
from smpp_bridge.pacing import TokenBucket
from smpp_bridge.protocol import session_events, sizes
from smpp_bridge.protocol.constants import THROTTLED, CommandStatus
from smpp_bridge.protocol.pdu import DataSm, DeliverSm, Pdu, SubmitSm, Tlvs
from smpp_bridge.protocol.session import octets_of
from smpp_bridge.protocol.session_events import SessionEvent
from smpp_bridge.proxied import Clerk
from smpp_bridge.shares import Shares

_MAX_ID: Final = 100

log = SeldomLog(logging.getLogger(__name__))


class Relay:
    """One connection."""

    learned_per_s = 0.0
    """Nothing is learned: the ESME is told of throttling, and slows down itself."""
    is_lease_held = True
    """Needs none: what it sends it has from its ESMEs alone."""

    def __init__(
        self,
        config: ConnectionConfig,
        *,
        desk: Desk,
        recorder: Recorder,
        clerk: Clerk,
        owners: Owners,
        owner_log: OwnerLog,
        unrouted: Unrouted,
        transit_log: TransitLog,
        tokenizer: Tokenizer,
        fail: Callable[[BaseException], None],
        refused: Callable[[CannotRun], None],
    ) -> None:
        self.config = config
        self.counts = Counts()
        self.links = Links(config, on_event=self._on_event, on_ready=self._wake, refused=refused)
        self._desk = desk
        self._recorder = recorder
        self._clerk = clerk
        self._owners = owners
        self._owner_log = owner_log
        self._log = transit_log
        self._fail = fail
        self._receiver = Receiver(
            config,
            publisher=recorder,
            tokenizer=tokenizer,
            counts=self.counts,
            stored=self._stored,
        )
        self._order = AnswersFirst()
        self._waiting: deque[Transit] = deque()
        self._held = Shares(
            owners.accounts, messages=config.max_pending, octets=config.max_pending_bytes
        )
        self._loop = asyncio.get_running_loop()
        self._bucket = TokenBucket(config.rate_per_s, now=self._loop.time())
        self._pump_is_due = False
        self._wakes_at: asyncio.TimerHandle | None = None
        self._undurable = 0
        self._forwarding = Forwarding(config, desk=desk, owners=owners, then=unrouted)

    @property
    def in_flight(self) -> int:
        """Messages without a durable result."""
        return self._undurable

    @property
    def backlog(self) -> int:
        """Messages that wait for a slot."""
        return len(self._waiting)

    @property
    def unrouted(self) -> int:
        """deliver_sm that belong to no account."""
        return self._forwarding.unrouted

    async def start(self) -> None:
        """Nothing before the links."""

    def runners(self, _stop: asyncio.Event) -> list[Coroutine[Any, Any, None]]:
        """What runs until cancelled."""
        return self.links.runners()

    def tick(self) -> None:
        """Once a second: nothing waits too long, its ESMEs shall try again."""
        self._give_back_waiting()
        try:
            self._owner_log.tick()
        except OSError as error:
            self._fail(error)
        self._receiver.tick()
        self._wake()

    async def drain(self, within_s: float) -> None:
        """Wait for the answers that are due, say goodbye."""
        await self.links.drain(within_s)

    async def stop(self) -> None:
        """Close the log of owners."""
        self._owner_log.close()

    def submit(self, front: Front, client: Client, request: SubmitSm | DataSm) -> None:
        """Pass a message on, or refuse it for now."""
        account, octets = client.account.system_id, octets_of(request)
        if not self.links.can_transmit or not self._held.take(account, octets):
            client.refuse(front, request, CommandStatus.RMSGQFUL)
            return
        try:
            event = self._clerk.write_down(request, account, now_ms())
        except mapping.UnreadableAddress:  # it could not be recorded
            self._held.give(account, octets)
            client.refuse(front, request, CommandStatus.RINVDSTADR)
            return
        except Exception as error:  # noqa: BLE001 - one message must not end the session
            self._held.give(account, octets)
            self.counts.failed(error)
            client.refuse(front, request, CommandStatus.RSYSERR)
            return
        transit = Transit(front, client, request, event)
        transit.waits_until = self._loop.time() + self.config.max_wait_s
        self._waiting.append(transit)
        self._wake()

    def _give_back_waiting(self) -> None:
        """Refuse what waits too long, and everything while nobody transmits: nothing was sent."""
        now = self._loop.time()
        while self._waiting:
            transit = self._waiting[0]
            if self.links.can_transmit and transit.waits_until > now:
                return
            self._refuse(self._waiting.popleft(), CommandStatus.RMSGQFUL)

    def _refuse(self, transit: Transit, status: CommandStatus) -> None:
        """Give it back to its ESME: it was not sent."""
        self._let_go(transit)
        transit.refuse(status)

    def _let_go(self, transit: Transit) -> None:
        """It is held no longer: refused, or its result is durable."""
        self._held.give(transit.client.account.system_id, transit.octets)

    def _wake(self) -> None:
        if not self._pump_is_due:
            self._pump_is_due = True
            self._loop.call_soon(self._pump)

    def _wake_in(self, delay_s: float) -> None:
        if self._wakes_at is None or self._wakes_at.when() <= self._loop.time():
            self._wakes_at = self._loop.call_later(delay_s, self._wake)

    def _pump(self) -> None:
        """Send while there are messages, slots and tokens; the log is written before the socket."""
        self._pump_is_due = False
        used: set[Link] = set()
        while self._waiting:
            if self._waiting[0].front.session.is_closed:
                self._let_go(self._waiting.popleft())  # nobody waits, and nothing was sent
                continue
            link = min(
                (link for link in self.links.connected() if link.can_submit()),
                key=lambda link: len(link.session.window),
                default=None,
            )
            if link is None:
                break
            if not self._bucket.take(self._loop.time()):
                self._wake_in(self._bucket.wait_s(self._loop.time()))
                break
            self._send(link, self._waiting.popleft())
            used.add(link)
        try:
            self._log.write()
            self._owner_log.write()
        except OSError as error:
            for link in used:
                link.abort()  # what is not in the log must not go out
            self._fail(error)
            return
        for link in used:
            link.flush()

    def _send(self, link: Link, transit: Transit) -> None:
        try:
            self._log.begin(transit.event)
            self._owners.sent(transit.request, transit.client.account.system_id)
            link.session.send(transit.request, transit, link.now(), is_strict=False)
        except ValueError:  # an SMSC of 3.3 cannot read it
            self._unsent(transit, CommandStatus.RINVMSGLEN)
            return
        except Exception as error:  # noqa: BLE001 - nor the others that wait
            self.counts.failed(error)
            self._unsent(transit, CommandStatus.RSYSERR)
            return
        self.counts.submits += 1
        self._undurable += 1

    def _unsent(self, transit: Transit, status: CommandStatus) -> None:
        self._log.done(transit.event.event_id)
        self._refuse(transit, status)

    def _on_event(self, link: Link, event: SessionEvent) -> None:
        match event:
            case session_events.Received(request):
                self._receiver.received(link, request)
            case session_events.Answered(transit, response, latency_s):
                try:
                    self._answered(transit, response, latency_s)
                except Exception as error:  # noqa: BLE001 - the SMSC may have it
                    self.counts.failed(error)
                    self._unanswered(transit)
            case session_events.Expired(transit):
                self._unanswered(transit)
            case session_events.Unparsed(frame, reason, _):
                self._receiver.unparsed(frame, reason)
            case session_events.Closed(_, unanswered):
                for transit in unanswered:
                    self._unanswered(transit)
                self._give_back_waiting()
                self._desk.link_lost(link)
            case _:
                pass  # Bound, BindRefused: the keeper has noted them; Unexpected has no effect

    def _answered(self, transit: Transit, response: Pdu, latency_s: float) -> None:
        self._receiver.answered(response, transit.event.subject)
        status = response.command_status
        self.counts.statuses[status] += 1
        self.counts.throttled += status in THROTTLED
        self.counts.submit_latency.observe(latency_s)
        message_id, tlvs = self._short(response)
        self._owners.named(message_id, transit.client.account.system_id)
        if status in THROTTLED and not transit.is_settled:
            self._came_back(transit, status, tlvs)
            return
        event = msgspec.structs.replace(
            transit.event,
            outcome=mapping.outcome_of(response),
            command_status=status,
            smsc_message_id=message_id[:_MAX_ID].decode("latin-1") or None,
            latency_ms=round(latency_s * 1000),
        )
        self._record(transit, event, status, message_id=message_id, tlvs=tlvs)

    def _short(self, response: Pdu) -> tuple[bytes, Tlvs]:
        """What of an answer may wait for Kafka: the id and TLVs, all of them if they are sane."""
        if sizes.content_octets(response) <= MAX_ANSWER:
            return id_of(response), response.tlvs
        self.counts.oversized += 1
        log.warning("an answer of the SMSC was cut", connection=self.config.name)
        return cut_answer(response)

    def _came_back(self, transit: Transit, status: int, tlvs: Tlvs) -> None:
        """The SMSC takes it later, says its answer: no result, the ESME's next try has one."""
        transit.is_settled = True
        self._settle(transit, status, tlvs=tlvs)

    def _unanswered(self, transit: Transit) -> None:
        """Nobody knows whether the SMSC has it: recorded as `unknown`, told as RUNKNOWNERR."""
        self._record(transit, transit.event, CommandStatus.RUNKNOWNERR)

    def _record(
        self, transit: Transit, event: MessageSubmitted, status: int, **fields: Any
    ) -> None:
        """Publish a result; when Kafka has it, the ESME gets its answer."""
        is_first = not transit.is_settled
        if not is_first:  # a late answer, after `unknown`
            event = msgspec.structs.replace(event, event_id=f"{event.event_id}/late")
        event = msgspec.structs.replace(event, occurred_at_ms=now_ms())
        put_at = self._loop.time()
        ticket = self._order.expect()

        def durable(error: BaseException | None) -> None:
            self.counts.publish_latency.observe(self._loop.time() - put_at)
            if error is not None:
                self._fail(error)
                return
            try:
                if is_first:
                    self._settle(transit, status, **fields)
            except Exception as failure:  # noqa: BLE001 - what came after it goes on
                self.counts.failed(failure)
            self._order.passed(ticket)

        try:
            self._recorder.put_event(event, durable)
        except Exception:
            self._order.passed(ticket)  # what came after it must not wait for ever
            raise
        transit.is_settled = True
        self.counts.settle(event.outcome)

    def _settle(self, transit: Transit, status: int, **fields: Any) -> None:
        """Its fate is known and, if it is a result, durable: tell the ESME."""
        self._undurable -= 1
        self._log.done(transit.event.event_id)
        self._let_go(transit)
        transit.answer(status, **fields)

    def _stored(self, link: Link, request: DeliverSm | DataSm) -> None:
        """Kafka has it: on to the ESME after the answers that came before it."""
        self._order.then(lambda: self._forward(link, request))

    def _forward(self, link: Link, request: DeliverSm | DataSm) -> None:
        """On to the ESME, whose answer the SMSC gets; it brings again what it has lost us with."""
        if link.session.is_closed:
            return
        delivery = Delivery(link, request)
        try:
            self._forwarding.forward(delivery)
        except Exception as error:  # noqa: BLE001 - it comes again
            self.counts.failed(error)
            delivery.answer(CommandStatus.RSYSERR)
