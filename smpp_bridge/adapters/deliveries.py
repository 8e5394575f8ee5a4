"""deliver_sm on their way to ESMEs: in order, bounded, given back or kept while none is bound."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import count
from typing import Final

from smpp_bridge.adapters.counts import Statuses
from smpp_bridge.adapters.front import Front
from smpp_bridge.adapters.link import Link
from smpp_bridge.adapters.seldom import tell_unexpected
from smpp_bridge.configuration import Account
from smpp_bridge.pacing import TokenBucket
from smpp_bridge.protocol.constants import CommandStatus
from smpp_bridge.protocol.pdu import DataSm, DeliverSm, Pdu, SubmitSm, Tlvs
from smpp_bridge.protocol.session import octets_of
from smpp_bridge.shares import Shares

MAX_QUEUED: Final = 10_000
"""deliver_sm in memory for all accounts with `when_unbound: queue`; beyond, they are refused."""
MAX_QUEUED_BYTES: Final = 64 * 2**20
"""The same in octets: 1000 PDUs of 64 KiB."""
_GONE: Final = DeliverSm()
"""In the place of a request that went back or is over: sessions remember 4096 for late answers,
of up to 64 KiB each."""
_numbers: Final = count()


def _nothing() -> None:
    pass


@dataclass(slots=True, eq=False)
class Delivery:
    """A deliver_sm on its way to an ESME. The SMSC's answer is due unless `is_answered`."""

    link: Link
    request: DeliverSm | DataSm
    is_answered: bool = False
    is_ours: bool = False
    """The SMSC has its ROK: only our memory has it (`when_unbound: queue`)."""
    is_over: bool = False
    """The ESME has it, or has refused it for good; a second answer tells nothing."""
    on_answer: Callable[[], None] = _nothing
    """Whoever counts what waits for an answer."""
    number: int = field(default_factory=_numbers.__next__)
    """In the order in which they came."""

    def answer(self, status: int, tlvs: Tlvs = ()) -> None:
        """Answer the SMSC, once."""
        if not self.is_answered:
            self.is_answered = True
            self.link.respond(self.request, status, tlvs=tlvs)
            self.on_answer()


@dataclass(slots=True)
class Client:
    """An account at work."""

    account: Account
    bucket: TokenBucket
    fronts: list[Front] = field(default_factory=list)
    waiting: deque[Delivery] = field(default_factory=deque)
    submits: int = 0
    delivered: int = 0
    refused: Statuses = field(default_factory=Statuses)
    dropped: int = 0
    """deliver_sm that the ESME never got: unbound with `drop`, or refused from the queue."""
    unexpected: int = 0
    """PDUs whose handling failed in a way that nobody foresaw."""

    @property
    def bound(self) -> int:
        """Its sessions."""
        return sum(front.session.is_bound for front in self.fronts)

    def refuse(self, front: Front, request: SubmitSm | DataSm, status: CommandStatus) -> None:
        """Answer a message that is not taken, and count it."""
        self.refused[status] += 1
        front.respond(request, status)

    def failed(self, error: Exception) -> None:
        """Count and tell what nobody foresaw."""
        self.unexpected += 1
        tell_unexpected(error)

    @property
    def has_receiver(self) -> bool:
        """Whether one of them takes deliver_sm."""
        return any(front.is_receiver for front in self.fronts)


