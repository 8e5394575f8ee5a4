"""Who is on the shelf: quiet people, not at hand but not put aside for good.

Only their names stay in memory, 60 octets instead of a kilobyte and more; their facts are with
whoever takes `Deltas.shelved`, by place. Places are given in order and never again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain

from pipeline.join.deltas import Shelved
from pipeline.join.directory import Directory


class Places:
    """subject → place, and how many people of each campaign are there."""

    __slots__ = ("_assigned", "_emptied", "_of", "following")

    def __init__(self) -> None:
        self._of = Directory()
        self._assigned: Counter[str] = Counter()
        self._emptied: list[int] = []
        self.following = 0
        """The place after all that were ever given."""

    def __len__(self) -> int:
        return len(self._of)

    def put(self, shelved: Shelved) -> None:
        """People come to the shelf, to the places from `following` on."""
        self._of.add(shelved.subjects, shelved.places)
        self._assigned.update(chain.from_iterable(shelved.campaigns))
        self.following = shelved.places.stop

    def remember(
        self, subjects: Sequence[str], places: Sequence[int], assigned: Mapping[str, int]
    ) -> None:
        """These people are on the shelf; campaign_id → how many of them it has assigned."""
        self._of.add(subjects, places)
        self._assigned.update(assigned)

    def leave(self, subject: str, campaigns: Iterable[str]) -> None:
        """A person is at hand again, if they were here."""
        place = self._of.remove(subject)
        if place is not None:
            self._assigned.subtract(campaigns)
            self._emptied.append(place)

    def find(self, subjects: Sequence[str]) -> Found:
        """Those of `subjects` who are here."""
        return self._of.find(subjects)

    def within(self, places: range) -> Found:
        """Who is at these places."""
        return self._of.within(places)

    def has(self, subject: str, place: int) -> bool:
        """Whether this, once the person's place, still is."""
        return self._of.has(subject, place)

    def assigned(self, campaign_id: str) -> int:
        """How many of the people here a campaign has assigned."""
        return self._assigned[campaign_id]

    def take_emptied(self) -> list[int]:
        """The places that were left since the last call."""
        emptied, self._emptied = self._emptied, []
        return emptied


Found = Mapping[str, int]
"""subject → place."""
