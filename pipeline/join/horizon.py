"""How long a person is kept at hand, and which of those put aside must be looked up again.

Putting a person aside changes no aggregate: the stored facts are loaded before the next event or
definition about them. So the horizon decides about memory and look-ups, never about numbers.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from heapq import heappop, heappush

from pipeline.join.facts import Assignment, Facts, Submit
from pipeline.join.money import Definitions

DAY_MS = 86_400_000
HORIZON_MS = 7 * DAY_MS
"""Operators give up on a message after three days at most (validity_period); twice that and one."""
BUCKET_MS = 3_600_000
_ANCHORS = (Assignment, Submit)


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
        self._buckets: dict[int, list[str]] = {}
        self._order: list[int] = []
        self._last: int | None = None
        """The bucket that was added to last, as it is most often next; `None`: gone."""
        self._waiting: list[str] = []
        """In it."""

    def add(self, subject: str, at_ms: int) -> None:
        """Look at this person not before `at_ms`."""
        bucket = at_ms // BUCKET_MS
        if bucket != self._last:
            self._turn_to(bucket)
        self._waiting.append(subject)

    def add_all(self, subjects: Sequence[str], at_ms: int) -> None:
        """Look at all of them not before `at_ms`."""
        if subjects:
            self._turn_to(at_ms // BUCKET_MS)
            self._waiting += subjects

    def _turn_to(self, bucket: int) -> None:
        if bucket not in self._buckets:
            heappush(self._order, bucket)
            self._buckets[bucket] = []
        self._last, self._waiting = bucket, self._buckets[bucket]

    def due(self, now_ms: int, limit: int) -> list[str]:
        """Take out at most `limit` people whose time has come."""
        found: list[str] = []
        self._last = None
        while self._order and self._order[0] * BUCKET_MS <= now_ms and len(found) < limit:
            waiting = self._buckets[self._order[0]]
            wanted = limit - len(found)
            found += waiting[-wanted:]
            del waiting[-wanted:]
            if not waiting:
                del self._buckets[heappop(self._order)]
        return found


class Sketch:
    """A set that may say yes by mistake, never no (Bloom 1970, CACM 13/7): two bytes a member.

    16 bits and two probes per member: at most (2/16)² ≈ 1.6 % mistakes per layer, each of which
    costs one look-up that finds nothing.
    """

    LAYER = 1 << 20
    """Members per layer; a layer is a bit array of 2 MiB."""
    _BITS = LAYER * 16

    def __init__(self) -> None:
        self._layers: list[bytearray] = []
        self._members = 0

    def __bool__(self) -> bool:
        return bool(self._layers)

    def update(self, members: Iterable[str]) -> None:
        """Add members."""
        for member in members:
            if self._members % self.LAYER == 0:
                self._layers.append(bytearray(self._BITS // 8))
            layer = self._layers[-1]
            for bit in self._places(member):
                layer[bit >> 3] |= 1 << (bit & 7)
            self._members += 1

    def __contains__(self, member: str) -> bool:
        if not self._layers:
            return False
        one, other = self._places(member)
        for layer in self._layers:
            if layer[one >> 3] >> (one & 7) & 1 and layer[other >> 3] >> (other & 7) & 1:
                return True
        return False

    def _places(self, member: str) -> tuple[int, int]:
        """Both from Python's own 64-bit hash, which a string remembers."""
        bits = hash(member)
        return bits % self._BITS, (bits >> 32) % self._BITS
