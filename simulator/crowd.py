"""The crowd: what people do with a message, or without one, and the ledger of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Any, Final

from schemas.events import HOLDOUT
from simulator.agenda import Agenda
from simulator.effects import Effects
from simulator.ledger import Ledger
from simulator.people import Person
from simulator.reactions import Purchase, organic, reactions
from simulator.recognise import Recognised
from simulator.visits import Visits

LATE_WINDOWS: Final = 3
"""A late purchase waits so many windows more: no doubt is left on which side it falls."""
OPT_OUT: Final = "R"
THANKS: Final = "谢谢"
Reply = Callable[[str, Callable[[], None]], None]
"""Sends a text back; the callable is called once the ESME has taken it."""


class Crowd:
    """Everybody of the audience."""

    def __init__(
        self,
        people: Iterable[Person],
        *,
        effects: Effects,
        ledger: Ledger,
        visits: Visits,
        agenda: Agenda,
        currency: str,
        window_ms: int,
        seed: int,
    ) -> None:
        everyone = list(people)
        self._by_number = {person.msisdn: person for person in everyone}
        self._held_out = [person for person in reversed(everyone) if person.variant_id == HOLDOUT]
        self._to_send = len(everyone) - len(self._held_out)
        self._effects = effects
        self._ledger = ledger
        self._visits = visits
        self._agenda = agenda
        self._currency = currency
        self._late_s = LATE_WINDOWS * window_ms / 1000
        self._seed = seed
        self._awake: set[int] = set()
        self._reached: set[int] = set()
        self.repeated = 0
        """Whole messages that reached somebody who had one already."""
        for person in everyone:
            self.note("assigned", person)

    @property
    def awaited(self) -> int:
        """People in a variant to whom nothing has been sent yet."""
        return self._to_send - len(self._awake)

    def find(self, msisdn: str) -> Person | None:
        """Who has this number."""
        return self._by_number.get(msisdn)

    def note(self, fact: str, person: Person) -> None:
        """Write a fact into the ledger."""
        self._ledger.write(fact, row=person.row, variant_id=person.variant_id, at_ms=_now_ms())

    def wake(self, person: Person) -> None:
        """Something is sent to a person, who may buy anyway from now on.

        So may those held out who stand before in the file: they are assigned by now.
        """
        while self._held_out and self._held_out[-1].row < person.row:
            self._buy_anyway(self._held_out.pop())
        if person.row not in self._awake and person.variant_id != HOLDOUT:
            self._awake.add(person.row)
            self._buy_anyway(person)

    def reach(self, person: Person, seen: Recognised, reply: Reply) -> None:
        """A whole message is on the handset; people act on their first one only."""
        if person.row in self._reached:
            self.repeated += 1
            return
        self._reached.add(person.row)
        does = reactions(person.msisdn, seen.variant_id, self._effects, seed=self._seed)
        later = self._agenda.later
        if seen.link is not None:
            link = seen.link
            if does.bot_delay_s is not None:
                later(does.bot_delay_s, lambda: self._agenda.go(self._bot_click(link)))
            if does.click_delay_s is not None:
                later(does.click_delay_s, lambda: self._agenda.go(self._click(person, link)))
                self._buy(person, does.bought_after_click, "clicked", after_s=does.click_delay_s)
        if does.opt_out_delay_s is not None:
            later(does.opt_out_delay_s, lambda: self._reply(person, OPT_OUT, reply))
        if does.reply_delay_s is not None:
            later(does.reply_delay_s, lambda: self._reply(person, THANKS, reply))

    def _reply(self, person: Person, text: str, reply: Reply) -> None:
        def taken() -> None:
            self.note("replied", person)
            if text == OPT_OUT:
                self.note("opted_out", person)

        reply(text, taken)

    async def _click(self, person: Person, link: str) -> None:
        await self._visits.click(link, is_person=True)
        self.note("clicked", person)

    async def _bot_click(self, link: str) -> None:
        await self._visits.click(link, is_person=False)

    def _buy_anyway(self, person: Person) -> None:
        self._buy(person, organic(person.msisdn, self._effects, seed=self._seed), "organic")

    def _buy(
        self, person: Person, bought: Purchase | None, why: str, *, after_s: float = 0.0
    ) -> None:
        """Plan a purchase; it does not wait until tracking has counted the click before it."""
        if bought is None:
            return
        is_late = not bought.in_window
        delay_s = after_s + bought.delay_s + (self._late_s if is_late else 0.0)
        conversion_id = f"{why}-{person.row}"
        fact = {"conversion_id": conversion_id, "value_minor": bought.value_minor}
        self._post_later(delay_s, "converted", person, fact, is_late=is_late)
        if bought.refund_delay_s is not None:
            refund = {
                "conversion_id": f"{conversion_id}-refund",
                "value_minor": bought.value_minor,
                "refund_of": conversion_id,
            }
            delay_s += bought.refund_delay_s
            self._post_later(delay_s, "refunded", person, refund, is_late=is_late)

    def _post_later(
        self, delay_s: float, fact: str, person: Person, body: dict[str, Any], *, is_late: bool
    ) -> None:
        def act() -> None:
            self._agenda.go(self._post(fact, person, body, in_window=not is_late), is_late=is_late)

        self._agenda.later(delay_s, act, is_late=is_late)

    async def _post(
        self, fact: str, person: Person, body: dict[str, Any], *, in_window: bool
    ) -> None:
        """Tell tracking; the moment is that of the purchase, however long tracking is away."""
        at_ms = _now_ms()
        await self._visits.purchase(
            {
                **body,
                "msisdn": person.msisdn,
                "goal": "purchase",
                "currency": self._currency,
                "occurred_at_ms": at_ms,
            }
        )
        self._ledger.write(
            fact,
            row=person.row,
            variant_id=person.variant_id,
            at_ms=at_ms,
            value_minor=body["value_minor"],
            conversion_id=body["conversion_id"],
            in_window=in_window,
        )


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
