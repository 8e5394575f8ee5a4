"""deliver_sm on their way to ESMEs: in order, bounded, given back or kept while none is bound."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final

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
"""In the place of a request that went back: sessions keep 4096 for late answers, 64 KiB each."""


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
    on_answer: Callable[[], None] = _nothing
    """Whoever counts what waits for an answer."""

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
    refused: Counter[int] = field(default_factory=Counter)
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
        """By the ESME; late: after it was given back."""
        status = response.command_status
        if status == CommandStatus.ROK:
            client.delivered += 1
        elif delivery.is_answered and not is_late:
            client.dropped += 1
        if not is_late or (status == CommandStatus.ROK and _took_back(client, delivery)):
            self._let_go(client, delivery)
        delivery.answer(status, response.tlvs)
        self.pump(client)

    def given_back(self, client: Client, delivery: Delivery) -> None:
        """The ESME did not answer: the SMSC sends it again, or it waits in our queue again."""
        if delivery.is_ours:
            client.waiting.appendleft(delivery)
        else:
            delivery.answer(CommandStatus.RX_T_APPN)
            delivery.request = _GONE

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

    def _let_go(self, client: Client, delivery: Delivery) -> None:
        if delivery.is_ours:
            delivery.is_ours = False
            self.kept.give(client.account.system_id, octets_of(delivery.request))

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
        self._let_go(client, delivery)
        delivery.answer(status)


def _took_back(client: Client, delivery: Delivery) -> bool:
    """The ESME has it after all: whether it still waited to be sent once more."""
    if delivery not in client.waiting:
        return False
    client.waiting.remove(delivery)
    return True
