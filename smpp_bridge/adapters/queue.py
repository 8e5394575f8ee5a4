"""What waits for a window slot: transactional and otp before the rest, in order otherwise."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from schemas.events import URGENT
from smpp_bridge.mapping import Part


@dataclass(slots=True, eq=False)
class Work:
    """One part on its way; every `finish` is called once its first result is durable."""

    part: Part
    key: bytes
    """The part's name in the journal."""
    finish: list[Callable[[], None]] = field(default_factory=list)
    may_duplicate: bool = False
    unanswered: int = 0
    """Attempts whose answer never came."""
    is_settled: bool = False

    def is_expired(self, now_ms: int) -> bool:
        """Whether it must not be sent any more."""
        end_ms = self.part.request.expires_at_ms
        return end_ms is not None and end_ms <= now_ms


class WorkQueue:
    """Two queues; the urgent one is emptied first."""

    __slots__ = ("_rest", "_urgent")

    def __init__(self) -> None:
        self._urgent: deque[Work] = deque()
        self._rest: deque[Work] = deque()

    def __len__(self) -> int:
        return len(self._urgent) + len(self._rest)

    def put(self, work: Work) -> None:
        """At the end of its queue."""
        self._queue_of(work).append(work)

    def put_back(self, work: Work) -> None:
        """At the front: it was there already."""
        self._queue_of(work).appendleft(work)

    def take(self) -> Work:
        """The next one.

        Raises:
            IndexError: If there is none.
        """
        return (self._urgent or self._rest).popleft()

    def take_expired(self, now_ms: int) -> list[Work]:
        """Those whose time is over, out of the queue, whether or not anything can be sent."""
        expired: list[Work] = []
        for queue in (self._urgent, self._rest):
            kept = [work for work in queue if not work.is_expired(now_ms)]
            if len(kept) < len(queue):
                expired += [work for work in queue if work.is_expired(now_ms)]
                queue.clear()
                queue.extend(kept)
        return expired

    def _queue_of(self, work: Work) -> deque[Work]:
        return self._urgent if work.part.request.purpose in URGENT else self._rest
