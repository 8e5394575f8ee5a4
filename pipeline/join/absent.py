"""Who is not at hand: people put aside when their horizon has passed, or on the shelf."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

from pipeline.join.at_hand import AtHand
from pipeline.join.deltas import Retired, Shelved
from pipeline.join.facts import Facts, decode_facts, encode_facts
from pipeline.join.horizon import Schedule, Sketch, kept_until_ms
from pipeline.join.money import Definitions
from pipeline.join.places import Found, Places
from schemas.events import SubjectEvent

SWEPT_AT_ONCE = 50_000
"""People looked at per sweep, about 0.2 s of work; who is left is looked at in the next."""


class Absent:
    """Lets people at hand go, and knows afterwards who may have to be fetched again.

    Args:
        at_hand: From whom people go; who comes back is for the caller to add.
        definitions: In force, also later: a campaign's window keeps its people longer.
        horizon_ms: As of `JoinEngine`.
    """

    __slots__ = (
        "_at_hand",
        "_definitions",
        "_retired",
        "_retiring",
        "horizon_ms",
        "places",
        "schedule",
    )

    def __init__(self, at_hand: AtHand, definitions: Definitions, horizon_ms: int) -> None:
        self._at_hand = at_hand
        self._definitions = definitions
        self.horizon_ms = horizon_ms
        self.places = Places()
        """Who is on the shelf."""
        self.schedule = Schedule()
        """When to look at whom, be they at hand or on the shelf."""
        self._retiring: list[str] = []
        self._retired = Sketch()

    def forgotten(self, events: Iterable[SubjectEvent]) -> tuple[set[str], Found]:
        """Of whom the events are: who may have been put aside, and who is on the shelf."""
        if not self._retired and not self.places:
            return set(), {}
        people = self._at_hand.people
        strangers = {s for event in events if (s := event.subject) not in people}
        shelved = self.places.find(strangers)
        return {s for s in strangers if s not in shelved and s in self._retired}, shelved

    def remember_retired(self, subjects: Iterable[str]) -> None:
        """These people were put aside."""
        self._retired.update(subjects)

    def remember_shelved(self, subjects: Sequence[str], places: Sequence[int]) -> None:
        """These people are on the shelf; when they are due, nobody knows yet."""
        self.places.remember(subjects, places)
        self.schedule.add_all(subjects, 0)

    def sweep(self, now_ms: int) -> Found:
        """Choose for `retire` whose horizon has passed.

        Returns: Whose may have passed on the shelf; for `sweep_shelved`.
        """
        people = self._at_hand.people
        elsewhere: list[str] = []
        for subject in self.schedule.due(now_ms, SWEPT_AT_ONCE):
            person = people.get(subject)
            if person is None:
                elsewhere.append(subject)
            elif self._is_due(subject, person.facts, now_ms):
                self._retiring.append(subject)
        return self.places.find(elsewhere)

    def sweep_shelved(
        self, now_ms: int, people: Iterable[tuple[str, bytes]]
    ) -> Iterator[tuple[str, bytes]]:
        """Choose likewise of people on the shelf: subjects and facts.

        Yields: Who was chosen, and must be at hand again when `retire` is called.
        """
        for subject, data in people:
            if self._is_due(subject, decode_facts(data), now_ms):
                self._retiring.append(subject)
                yield subject, data

    def _is_due(self, subject: str, facts: Facts, now_ms: int) -> bool:
        """Whether a person's horizon has passed; who is not due is looked at again then."""
        until = kept_until_ms(facts, self._definitions, self.horizon_ms)
        if until > now_ms:
            self.schedule.add(subject, until)
        return until <= now_ms

    def retire(self) -> dict[str, Retired]:
        """Put aside who was chosen and is at hand."""
        retired = {}
        for subject in self._retiring:
            if subject in self._at_hand.people:
                person, campaigns = self._at_hand.drop(subject)
                retired[subject] = Retired(encode_facts(person.facts), campaigns)
        self._retired.update(retired)
        self._retiring = []
        return retired

    def shelve(self, limit: int) -> dict[str, Shelved]:
        """Put all above `limit` on the shelf.

        Who was met first is quiet by now; of a few who are not, the price is a look-up.
        """
        shelved = {}
        people = self._at_hand.people
        for subject in list(islice(people, max(0, len(people) - limit))):
            person, campaigns = self._at_hand.drop(subject)
            place = self.places.put(subject, campaigns)
            shelved[subject] = Shelved(place, encode_facts(person.facts), campaigns)
        return shelved
