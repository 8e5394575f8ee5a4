"""The mobile operator: submit_sm → answers, receipts, replies; what it decides is in the ledger."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from simulator.agenda import Agenda
from simulator.crowd import Crowd
from simulator.effects import Effects
from simulator.held import Held, State
from simulator.messages import Assembler, receipt_sm, reply_sm
from simulator.people import Person
from simulator.reactions import Handling, handling
from simulator.recognise import Recognised, Recogniser
from simulator.smsc import Peer, Smsc
from smpp_bridge.protocol import pdu
from smpp_bridge.protocol.constants import CommandStatus

_AGAIN_S: Final = 0.1
"""A doubled receipt comes so much later."""


class MobileOperator:
    """Decides about every submit_sm; `smsc` carries its receipts and replies."""

    def __init__(
        self,
        crowd: Crowd,
        *,
        smsc: Smsc,
        effects: Effects,
        recogniser: Recogniser,
        agenda: Agenda,
        seed: int,
    ) -> None:
        self._crowd = crowd
        self._smsc = smsc
        self._effects = effects
        self._recogniser = recogniser
        self._agenda = agenda
        self._seed = seed
        self._draw = random.Random(seed)
        self._assembler = Assembler()
        self._held = Held(may_replace=False)  # what a text does is drawn when it comes
        self._next_id = int(time.time()) << 20
        self.submits = 0
        self.throttled = 0
        self.strangers = 0
        self.unrecognised = 0

    @property
    def is_settled(self) -> bool:
        """Whether something was sent and nothing more will happen by itself."""
        return bool(self.submits) and self._agenda.is_quiet and not self._smsc.undelivered

    def on_submit(self, peer: Peer, request: pdu.SubmitSm) -> None:
        """A submit_sm arrived: answer it, and let the rest follow."""
        self._agenda.stir()
        if self._draw.random() < self._effects.operator.throttle_rate:
            self.throttled += 1  # before its part is joined: it comes again
            peer.answer(request, CommandStatus.RTHROTTLED)
            return
        self.submits += 1
        person = self._crowd.find(request.destination_addr.decode("latin-1"))
        if person is None:
            self.strangers += 1
            peer.answer(request, CommandStatus.RINVDSTADR)
            return
        self._crowd.wake(person)
        self._handle(peer, request, person)

    def on_other(self, peer: Peer, request: pdu.Request) -> None:
        """query_sm, cancel_sm and replace_sm are answered, everything else is refused."""
        if isinstance(request, (pdu.QuerySm, pdu.CancelSm, pdu.ReplaceSm)):
            status, fields = self._held.manage(request, time.time())
            peer.answer(request, status, **fields)
        else:
            peer.refuse(request)

    def _handle(self, peer: Peer, request: pdu.SubmitSm, person: Person) -> None:
        text = self._assembler.add(request)
        seen = None
        if text is not None:
            seen = self._recogniser.recognise(text, expected=person.variant_id)
            self.unrecognised += seen is None
        if seen is not None:
            person = replace(person, variant_id=seen.variant_id)
        self._crowd.note("submitted", person)
        done = handling(person.msisdn, self._rates_of(person), self._effects, seed=self._seed)
        if done.is_rejected:
            self._crowd.note("rejected", person)
            self._answer(peer, request, CommandStatus.RINVDSTADR)
        else:
            self._accept(peer, request, person, done, seen)

    def _rates_of(self, person: Person) -> str:
        """Whose delivery rate holds: a fault may send to the holdout, which has none."""
        is_known = person.variant_id in self._effects.variants
        return person.variant_id if is_known else next(iter(self._effects.variants))

    def _accept(
        self,
        peer: Peer,
        request: pdu.SubmitSm,
        person: Person,
        done: Handling,
        seen: Recognised | None,
    ) -> None:
        self._next_id += 1
        self._crowd.note("accepted", person)
        message_id = f"{self._next_id:X}"
        is_decimal = self._effects.operator.receipt_id == "decimal"
        receipt = receipt_sm(
            request,
            str(self._next_id) if is_decimal else message_id,
            now_s=time.time(),
            is_delivered=done.is_delivered,
            err=done.err,
        )
        fact = "delivered" if done.is_delivered else "failed"
        name = message_id.encode()
        state: State = "DELIVERED" if done.is_delivered else "UNDELIVERABLE"
        self._held.accept(name, request)

        def report() -> None:
            if self._held.finish(name, state, time.time()):
                self._deliver(receipt, lambda: self._crowd.note(fact, person))

        if done.is_receipt_early:
            report()
        self._answer(peer, request, CommandStatus.ROK, name)
        if not done.is_receipt_early:
            self._agenda.later(done.receipt_delay_s, report)
        if done.is_receipt_doubled:
            self._agenda.later(done.receipt_delay_s + _AGAIN_S, report)
        if seen is not None and done.is_delivered:
            reach = self._reaching(request, person, seen)
            self._agenda.later(done.receipt_delay_s, lambda: self._unless_cancelled(name, reach))

    def _unless_cancelled(self, message_id: bytes, act: Callable[[], None]) -> None:
        if self._held.finish(message_id, "DELIVERED", time.time()):
            act()

    def _answer(
        self, peer: Peer, request: pdu.SubmitSm, status: CommandStatus, message_id: bytes = b""
    ) -> None:
        """Answer now, or after a drawn delay, which changes the order of the answers."""
        delay_s = self._draw.uniform(*self._effects.operator.response_delay)
        if not delay_s:
            peer.answer(request, status, message_id)
            return

        def answer() -> None:
            peer.answer(request, status, message_id)
            peer.flush()

        self._agenda.later(delay_s, answer)

    def _reaching(
        self, request: pdu.SubmitSm, person: Person, seen: Recognised
    ) -> Callable[[], None]:
        def reply(text: str, taken: Callable[[], None]) -> None:
            self._deliver(reply_sm(request, text), taken)

        return lambda: self._crowd.reach(person, seen, reply)

    def _deliver(self, request: pdu.DeliverSm, taken: Callable[[], None]) -> None:
        """A fact is true for the ledger once the ESME has taken the deliver_sm."""

        def acknowledged() -> None:
            self._agenda.stir()
            taken()

        self._smsc.deliver(request, acknowledged)
