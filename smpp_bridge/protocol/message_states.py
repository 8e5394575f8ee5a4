"""States of a message: numbers, tokens of receipts, and which of them are final."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

STATES: Final = (
    "SCHEDULED",
    "ENROUTE",
    "DELIVERED",
    "EXPIRED",
    "DELETED",
    "UNDELIVERABLE",
    "ACCEPTED",
    "UNKNOWN",
    "REJECTED",
    "SKIPPED",
)
"""message_state by number (SMPP 3.4 §5.2.28; 0 and 9 are 5.0 §4.7.15)."""
STEMS: Final = (
    ("EXPIR", "EXPIRED"),
    ("EXPRD", "EXPIRED"),
    ("NOTYET", "ENROUTE"),
    ("TOBE", "ENROUTE"),
    ("PENDING", "ENROUTE"),
    ("RETRY", "ENROUTE"),
    ("UNDEL", "UNDELIVERABLE"),
    ("UNDLV", "UNDELIVERABLE"),
    ("NOTDEL", "UNDELIVERABLE"),
    ("NONDEL", "UNDELIVERABLE"),
    ("NODEL", "UNDELIVERABLE"),
    ("NDELIV", "UNDELIVERABLE"),
    ("FAIL", "UNDELIVERABLE"),
    ("NOTACC", "UNKNOWN"),
    ("NACK", "UNKNOWN"),
    ("REJ", "REJECTED"),
    ("DELET", "DELETED"),
    ("DELIVERED", "DELIVERED"),
    ("DELIVERD", "DELIVERED"),
    ("DELIVRD", "DELIVERED"),
    ("DELIVRED", "DELIVERED"),
    ("DELIVD", "DELIVERED"),
    ("DELVRD", "DELIVERED"),
    ("DLVRD", "DELIVERED"),
    ("SKIP", "SKIPPED"),
    ("ACCEP", "ACCEPTED"),
    ("ACPTD", "ACCEPTED"),
    ("ENROU", "ENROUTE"),
    ("BUFF", "ENROUTE"),
    ("ACKED", "ENROUTE"),
    ("SCHED", "SCHEDULED"),
)
"""Stem anywhere in the token's letters → state, in this order: UNDELIVERED holds DELIVERED, and
vendors misspell both. A word like DELIVERY_ERROR has none: a false DELIVERED could not be taken
back, UNKNOWN can.
"""
WHOLE: Final = dict.fromkeys(("DELIV", "DELIVE", "DELIVER", "DELIVERE"), "DELIVERED")
"""Tokens that were cut after some letters; not stems, since DELIVERING is not delivered."""
FINAL: Final = frozenset(
    {"DELIVERED", "EXPIRED", "DELETED", "UNDELIVERABLE", "REJECTED", "SKIPPED"}
)


@dataclass(frozen=True, slots=True)
class ReceiptRules:
    """What differs between operators; one value per connection.

    ACCEPTED and UNKNOWN are final for some operators and not for others: `None` says that
    this is not known.
    """

    detects_unmarked: bool = True
    """Take a message with esm_class 0 for a receipt when it looks like one."""
    is_accepted_final: bool | None = None
    is_unknown_final: bool | None = None

    def is_final(self, state: str) -> bool | None:
        """Whether a state can still change."""
        if state == "ACCEPTED":
            return self.is_accepted_final
        return self.is_unknown_final if state == "UNKNOWN" else state in FINAL


@lru_cache(maxsize=256)  # an operator has a dozen tokens
def state_of_token(token: str) -> str:
    """The state that a token of `stat:` means; `UNKNOWN` when none is recognised.

    Examples:
        >>> [state_of_token(token) for token in ("DELIVRD", "Undelivered", "NOT_DELIVERED", "")]
        ['DELIVERED', 'UNDELIVERABLE', 'UNDELIVERABLE', 'UNKNOWN']
    """
    letters = "".join(filter(str.isalpha, token.upper()))
    found = WHOLE.get(letters)
    return found or next((state for stem, state in STEMS if stem in letters), "UNKNOWN")


def state_of_octets(value: bytes | None) -> str | None:
    """The state in a TLV message_state; 4 octets instead of 1 have been seen, in either order."""
    if not value:
        return None
    numbers = (int.from_bytes(value, "big"), int.from_bytes(value, "little"))
    return next((STATES[number] for number in numbers if number < len(STATES)), None)
