"""How much a bridge holds for several accounts together: bounded in all, and shared. Pure."""

from __future__ import annotations

from collections import Counter
from typing import Final

_FREE: Final = 2
"""Up to one in two of the whole anybody may take; above, each keeps to its share."""


class Shares:
    """Messages and their octets, by account.

    A message larger than the bound is taken when nothing else is held, else it never would be.

    Args:
        accounts: How many share it, at least 1.
        messages: Held at most, of all accounts.
        octets: The same in octets.

    Examples:
        >>> shares = Shares(2, messages=4, octets=1000)
        >>> [shares.take("a", 1) for _ in range(3)]  # half of it, then no more than its share
        [True, True, False]
        >>> [shares.take("b", 1) for _ in range(3)]
        [True, True, False]
        >>> shares.give("a", 1); shares.take("a", 1)
        True
    """

    def __init__(self, accounts: int, *, messages: int, octets: int) -> None:
        self._accounts = max(1, accounts)
        self._most_messages = messages
        self._most_octets = octets
        self._messages: Counter[str] = Counter()
        self._octets: Counter[str] = Counter()
        self.messages = 0
        self.octets = 0

    def take(self, account: str, octets: int) -> bool:
        """Whether one more fits; then it is held until `give`."""
        if self.messages and not self._fits(account, octets):
            return False
        self._add(account, 1, octets)
        return True

    def give(self, account: str, octets: int) -> None:
        """A message that was taken is held no longer."""
        self._add(account, -1, -octets)

    def _fits(self, account: str, octets: int) -> bool:
        messages, held = self.messages + 1, self.octets + octets
        if messages > self._most_messages or held > self._most_octets:
            return False
        if messages * _FREE <= self._most_messages and held * _FREE <= self._most_octets:
            return True
        own_messages, own_octets = self._messages[account] + 1, self._octets[account] + octets
        return (
            own_messages * self._accounts <= self._most_messages
            and own_octets * self._accounts <= self._most_octets
        )

    def _add(self, account: str, messages: int, octets: int) -> None:
        self.messages += messages
        self.octets += octets
        self._messages[account] += messages
        self._octets[account] += octets
