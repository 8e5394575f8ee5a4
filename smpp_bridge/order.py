"""The order of what comes from an SMSC: no deliver_sm overtakes an answer given before it. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

Action = Callable[[], None]


class AnswersFirst:
    """Holds actions back until every answer that was expected before them has passed.

    Answers and deliver_sm wait for Kafka on different partitions, so a receipt may be stored
    before the answer that names its message; Kannel drops a receipt that it reads first.
    """

    __slots__ = ("_held", "_last", "_passed", "_pending")

    def __init__(self) -> None:
        self._last = 0
        self._pending: deque[int] = deque()
        self._passed: set[int] = set()
        self._held: deque[tuple[int, Action]] = deque()

    def expect(self) -> int:
        """An answer has come and will pass; its ticket, for `passed`."""
        self._last += 1
        self._pending.append(self._last)
        return self._last

    def passed(self, ticket: int) -> None:
        """The answer is on its way: run what only waited for it."""
        self._passed.add(ticket)
        while self._pending and self._pending[0] in self._passed:
            self._passed.remove(self._pending.popleft())
        while self._held and self._is_free(self._held[0][0]):
            self._held.popleft()[1]()

    def then(self, action: Action) -> None:
        """Run an action after the answers expected so far; at once if there are none.

        Examples:
            >>> order, done = AnswersFirst(), []
            >>> first, second = order.expect(), order.expect()
            >>> order.then(lambda: done.append("receipt"))
            >>> order.passed(second); done
            []
            >>> order.passed(first); done
            ['receipt']
        """
        if self._is_free(self._last):
            action()
        else:
            self._held.append((self._last, action))

    def _is_free(self, last: int) -> bool:
        return not self._pending or self._pending[0] > last
