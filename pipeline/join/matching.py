"""Which receipt belongs to which message part: ids first, then the only open `unknown` submit.

Operators spell one id in several ways: other case, zeros added or stripped, hexadecimal in the
submit_sm_resp and decimal in the receipt, a suffix behind `@` in one of the two. A person has
few messages, so matching inside the person's facts may be generous where a global index could
not.

A receipt may come over another connection than its submit_sm, if both are of one group.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import islice

import msgspec

from pipeline.join.facts import Receipt, Submit
from pipeline.join.precedence import SUBMIT_PRECEDENCE

_DECIMAL = re.compile(r"[0-9]{1,39}")
_HEXADECIMAL = re.compile(r"[0-9a-f]{1,32}")  # 128 bits (a UUID without dashes), 39 decimal digits

NO_ID = "no_id"
NO_SUBMIT = "no_submit"
SEVERAL_UNKNOWN = "several_unknown"

Unmatched = tuple[str, int, str]
"""(fact key, arrival in ms, reason) of a receipt without a submit."""


class Part(msgspec.Struct, gc=False):
    """One part of one message: the result that counts and the receipts that belong to it."""

    submit: Submit
    receipts: list[Receipt]

    @property
    def is_accepted(self) -> bool:
        """The SMSC took it: it said so, or a receipt proves it."""
        outcome = self.submit.outcome
        return outcome == "accepted" or (outcome == "unknown" and bool(self.receipts))


Parts = dict[tuple[str, int], Part]
"""(message_id, part) → part."""


def settle_submits(submits: Iterable[tuple[str, Submit]]) -> Parts:
    """One result per message part: by `SUBMIT_PRECEDENCE`, then the earliest, then by fact key."""
    ranks: dict[tuple[str, int], tuple[int, int, str]] = {}
    parts: Parts = {}
    for key, submit in submits:
        place = (submit.message_id, submit.part)
        rank = (SUBMIT_PRECEDENCE[submit.outcome], submit.at_ms, key)
        if place not in ranks or rank < ranks[place]:
            ranks[place] = rank
            parts[place] = Part(submit, [])
    return parts


def match_receipts(
    parts: Parts, submits: Iterable[tuple[str, Submit]], receipts: Iterable[tuple[str, Receipt]]
) -> tuple[Unmatched, ...]:
    """Give every receipt to its part.

    Args:
        parts: Result of `settle_submits`; matched receipts are appended to them.
        submits: All results: a part that was sent twice has two ids.
        receipts: Fact keys and receipts.

    Returns:
        Those that belong to no part so far, sorted.
    """
    index = _index(submits)
    left = []
    for key, receipt in receipts:
        submit = _find(index, receipt)
        if submit is None:
            left.append((key, receipt))
        else:
            parts[submit.message_id, submit.part].receipts.append(receipt)
    return tuple(sorted(_give_to_unknown(parts, left))) if left else ()


def canonical(smsc_message_id: str) -> str:
    """An id without case and leading zeros; "" for an empty id."""
    folded = smsc_message_id.strip().casefold()
    return folded.lstrip("0") or folded[:1]


def other_spellings(receipt: Receipt) -> Iterator[str]:
    """Canonical forms of a receipt's candidates, and its id in the other number base."""
    for candidate in receipt.candidates:
        yield canonical(candidate)
    folded = canonical(receipt.smsc_message_id)
    if _DECIMAL.fullmatch(folded):
        yield f"{int(folded):x}"
    if _HEXADECIMAL.fullmatch(folded):
        yield str(int(folded, 16))


def share_group(receipt: Receipt, submit: Submit) -> bool:
    """Whether a receipt may be of a submit by where it came.

    Its own connection always fits: the group may have been named in between.
    """
    if receipt.connection == submit.connection:
        return True
    return (receipt.group or receipt.connection) == (submit.group or submit.connection)


_Index = dict[tuple[str, bool], list[Submit]]
"""(canonical id, whether it is only what stands before `@`) → submits."""


def _index(submits: Iterable[tuple[str, Submit]]) -> _Index:
    index: _Index = {}
    for _, submit in submits:
        name = canonical(submit.smsc_message_id or "")
        if name:
            index.setdefault((name, False), []).append(submit)
        short = name.split("@", 1)[0]
        if short != name and short:
            index.setdefault((short, True), []).append(submit)
    return index


def _find(index: _Index, receipt: Receipt) -> Submit | None:
    if not index:
        return None
    own = canonical(receipt.smsc_message_id)
    found = [each for each in index.get((own, False), ()) if share_group(receipt, each)]
    if not found:
        names = {own, *other_spellings(receipt)}
        found = [
            submit
            for name in names
            for is_short in (False, True)
            for submit in index.get((name, is_short), ())
            if share_group(receipt, submit)
        ]
    if len(found) > 1:
        return _nearest(found, receipt)
    return found[0] if found else None


def _nearest(found: list[Submit], receipt: Receipt) -> Submit:
    """Operators use ids again: the exact spelling, the same connection, the nearest in time."""
    return min(
        found,
        key=lambda submit: (
            submit.smsc_message_id != receipt.smsc_message_id,
            submit.connection != receipt.connection,
            abs(submit.at_ms - receipt.at_ms),
            submit.message_id,
            submit.part,
        ),
    )


def _give_to_unknown(parts: Parts, left: list[tuple[str, Receipt]]) -> list[Unmatched]:
    """A receipt without its submit proves the one submit whose answer was cut off."""
    unknown = [
        part for part in parts.values() if part.submit.outcome == "unknown" and not part.receipts
    ]
    unmatched = []
    for key, receipt in left:
        near = (part for part in unknown if share_group(receipt, part.submit))
        found = list(islice(near, 2))
        if len(found) == 1:
            found[0].receipts.append(receipt)
        else:
            unmatched.append((key, receipt.at_ms, _reason(receipt, found)))
    return unmatched


def _reason(receipt: Receipt, unknown: Iterable[Part]) -> str:
    if unknown:
        return SEVERAL_UNKNOWN
    return NO_SUBMIT if canonical(receipt.smsc_message_id) else NO_ID
