"""The text form of a receipt (SMPP 3.4 Appendix B) → its fields, in any dialect.

The form is vendor specific by the specification's own words. A canonical expression is tried
first; the tolerant one finds the fields in any order, cut off, renamed or absent.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from smpp_bridge.protocol.message_states import state_of_token
from smpp_bridge.protocol.receipt_dates import date_ms

_KEYS: Final = r"id|sub|dlvrd|submit[ _]?date|done[ _]?date|stat(?:us)?|err(?:or)?|text"
_FIELD: Final = re.compile(
    rf"(?:^|(?<=[\s,;]))({_KEYS}):(.*?)(?=[\s,;]+(?:{_KEYS}):|\Z)", re.IGNORECASE | re.DOTALL
)
_CANONICAL: Final = re.compile(
    r"id:([^\s,;]+) sub:[^\s,;]+ dlvrd:[^\s,;]+ submit date:([^\s,;]+) done date:([^\s,;]+) "
    r"stat:([A-Z_]{1,32}) err:([0-9A-Z]{1,8})(?: text:|\Z)",
    re.IGNORECASE,
)
_CANONICAL_NAMES: Final = ("id", "submit date", "done date", "stat", "err")
_NAMES: Final = {
    "submitdate": "submit date",
    "submit_date": "submit date",
    "donedate": "done date",
    "done_date": "done date",
    "status": "stat",
    "error": "err",
}
_NUMBER: Final = re.compile(r"[0-9][0-9().-]{5,}[0-9]")
"""Seven digits or more: no state and no error is that long, phone numbers are."""
_DIGIT: Final = re.compile("[0-9]")
_SHORT: Final = re.compile(r"[\w-]{0,10}").fullmatch
_OTHER_KEY: Final = re.compile(r"(?<=\s)([A-Za-z_]{1,16}:)")
MAX_VALUE: Final = 128
"""Characters of a value that are kept: twice what §5.2.23 allows for an id."""


def fields_of(body: str) -> dict[str, str]:
    """Field → value, lower case names: id, sub, dlvrd, submit date, done date, stat, err.

    Examples:
        >>> fields_of("stat:EXPIRED err:255 id:0000AB12")
        {'stat': 'EXPIRED', 'err': '255', 'id': '0000AB12'}
    """
    canonical = _CANONICAL.match(body)
    if canonical is not None and canonical.end(1) - canonical.start(1) <= MAX_VALUE:
        return dict(zip(_CANONICAL_NAMES, canonical.groups(), strict=True))
    fields: dict[str, str] = {}
    for _, name, value, _ in _found(body):
        fields.setdefault(name, value)
    return fields


def anonymised(body: str) -> str:
    """The receipt without what is personal: the content of `text:` and of unknown fields.

    Of the known ones only what looks like a count, a date, a state, an error or an id. Empty
    when nothing is recognised, since then it may be anybody's words.

    Examples:
        >>> anonymised("id:7 sub:001 stat:DELIVRD IMSI:460001234 err:0 Text:Dear Wang")
        'id:7 sub:001 stat:DELIVRD IMSI:… err:0 Text:…'
    """
    pieces: list[str] = []
    is_in_text = False
    for key, name, value, rest in _found(body):
        if name == "text":
            is_in_text = bool(rest)
            pieces.append(f"{key}:{'…' if rest else ''}")
            continue
        is_shown = _is_impersonal(name, value, is_in_text=is_in_text)
        pieces.append(f"{key}:{value if is_shown else '…'}")
        pieces += [f"{other}…" for other in _OTHER_KEY.findall(rest)]
    return " ".join(pieces) if any(not piece.lower().startswith("text") for piece in pieces) else ""


def _is_impersonal(name: str, value: str, *, is_in_text: bool) -> bool:
    """Behind a text with content even an id may be a part of that text."""
    if name == "id":
        return not is_in_text
    if name == "stat":
        return not is_in_text or _is_state(value)
    return date_ms(value) is not None if name.endswith("date") else _SHORT(value) is not None


def _is_state(value: str) -> bool:
    return value.upper() == "UNKNOWN" or state_of_token(value) != "UNKNOWN"


def _found(body: str) -> Iterator[tuple[str, str, str, str]]:
    """(key as written, name, first word of the value, the rest of it) of every field.

    What follows a `text:` with content is a part of that text, unless the receipt would have
    no id or no state otherwise: both are seen at the very end. A state there is one that is known.
    """
    seen: set[str] = set()
    is_in_text = False
    for key, raw in _FIELD.findall(body):
        name = _NAMES.get(key.lower(), key.lower())
        if name in seen or (is_in_text and name not in {"id", "stat"}):
            continue
        if is_in_text and name == "stat" and not _is_state(_first_word(raw).rstrip(",;")):
            continue
        seen.add(name)
        if name == "text":
            is_in_text = bool(raw.strip())
            yield key, name, "", raw.strip()
            continue
        first = _first_word(raw)
        if raw[:1].isspace() and (":" in first or (name == "err" and not _DIGIT.search(first))):
            first = ""  # no value, and then a field that we do not know, or words
        value = first.rstrip(",;")[:MAX_VALUE]
        if name in {"stat", "err"} and _NUMBER.search(value):
            value = "…"
        yield key, name, value, raw.replace(first, "", 1)


def _first_word(raw: str) -> str:
    return next(iter(raw.split()), "")
