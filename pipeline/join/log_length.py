"""How long the log is that a restart has to replay: when it is worth logging people anew.

The log is cut where the person begins who has been at hand longest. Who is written to every week
never leaves, so without more the log would grow for as long as a worker runs.
"""

from __future__ import annotations

from collections import deque
from itertools import islice

from pipeline.join.at_hand import AtHand
from pipeline.join.facts import News

SLACK = 100_000
"""Facts, some 4 MB: a log that is shorter costs nothing."""
USELESS_ABOVE = 3
"""Facts logged per fact at hand. So one is logged anew for two or more that can be dropped."""
RENEWED = 1_000
"""Facts logged anew in a round that learns nothing."""


class LogLength:
    """Facts since a round, as `JoinEngine.take` counts rounds; up to a tenth of `slack` too many.

    Args:
        slack: A log up to this length is never too long.
    """

    def __init__(self, slack: int) -> None:
        self._slack = slack
        self._total = 0
        self._marks: deque[tuple[int, int]] = deque()
        """Now and then: a round, and how many facts came before it."""

    def add(self, round_: int, facts: int) -> None:
        """A round has logged that many."""
        if not self._marks or self._total - self._marks[-1][1] >= self._slack // 10:
            self._marks.append((round_, self._total))
        self._total += facts

    def start_anew(self, round_: int, facts: int) -> None:
        """The log holds nothing any more but what this round has logged."""
        self._total = 0
        self._marks.clear()
        self.add(round_, facts)

    def renew(self, at_hand: AtHand, round_: int, learned: int) -> list[News]:
        """Log those anew who keep the log from being cut, when most of it is of no use.

        Args:
            at_hand: Who is renewed counts as having come last, in this round.
            round_: Whose news they go with.
            learned: How many facts it logs besides. So many are logged anew and some: more than
                become useless meanwhile.
        """
        news: list[News] = []
        if not self._is_too_long(at_hand.since(round_), at_hand.facts):
            return news
        people, budget = at_hand.people, learned + RENEWED
        for subject in list(islice(people, budget)):
            # each the first of all by now; to ask the dict again would pass the gaps they left
            if budget <= 0 or not self._is_too_long(people[subject].since, at_hand.facts):
                break
            person = people[subject] = people.pop(subject)
            person.since = round_
            news += [(subject, key, fact) for key, fact in person.facts.items()]
            budget -= len(person.facts)
        return news

    def _is_too_long(self, since: int, held: int) -> bool:
        """Whether most of what has been logged since a round is of no use.

        Args:
            since: Only ever rising; what came before is forgotten.
            held: How many facts are at hand.
        """
        while len(self._marks) > 1 and self._marks[1][0] <= since:
            self._marks.popleft()
        logged = self._total - self._marks[0][1] if self._marks else 0
        return logged > USELESS_ABOVE * held + self._slack
