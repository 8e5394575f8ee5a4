"""People at hand: whose facts are in memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from pipeline.join.facts import AnyFact, Assignment, News, encode_facts
from pipeline.join.stories import Person


class AtHand:
    """The people, and what is known of all of them together.

    Whoever gives people facts keeps `facts` and `campaigns` right, at once for many with `add`: in
    the loop over the events a call for each would be too dear.
    """

    __slots__ = ("campaigns", "facts", "people")

    def __init__(self) -> None:
        self.people: dict[str, Person] = {}
        """By subject, in the order in which they came or were logged anew."""
        self.facts = 0
        """How many all of them have."""
        self.campaigns: set[str] = set()
        """Those that have assigned somebody, who may be gone by now."""

    def add(self, facts: Sequence[AnyFact]) -> None:
        """Facts of one type that people have got."""
        self.facts += len(facts)
        if facts and type(facts[0]) is Assignment:
            self.campaigns |= {fact.campaign_id for fact in facts if type(fact) is Assignment}

    def assigned_to(self, campaign_id: str) -> list[tuple[str, Person]]:
        """Everybody whom a campaign has assigned: 0.3 s for half a million people.

        A set of them would be dearer: changed with every assignment and everybody who goes, read
        when a campaign that has people is defined.
        """
        if campaign_id not in self.campaigns:
            return []
        people = self.people.items()
        return [each for each in people if campaign_id in each[1].campaigns()]

    def drop(self, subjects: Iterable[str]) -> tuple[list[bytes], list[tuple[str, ...]]]:
        """Let people go, one after the other: the processor has to fetch each from memory once.

        Returns: Everybody's facts, encoded, and the campaigns that assigned them, sorted.
        """
        encoded, campaigns, count = list[bytes](), list[tuple[str, ...]](), 0
        pop = self.people.pop
        for subject in subjects:
            person = pop(subject)
            facts = person.facts
            count += len(facts)
            encoded.append(encode_facts(facts))
            campaigns.append(person.campaigns())
        self.facts -= count
        return encoded, campaigns

    def everything(self) -> Iterator[News]:
        """All facts of all people."""
        for subject, person in self.people.items():
            for key, fact in person.facts.items():
                yield subject, key, fact

    def since(self, round_: int) -> int:
        """The first round whose news they need; `round_`, the one that is next, without people."""
        first = next(iter(self.people.values()), None)
        return round_ if first is None else first.since
