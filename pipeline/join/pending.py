"""What people have changed since the last `take` and is not booked yet."""

from __future__ import annotations

from collections.abc import Mapping

from pipeline.join.cohorts import Cohorts, Crowd
from pipeline.join.matching import Unmatched
from pipeline.join.money import Definitions
from pipeline.join.outcomes import NOTHING, Ledger, outcome_of
from pipeline.join.stories import Person, Step, Stories, came_and_left


class Pending:
    """Who took a step together, and who must be projected anew; `book` gives the sums of both.

    Args:
        people: At hand; nobody goes before `book`.
        definitions: In force; tell `mark_stale` before one changes.
    """

    __slots__ = ("_definitions", "_matched", "_orphans", "_people", "_stale", "_steps", "ledger")

    def __init__(self, people: Mapping[str, Person], definitions: Definitions) -> None:
        self._people = people
        self._definitions = definitions
        self.ledger = Ledger()
        """For what can be booked at once."""
        self._stale: set[str] = set()
        self._steps: list[Step] = []
        self._orphans: dict[str, Unmatched] = {}
        self._matched: list[tuple[str, Unmatched]] = []

    def begin_crowd(self, step: Step, cohorts: Cohorts | None) -> Crowd:
        """The first of some cohorts takes a step."""
        if not step.crowds:
            self._steps.append(step)
        crowd = step.crowds[cohorts] = Crowd()
        return crowd

    def change_unmatched(self, subject: str, person: Person) -> None:
        """A receipt without its submit, or the submit of one; together within a `take` nothing."""
        if person.submit is None:
            self._orphans[subject] = person.orphan()
        elif self._orphans.pop(subject, None) is None:
            self._matched.append((subject, person.orphan()))

    def mark_stale(self, subject: str, person: Person) -> None:
        """Call before facts or definitions change: the old outcome needs the old ones."""
        person.leave_story()
        if person.outcome is None:
            person.outcome, person.covariates = outcome_of(person.facts, self._definitions)
        self._stale.add(subject)

    def book(self, stories: Stories) -> Ledger:
        """Book everything; who is projected anew may find a story again."""
        ledger, people = self.ledger, self._people
        for story, cohorts, crowd in came_and_left(self._steps):
            ledger.book_crowd(story.outcome, cohorts, crowd)
        for subject, unmatched in self._orphans.items():
            ledger.list_unmatched(subject, people[subject].facts, new=(unmatched,))
        for subject, unmatched in self._matched:
            ledger.list_unmatched(subject, {}, old=(unmatched,))
        for subject in self._stale:
            person = people[subject]
            self._reconsider(subject, person)
            stories.find(person)
        return ledger

    def _reconsider(self, subject: str, person: Person) -> None:
        """Book what changed for somebody who was not in a story all the time."""
        old = person.outcome or NOTHING, person.covariates
        new = outcome_of(person.facts, self._definitions)
        self.ledger.move(subject, person.facts, old, new)
        person.outcome, person.covariates = new
