"""Who is not at hand: people put aside when their horizon has passed, or on the shelf."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice

from pipeline.join.at_hand import AtHand
from pipeline.join.deltas import Retired, Shelved
from pipeline.join.facts import Facts, decode_facts
from pipeline.join.horizon import BUCKET_MS, Rounds, Schedule, kept_until_ms, most_are_due_ms
from pipeline.join.money import Definitions
from pipeline.join.places import Found, Places
from pipeline.join.sketch import Fingerprints
from schemas.events import SubjectEvent

SWEPT_AT_ONCE = 50_000
"""People looked at per sweep, at hand and on the shelf each: 0.1 s of work and, with pauses, 0.5 s.
Who is left is looked at in the next."""
_SHARE = 100
"""A hundredth of the limit goes at least: every board of the shelf takes memory, a row and a sync,
however few people it has."""
_SAMPLE = 100
"""People who tell when those are due who go on the shelf together: 2 µs each."""


@dataclass(slots=True)
class Postponed:
    """Events about people who may not be at hand, and who must be fetched before them."""

    events: list[SubjectEvent] = field(default_factory=list)
    """In the order in which they came."""
    retired: set[str] = field(default_factory=set)
    """Who may have been put aside. Of some the history has nothing: see `Fingerprints`."""
    shelved: dict[str, int] = field(default_factory=dict)
    """Who is on the shelf, and at which place."""

    def __bool__(self) -> bool:
        return bool(self.events)

    def add(self, other: Postponed) -> None:
        """Those of another `apply` wait, too."""
        self.events += other.events
        self.retired |= other.retired
        self.shelved |= other.shelved


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
        "_rounds",
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
        """When to look at whom at hand."""
        self._rounds = Rounds()
        """When to look at whom on the shelf."""
        self._retiring: list[str] = []
        self._retired = Fingerprints()

    def postpone(self, events: list[SubjectEvent], postponed: Postponed) -> list[SubjectEvent]:
        """Add to `postponed` the events that are about people who may be absent.

        Args:
            events: About people who are not at hand.
            postponed: Of these and other events.

        Returns: The others.
        """
        if not (self.places or self._retired):
            return events
        subjects = [event.subject for event in events]
        shelved, retired = self.places.find(subjects), self._retired.among(subjects)
        if not (shelved or retired):
            return events
        others: list[SubjectEvent] = []
        for event in events:
            subject = event.subject
            if subject in shelved:
                postponed.shelved[subject] = shelved[subject]
            elif subject in retired:
                postponed.retired.add(subject)
            else:
                others.append(event)
                continue
            postponed.events.append(event)
        return others

    def remember_retired(self, subjects: Sequence[str]) -> None:
        """These people were put aside."""
        self._retired.update(subjects)

    def remember_shelved(
        self, subjects: Sequence[str], places: Sequence[int], assigned: Mapping[str, int]
    ) -> None:
        """These people are on the shelf; when they are due, nobody knows yet."""
        self.places.remember(subjects, places, assigned)
        if places:
            self._rounds.add(range(places[0], places[-1] + 1), 0)

    def sweep(self, now_ms: int) -> Iterator[Found]:
        """Choose for `retire` whose horizon has passed.

        Returns: Whose may have passed on the shelf, in portions; for `sweep_shelved`.
        """
        people = self._at_hand.people
        self.schedule.forget_all_but(people)  # or those of the last sweep would come first
        for subject in self.schedule.due(now_ms, SWEPT_AT_ONCE):
            person = people.get(subject)
            if person is not None:
                until_ms = self._until_ms(person.facts)
                if until_ms > now_ms:
                    self.schedule.add(subject, until_ms + BUCKET_MS)  # not every time of the hour
                else:
                    self._retiring.append(subject)
        return filter(None, map(self.places.within, self._rounds.due(now_ms, SWEPT_AT_ONCE)))

    def sweep_shelved(
        self, now_ms: int, found: Found, facts: Iterable[bytes]
    ) -> Iterator[tuple[str, bytes]]:
        """Choose likewise of people on the shelf: a portion, and the facts of each.

        Yields: Who was chosen, and must be at hand again when `retire` is called.
        """
        later: dict[int, int] = {}
        for (subject, place), data in zip(found.items(), facts, strict=True):
            until_ms = self._until_ms(decode_facts(data))
            if until_ms > now_ms:
                later[place] = until_ms
            else:
                self._retiring.append(subject)
                yield subject, data
        if later:
            self._rounds.add(range(min(later), max(later) + 1), most_are_due_ms(later.values()))

    def _until_ms(self, facts: Facts) -> int:
        return kept_until_ms(facts, self._definitions, self.horizon_ms)

    def retire(self) -> dict[str, Retired]:
        """Put aside who was chosen and is at hand."""
        people = self._at_hand.people
        subjects = [each for each in dict.fromkeys(self._retiring) if each in people]
        self._retiring = []
        self._retired.update(list(set(subjects) - self._retired.among(subjects)))
        gone = zip(subjects, *self._at_hand.drop(subjects), strict=True)
        return {subject: Retired(facts, campaigns) for subject, facts, campaigns in gone}

    def shelve(self, limit: int) -> Shelved:
        """Put people on the shelf if more than `limit` are at hand: at least a hundredth of it.

        Who was met first is quiet by now; of a few who are not, the price is a look-up.
        """
        people = self._at_hand.people
        excess = len(people) - limit
        if excess <= 0:
            return Shelved(self.places.following)
        subjects = list(islice(people, excess + limit // _SHARE))
        until_ms = self._most_are_due_ms(subjects)
        shelved = Shelved(self.places.following, subjects, *self._at_hand.drop(subjects))
        self.places.put(shelved)
        self._rounds.add(shelved.places, until_ms)
        self.schedule.forget_all_but(people, subjects)
        return shelved

    def _most_are_due_ms(self, subjects: Sequence[str]) -> int:
        """As a sample of these people at hand tells."""
        people = self._at_hand.people
        some = subjects[:: len(subjects) // _SAMPLE + 1]
        return most_are_due_ms(self._until_ms(people[each].facts) for each in some)
