"""Who is not at hand: people put aside when their horizon has passed, or on the shelf."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice

from pipeline.join.at_hand import AtHand
from pipeline.join.deltas import Retired, Shelved
from pipeline.join.facts import Facts, decode_facts
from pipeline.join.horizon import Schedule, Sketch, kept_until_ms
from pipeline.join.money import Definitions
from pipeline.join.places import Found, Places
from schemas.events import SubjectEvent

SWEPT_AT_ONCE = 50_000
"""People looked at per sweep, about 0.2 s of work; who is left is looked at in the next."""
_SHARE = 100
"""A hundredth of the limit goes at least: every board of the shelf takes memory, a row and a sync,
however few people it has."""


@dataclass(slots=True)
class Postponed:
    """Events about people who may not be at hand, and who must be fetched before them."""

    events: list[SubjectEvent] = field(default_factory=list)
    """In the order in which they came."""
    retired: set[str] = field(default_factory=set)
    """Who may have been put aside. Of a few the history has nothing: see `Sketch`."""
    shelved: dict[str, int] = field(default_factory=dict)
    """Who is on the shelf, and at which place."""

    def __bool__(self) -> bool:
        return bool(self.events)


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

    def postpone(self, event: SubjectEvent, postponed: Postponed) -> bool:
        """Add an event to `postponed` if it is about somebody who may be absent; whether it is.

        Args:
            event: About somebody who is not at hand.
            postponed: Of this and other events.
        """
        subject = event.subject
        place = self.places.find_one(subject)
        if place is not None:
            postponed.shelved[subject] = place
        elif subject in self._retired:
            postponed.retired.add(subject)
        else:
            return False
        postponed.events.append(event)
        return True

    def remember_retired(self, subjects: Iterable[str]) -> None:
        """These people were put aside."""
        self._retired.update(subjects)

    def remember_shelved(
        self, subjects: Sequence[str], places: Sequence[int], assigned: Mapping[str, int]
    ) -> None:
        """These people are on the shelf; when they are due, nobody knows yet."""
        self.places.remember(subjects, places, assigned)
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
        people = self._at_hand.people
        subjects = [each for each in dict.fromkeys(self._retiring) if each in people]
        self._retiring = []
        self._retired.update(subjects)
        gone = zip(subjects, *self._at_hand.drop(subjects), strict=True)
        return {subject: Retired(facts, campaigns) for subject, facts, campaigns in gone}

    def shelve(self, limit: int) -> Shelved:
        """Put people on the shelf if more than `limit` are at hand: at least a hundredth of it.

        Who was met first is quiet by now; of a few who are not, the price is a look-up.
        """
        people = self._at_hand.people
        excess = len(people) - limit
        subjects = list(islice(people, excess + limit // _SHARE)) if excess > 0 else []
        shelved = Shelved(self.places.following, subjects, *self._at_hand.drop(subjects))
        self.places.put(shelved)
        return shelved
