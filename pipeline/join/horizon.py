"""How long a person is kept at hand, and which of those put aside must be looked up again.

Putting a person aside changes no aggregate: the stored facts are loaded before the next event or
definition about them. So the horizon decides about memory and look-ups, never about numbers.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable, Iterator
from heapq import heappop, heappush
from statistics import median_low
from typing import Final

from pipeline.join.facts import Assignment, Facts, Submit
from pipeline.join.money import Definitions

DAY_MS = 86_400_000
HORIZON_MS = 7 * DAY_MS
"""Operators give up on a message after three days at most (validity_period); twice that and one."""
BUCKET_MS = 3_600_000
_ANCHORS = (Assignment, Submit)
_SLACK = 1_000
"""Names of those who are gone that may always be kept."""


def kept_until_ms(facts: Facts, definitions: Definitions, horizon_ms: int) -> int:
    """When a person may be put aside, in ms.

    The horizon after the last assignment or submit, and then the longest attribution window of
    the person's campaigns. Facts without either (a receipt whose submit never came) wait for the
    horizon after the last of them.
    """
    anchors = [fact.at_ms for fact in facts.values() if type(fact) in _ANCHORS]
    windows = [
        definitions[fact.campaign_id].goal.window_ms
        for fact in facts.values()
        if type(fact) is Assignment and fact.campaign_id in definitions
    ]
    last = max(anchors or (fact.at_ms for fact in facts.values()))
    return last + horizon_ms + max(windows, default=0)


class Schedule:
    """Who is due when, to the hour. Who changes meanwhile is simply looked at again."""

    def __init__(self) -> None:
        self._buckets: dict[int, deque[str]] = {}
        self._last: int | None = None
        """The bucket that was added to last, as it is most often next; `None`: gone."""
        self._waiting = deque[str]()
        """In it."""

    def __len__(self) -> int:
        return sum(map(len, self._buckets.values()))

    def add(self, subject: str, at_ms: int) -> None:
        """Look at this person when the hour of `at_ms` has begun."""
        bucket = at_ms // BUCKET_MS
        if bucket != self._last:
            self._last, self._waiting = bucket, self._buckets.setdefault(bucket, deque())
        self._waiting.append(subject)

    def due(self, now_ms: int, limit: int) -> list[str]:
        """Take out at most `limit` people whose time has come."""
        found: list[str] = []
        for bucket in sorted(self._buckets):
            if bucket * BUCKET_MS > now_ms or len(found) >= limit:
                break
            waiting = self._buckets[bucket]
            found += [waiting.popleft() for _ in range(min(len(waiting), limit - len(found)))]
        self._drop_empty()
        return found

    def forget_all_but(self, people: Collection[str], gone: Iterable[str] = ()) -> None:
        """Forget everybody else, except for some who came after one of these people.

        People mostly go in the order in which they came, so nearly all are forgotten.

        Args:
            people: Who stays.
            gone: Others, the same objects that were added: up to the first who does not go in the
                order of coming, nothing of theirs need be fetched from memory.
        """
        left = iter(gone)
        following = next(left, None)
        for waiting in self._buckets.values():
            while waiting and waiting[0] is following:
                waiting.popleft()
                following = next(left, None)
            while waiting and waiting[0] not in people:
                waiting.popleft()
        if len(self) > 2 * len(people) + _SLACK:
            self._keep(people)
        self._drop_empty()

    def _keep(self, people: Collection[str]) -> None:
        """These people, each once, and nobody else."""
        seen: set[str] = set()
        for bucket in sorted(self._buckets):
            here = dict.fromkeys(each for each in self._buckets[bucket] if each in people)
            self._buckets[bucket] = deque(each for each in here if each not in seen)
            seen |= here.keys()
        self._last = None

    def _drop_empty(self) -> None:
        for bucket in [bucket for bucket, waiting in self._buckets.items() if not waiting]:
            del self._buckets[bucket]
        self._last = None


class Rounds:
    """When to look at places of the shelf: at all of a portion together."""

    PORTION: Final = 5_000
    """People whose facts are looked at together, 50 ms of work."""

    def __init__(self) -> None:
        self._waiting: list[tuple[int, int, int]] = []
        """(moment, first place, the place after the last)."""

    def add(self, places: range, at_ms: int) -> None:
        """Look at them not before `at_ms`."""
        for first in range(places.start, places.stop, self.PORTION):
            heappush(self._waiting, (at_ms, first, min(first + self.PORTION, places.stop)))

    def due(self, now_ms: int, limit: int) -> Iterator[range]:
        """Take out portions whose time has come, until they have `limit` places."""
        taken = 0
        while self._waiting and self._waiting[0][0] <= now_ms and taken < limit:
            _, first, stop = heappop(self._waiting)
            taken += stop - first
            yield range(first, stop)


def most_are_due_ms(until_ms: Iterable[int]) -> int:
    """When nearly all are due who came together: an hour after the half is.

    The median, so that no wrong clock decides for others. Only if most are due much later, the
    rest waits for them: that takes room, and changes no number.

    Raises:
        ValueError: For nobody.
    """
    return median_low(until_ms) + BUCKET_MS
