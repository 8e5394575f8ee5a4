"""People at hand: whose facts are in memory."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from pipeline.join.facts import News
from pipeline.join.stories import Person


class AtHand:
    """The people, and what is known of all of them together.

    Whoever adds a person, a fact or an assignment keeps `facts` and `assigned` right: in the loop
    over the events a call for it would be too dear.
    """

    __slots__ = ("assigned", "facts", "people")

    def __init__(self) -> None:
        self.people: dict[str, Person] = {}
        """By subject, in the order in which they came or were logged anew."""
        self.facts = 0
        """How many all of them have."""
        self.assigned: defaultdict[str, set[str]] = defaultdict(set)
        """campaign_id → whom it has assigned, and some who have another assignment by now."""

    def drop(self, subject: str) -> tuple[Person, tuple[str, ...]]:
        """Let somebody go. Returns also the campaigns that assigned them, sorted."""
        person = self.people.pop(subject)
        self.facts -= len(person.facts)
        campaigns = person.campaigns()
        for campaign_id in campaigns:
            self.assigned[campaign_id].discard(subject)
        return person, campaigns

    def everything(self) -> Iterator[News]:
        """All facts of all people."""
        for subject, person in self.people.items():
            for key, fact in person.facts.items():
                yield subject, key, fact

    def since(self, round_: int) -> int:
        """The first round whose news they need; `round_`, the one that is next, without people."""
        first = next(iter(self.people.values()), None)
        return round_ if first is None else first.since