class Deliveries:
    """Brings deliver_sm to the accounts of a proxy."""

    def __init__(self, accounts: Iterable[Account]) -> None:
        queues = sum(account.when_unbound == "queue" for account in accounts)
        self.kept = Shares(queues, messages=MAX_QUEUED, octets=MAX_QUEUED_BYTES)

    def deliver(self, delivery: Delivery, client: Client) -> None:
        """Bring a deliver_sm to its ESME, or do what the account wants while there is none."""
        if not client.has_receiver:
            self._without_front(client, delivery)
        else:
            client.waiting.append(delivery)
            self.pump(client)

    def pump(self, client: Client) -> None:
        """Send waiting deliver_sm while a session of the account can take one."""
        while client.waiting:
            ready = [front for front in client.fronts if front.can_receive]
            if not ready:
                return
            for front in ready:
                if not client.waiting:
                    break
                self._send(front, client, client.waiting.popleft())

    def no_receiver(self, client: Client) -> None:
        """The last session that takes them has gone."""
        waiting, client.waiting = client.waiting, deque()
        for delivery in waiting:
            self._without_front(client, delivery)

    def answered(self, client: Client, delivery: Delivery, response: Pdu, *, is_late: bool) -> None:
        """By the ESME; late: after it was given back, so a refusal tells nothing any more."""
        is_taken = response.command_status == CommandStatus.ROK
        if not delivery.is_over and (is_taken or not is_late):
            client.delivered += is_taken
            client.dropped += delivery.is_answered and not is_taken
            if is_late and delivery.is_ours and delivery in client.waiting:
                client.waiting.remove(delivery)
            self._finish(client, delivery, response.command_status, response.tlvs)
        self.pump(client)

    def expired(self, client: Client, delivery: Delivery, front: Front) -> None:
        """The ESME did not answer in time: what waits may go out, by another session first."""
        if front in client.fronts:
            client.fronts.remove(front)
            client.fronts.append(front)
        self.given_back(client, delivery)
        self.pump(client)

    def given_back(self, client: Client, delivery: Delivery) -> None:
        """The ESME did not answer: the SMSC sends it again, or it waits in our queue again."""
        if delivery.is_ours:
            later = (n for n, each in enumerate(client.waiting) if each.number > delivery.number)
            client.waiting.insert(next(later, len(client.waiting)), delivery)
        else:
            delivery.answer(CommandStatus.RX_T_APPN)
            delivery.request = _GONE

    def failed(self, client: Client, delivery: Delivery) -> None:
        """Nobody foresaw what its answer has set off: it ends, unless it waits to go out again."""
        if delivery.is_ours and delivery not in client.waiting:
            self._unsendable(client, delivery, CommandStatus.RSYSERR)
        else:
            delivery.answer(CommandStatus.RSYSERR)

    def link_lost(self, client: Client, link: Link) -> None:
        """The SMSC brings again what came on it and was not answered: let it wait no longer."""
        waiting, client.waiting = client.waiting, deque()
        for delivery in waiting:
            if delivery.link is link and not delivery.is_ours:
                delivery.answer(CommandStatus.RX_T_APPN)  # unheard, but its share is given back
            else:
                client.waiting.append(delivery)

    def _without_front(self, client: Client, delivery: Delivery) -> None:
        policy = client.account.when_unbound
        if delivery.is_ours or (policy == "queue" and self._keep(client, delivery)):
            client.waiting.append(delivery)
        elif policy == "drop":
            client.dropped += 1
            delivery.answer(CommandStatus.ROK)
        else:
            delivery.answer(CommandStatus.RX_T_APPN)

    def _keep(self, client: Client, delivery: Delivery) -> bool:
        if not self.kept.take(client.account.system_id, octets_of(delivery.request)):
            return False
        delivery.is_ours = True
        delivery.answer(CommandStatus.ROK)
        return True

    def _finish(self, client: Client, delivery: Delivery, status: int, tlvs: Tlvs = ()) -> None:
        delivery.is_over = True
        if delivery.is_ours:
            delivery.is_ours = False
            self.kept.give(client.account.system_id, octets_of(delivery.request))
        delivery.answer(status, tlvs)
        delivery.request = _GONE

    def _send(self, front: Front, client: Client, delivery: Delivery) -> None:
        try:
            front.session.send(delivery.request, delivery, front.now(), is_strict=False)
        except ValueError:  # a peer of 3.3 cannot read it: no second try would help
            self._unsendable(client, delivery, CommandStatus.RX_P_APPN)
        except Exception as error:  # noqa: BLE001 - whatever it is ends this PDU and no more
            client.failed(error)
            self._unsendable(client, delivery, CommandStatus.RSYSERR)
        else:
            front.flush_soon()

    def _unsendable(self, client: Client, delivery: Delivery, status: CommandStatus) -> None:
        """The SMSC learns it, unless it has its answer: then it is lost to the ESME."""
        client.dropped += delivery.is_answered
        self._finish(client, delivery, status)
