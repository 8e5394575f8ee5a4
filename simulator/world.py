"""The world: submit_sm → answers, receipts, replies, visits, purchases; all of it in the ledger."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Iterable
from typing import Any, Final

from schemas.events import HOLDOUT
from simulator.effects import Effects
from simulator.ledger import Ledger
from simulator.messages import Assembler, receipt_sm, reply_sm
from simulator.people import Person
from simulator.reactions import Handling, Purchase, handling, organic, reactions
from simulator.recognise import Recognised, Recogniser
from simulator.smsc import Peer, Smsc
from simulator.visits import Visits
from smpp_bridge.protocol import pdu
from smpp_bridge.protocol.constants import CommandStatus

QUIET_S: Final = 3.0
"""Settled after this long without anything happening or due."""


class World:
    """Everybody in it."""

    def __init__(
        self,
        *,
        people: Iterable[Person],
        effects: Effects,
        recogniser: Recogniser,
        ledger: Ledger,
        visits: Visits,
        currency: str,
        seed: int,
    ) -> None:
        everyone = list(people)
        self._by_number = {person.msisdn: person for person in everyone}
        self._held_out = [person for person in reversed(everyone) if person.variant_id == HOLDOUT]
        self._effects = effects
        self._recogniser = recogniser
        self._ledger = ledger
        self._visits = visits
        self._currency = currency
        self._seed = seed
        self._assembler = Assembler()
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop = asyncio.get_running_loop()
        self._next_id = int(time.time()) << 20
        self._quiet_since = self._loop.time()
        self.smsc: Smsc | None = None
        self.submits = 0
        self.strangers = 0
        self.unrecognised = 0
        self.due = 0
        for person in everyone:
            self._note("assigned", person)

    @property
    def is_settled(self) -> bool:
        """Whether something was sent and nothing more will happen by itself."""
        assert self.smsc is not None
        is_idle = not self.due and not self._tasks and not self.smsc.undelivered
        if not is_idle:
            self._quiet_since = self._loop.time()
        return bool(self.submits) and self._loop.time() - self._quiet_since >= QUIET_S

    def on_submit(self, peer: Peer, request: pdu.SubmitSm) -> None:
        """A submit_sm arrived: answer it, and let the rest follow."""
        self.submits += 1
        self._quiet_since = self._loop.time()
        person = self._by_number.get(request.destination_addr.decode("latin-1"))
        text = self._assembler.add(request)
        if person is None:
            self.strangers += 1
            peer.answer(request, CommandStatus.RINVDSTADR)
            return
        self._wake_holdout(person.row)
        seen = None if text is None else self._recogniser.recognise(text)
        self.unrecognised += text is not None and seen is None
        variant_id = person.variant_id if seen is None else seen.variant_id
        done = handling(person.msisdn, variant_id, self._effects, seed=self._seed)
        person = Person(person.row, person.msisdn, variant_id)
        self._note("submitted", person)
        if done.is_rejected:
            self._note("rejected", person)
            peer.answer(request, CommandStatus.RINVDSTADR)
        else:
            self._accept(peer, request, person, done, seen)

    def _accept(
        self,
        peer: Peer,
        request: pdu.SubmitSm,
        person: Person,
        done: Handling,
        seen: Recognised | None,
    ) -> None:
        self._next_id += 1
        number = self._next_id
        self._note("accepted", person)
        receipt = receipt_sm(
            request, number, now_s=time.time(), is_delivered=done.is_delivered, err=done.err
        )
        if done.is_receipt_early:
            self._deliver(receipt, person, "")
            peer.flush()
        peer.answer(request, CommandStatus.ROK, b"%X" % number)
        fact = "delivered" if done.is_delivered else "failed"
        self._later(done.receipt_delay_s, lambda: self._deliver(receipt, person, fact))
        if done.is_receipt_doubled:
            self._later(done.receipt_delay_s + 0.1, lambda: self._deliver(receipt, person, ""))
        if seen is None:
            return  # another part completes the message
        bought = organic(person.msisdn, self._effects, seed=self._seed)
        self._buy(person, bought, "organic")
        if done.is_delivered:
            self._later(done.receipt_delay_s, lambda: self._react(request, person, seen))

    def _react(self, request: pdu.SubmitSm, person: Person, seen: Recognised) -> None:
        """The message is on the handset."""
        does = reactions(person.msisdn, seen.variant_id, self._effects, seed=self._seed)
        link = seen.link
        if does.bot_delay_s is not None and link:
            self._later(does.bot_delay_s, lambda: self._go(self._bot(link)))
        if does.click_delay_s is not None and link:
            bought = does.bought_after_click
            self._later(does.click_delay_s, lambda: self._go(self._click(person, link, bought)))
        if does.opt_out_delay_s is not None:
            self._later(does.opt_out_delay_s, lambda: self._reply(request, person, "R"))
        if does.reply_delay_s is not None:
            self._later(does.reply_delay_s, lambda: self._reply(request, person, "谢谢"))

    def _reply(self, request: pdu.SubmitSm, person: Person, text: str) -> None:
        fact = "opted_out" if text == "R" else ""
        self._deliver(reply_sm(request, text), person, "replied", fact)

    def _deliver(self, request: pdu.DeliverSm, person: Person, *facts: str) -> None:
        """The facts are true once the ESME has taken the deliver_sm."""
        assert self.smsc is not None

        def taken() -> None:
            for fact in filter(None, facts):
                self._note(fact, person)

        self.smsc.deliver(request, taken)

    async def _bot(self, link: str) -> None:
        await self._visits.click(link, is_person=False)

    async def _click(self, person: Person, link: str, bought: Purchase | None) -> None:
        await self._visits.click(link, is_person=True)
        self._note("clicked", person)
        self._buy(person, bought, "clicked")

    def _buy(self, person: Person, bought: Purchase | None, why: str) -> None:
        if bought is not None:
            self._later(bought.delay_s, lambda: self._go(self._purchase(person, bought, why)))

    async def _purchase(self, person: Person, bought: Purchase, why: str) -> None:
        conversion_id = f"{why}-{person.row}"
        await self._post(person, conversion_id, bought.value_minor, "converted")
        if bought.refund_delay_s is not None:
            refund = (f"{conversion_id}-refund", bought.value_minor, "refunded", conversion_id)
            self._later(bought.refund_delay_s, lambda: self._go(self._post(person, *refund)))

    async def _post(
        self,
        person: Person,
        conversion_id: str,
        value_minor: int,
        fact: str,
        refund_of: str | None = None,
    ) -> None:
        conversion = {
            "conversion_id": conversion_id,
            "msisdn": person.msisdn,
            "goal": "purchase",
            "value_minor": value_minor,
            "currency": self._currency,
            "occurred_at_ms": _now_ms(),
        }
        if refund_of is not None:
            conversion["refund_of"] = refund_of
        await self._visits.purchase(conversion)
        self._note(fact, person, value_minor)

    def _wake_holdout(self, row: int) -> None:
        """Whoever stands before a submitted recipient in the file is assigned by now."""
        while self._held_out and self._held_out[-1].row < row:
            person = self._held_out.pop()
            self._buy(person, organic(person.msisdn, self._effects, seed=self._seed), "organic")

    def _later(self, delay_s: float, act: Callable[[], None]) -> None:
        self.due += 1
        self._loop.call_later(delay_s, self._act, act)

    def _act(self, act: Callable[[], None]) -> None:
        self.due -= 1
        act()

    def _go(self, coroutine: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _note(self, fact: str, person: Person, value_minor: int = 0) -> None:
        self._ledger.write(
            fact,
            row=person.row,
            variant_id=person.variant_id,
            at_ms=_now_ms(),
            value_minor=value_minor,
        )


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
