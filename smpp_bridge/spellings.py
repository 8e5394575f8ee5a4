"""How a connection spells in receipts the ids of its submit_sm_resp, learned from a sample. Pure.

For an operator of the bridge to see; receipts are matched downstream, with every spelling.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Final

from schemas.events import ReceiptReceived

MAX_WATCHED: Final = 1_000
"""At one id a second: receipts that come within a quarter of an hour are recognised."""


def _folded(name: str) -> str:
    return name.strip().casefold()


def _stripped(name: str) -> str:
    folded = _folded(name)
    return folded.lstrip("0") or folded[:1]


def _plain(name: str) -> str:
    return _stripped(name.partition("@")[0])


def _is_number_in(name: str, base: int, other: str, other_base: int) -> bool:
    try:
        return int(name, base) == int(other, other_base)
    except ValueError:
        return False


_SPELLINGS: Final[dict[str, Callable[[str, str], bool]]] = {
    "exact": lambda answered, reported: answered == reported,
    "case": lambda answered, reported: _folded(answered) == _folded(reported),
    "zeros": lambda answered, reported: _stripped(answered) == _stripped(reported),
    "suffix": lambda answered, reported: _plain(answered) == _plain(reported),
    "decimal": lambda answered, reported: _is_number_in(answered, 16, reported, 10),
    "hexadecimal": lambda answered, reported: _is_number_in(answered, 10, reported, 16),
    "other_id": lambda _, __: True,
}
"""Spelling → whether the receipt's id is that of the submit_sm_resp; the first counts."""


def spelling_of(answered: str, reported: str) -> str:
    """How a receipt spells the id of the submit_sm_resp.

    Examples:
        >>> spelling_of("10C8F40D", "281605133"), spelling_of("00ab", "AB")
        ('decimal', 'zeros')
    """
    return next(name for name, is_so in _SPELLINGS.items() if is_so(answered, reported))


class Spellings:
    """Watches some ids of one connection until their receipts come; counts into `found`."""

    def __init__(self, found: Counter[str]) -> None:
        self._found = found
        self._watched: dict[str, tuple[str, str]] = {}
        self._names = self._watched.keys()
        self.is_due = True
        """Whether the next id shall be watched; `tick` says so again."""

    def tick(self) -> None:
        """Once a second: one more id."""
        self.is_due = True

    def answered(self, message_id: bytes, subject: str) -> None:
        """A submit_sm_resp has come; to be called when `is_due`."""
        name = message_id.decode("latin-1")
        key = _plain(name)
        if not key:
            return
        self.is_due = False
        self._watched[key] = (name, subject)
        if len(self._watched) > MAX_WATCHED:
            del self._watched[next(iter(self._watched))]

    def reported(self, receipt: ReceiptReceived) -> None:
        """A receipt has come. Of the same person only: one number is another id in hexadecimal."""
        watched, candidates = self._watched, receipt.candidates
        if self._names.isdisjoint(candidates) and receipt.smsc_message_id not in watched:
            return
        for name in (receipt.smsc_message_id, *candidates):
            answered, subject = watched.get(name, ("", ""))
            if subject == receipt.subject:
                del watched[name]
                self._found[spelling_of(answered, receipt.smsc_message_id)] += 1
                return
