"""Delivery receipts (DLR) in every dialect: tolerant, never raises, raw token kept.

The text form is vendor specific by the specification's own words (SMPP 3.4 Appendix B). A
canonical expression is tried first; the tolerant one finds the fields in any order, cut off,
renamed or absent. TLVs win over the text for the id and the state (§5.3.2.12, §5.3.2.35).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from typing import Final

from smpp_bridge.protocol.constants import (
    ESM_INTERMEDIATE,
    ESM_RECEIPT,
    ESM_TYPE_MASK,
    ESM_UDHI,
    Tag,
)
from smpp_bridge.protocol.pdu import DataSm, DeliverSm
from smpp_bridge.protocol.text import decode_text, split_udh

_KEYS: Final = r"id|sub|dlvrd|submit date|done date|stat|err|text"
_FIELD: Final = re.compile(
    rf"(?:^|(?<=\s))({_KEYS}):(.*?)(?=\s+(?:{_KEYS}):|\Z)", re.IGNORECASE | re.DOTALL
)
_CANONICAL: Final = re.compile(
    r"id:(\S+) sub:\S+ dlvrd:\S+ submit date:(\d+) done date:(\d+) "
    r"stat:(\w+) err:(\w+)(?: text:.*)?\Z",
    re.IGNORECASE | re.DOTALL,
)

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
"""message_state by number (SMPP 5.0 §4.7.15)."""
_STEMS: Final = (
    ("UNDEL", "UNDELIVERABLE"),
    ("NOTDEL", "UNDELIVERABLE"),
    ("FAIL", "UNDELIVERABLE"),
    ("REJ", "REJECTED"),
    ("DELET", "DELETED"),
    ("DELIV", "DELIVERED"),
    ("DELVRD", "DELIVERED"),
    ("EXPIR", "EXPIRED"),
    ("SKIP", "SKIPPED"),
    ("ACCEP", "ACCEPTED"),
    ("ENROU", "ENROUTE"),
    ("BUFF", "ENROUTE"),
    ("ACKED", "ENROUTE"),
    ("SCHED", "SCHEDULED"),
)
"""Stem anywhere in the token → state, in this order: UNDELIV holds DELIV."""
_FINAL: Final = frozenset(
    {"DELIVERED", "EXPIRED", "DELETED", "UNDELIVERABLE", "REJECTED", "SKIPPED"}
)
_DISPUTED: Final = frozenset({"ACCEPTED", "UNKNOWN"})
"""Final for some operators, not for others: `is_final` is None unless a rule says so."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """One receipt. `message_id` "" when the operator left it out; dates in Unix ms."""

    message_id: str
    raw_state: str
    state: str
    is_final: bool | None
    err: str | None
    submitted_at_ms: int | None
    done_at_ms: int | None
    from_tlv: bool


def parse_receipt(request: DeliverSm | DataSm) -> Receipt | None:
    """The receipt in a deliver_sm or data_sm, or `None` when it is something else.

    A message is a receipt when its type bits say so, or when a receipted_message_id or a
    body with both an id and a state stands in an unmarked message (some SMSCs send
    esm_class 0).
    """
    kind = request.esm_class & ESM_TYPE_MASK
    tlv_id, tlv_state = request.tlv(Tag.RECEIPTED_MESSAGE_ID), _tlv_state(request)
    fields = _fields(body_of(request))
    is_marked = kind in (ESM_RECEIPT, ESM_INTERMEDIATE)
    looks_like = tlv_id is not None or ("id" in fields and "stat" in fields)
    if not is_marked and not (kind == 0 and looks_like):
        return None
    raw_state = fields.get("stat") or tlv_state or ""
    state = tlv_state or _state(raw_state)
    return Receipt(
        message_id=_text_id(tlv_id) or fields.get("id", ""),
        raw_state=raw_state[:32],
        state=state,
        is_final=False if kind == ESM_INTERMEDIATE else _is_final(state),
        err=fields.get("err") or None,
        submitted_at_ms=_date_ms(fields.get("submit date", "")),
        done_at_ms=_date_ms(fields.get("done date", "")),
        from_tlv=tlv_id is not None,
    )


def body_of(request: DeliverSm | DataSm) -> str:
    """The text of a message, UDH cut off; short_message or message_payload."""
    data = request.short_message if isinstance(request, DeliverSm) else b""
    data = data or request.tlv(Tag.MESSAGE_PAYLOAD) or b""
    if request.esm_class & ESM_UDHI:
        _, data = split_udh(data)
    return decode_text(data, request.data_coding)


def candidates_of(message_id: str) -> tuple[str, ...]:
    """Other spellings under which the submit_sm_resp may have named the message.

    Case-folded, zeros stripped, hexadecimal ↔ decimal, without vendor suffix.

    Examples:
        >>> candidates_of("281605133")
        ('10c8f40d', '10760507699')
        >>> candidates_of("00AB@smsc1")
        ('00ab@smsc1', 'ab@smsc1', '00ab', 'ab', '171')
    """
    found: dict[str, None] = {}
    folded = message_id.casefold()
    for spelling in (folded, folded.split("@")[0]):
        stripped = spelling.lstrip("0") or spelling
        found |= dict.fromkeys((spelling, stripped))
        if stripped.isascii() and stripped.isdecimal() and len(stripped) <= 20:
            found[f"{int(stripped):x}"] = None
        if re.fullmatch("[0-9a-f]{1,16}", stripped):
            found[str(int(stripped, 16))] = None
    found.pop(message_id, None)
    return tuple(found)


def _fields(body: str) -> dict[str, str]:
    canonical = _CANONICAL.match(body)
    if canonical is not None:
        names = ("id", "submit date", "done date", "stat", "err")
        return dict(zip(names, canonical.groups(), strict=True))
    fields: dict[str, str] = {}
    for name, value in _FIELD.findall(body):
        fields.setdefault(name.lower(), value.strip())
    if "stat" in fields:
        fields["stat"] = fields["stat"].split(" ")[0]
    return fields


def _state(token: str) -> str:
    upper = token.upper()
    return next((state for stem, state in _STEMS if stem in upper), "UNKNOWN")


def _is_final(state: str) -> bool | None:
    return None if state in _DISPUTED else state in _FINAL


def _tlv_state(request: DeliverSm | DataSm) -> str | None:
    value = request.tlv(Tag.MESSAGE_STATE)
    if not value:
        return None
    number = int.from_bytes(value, "big")  # length 4 instead of 1 has been seen
    return STATES[number] if number < len(STATES) else None


def _text_id(value: bytes | None) -> str:
    return "" if value is None else value.rstrip(b"\0").decode("latin-1")


_DATE: Final = re.compile(r"(\d{10,16})([+-]?)")


def _date_ms(text: str) -> int | None:
    """10, 12 (yymmddhhmmss or YYYYMMDDhhmm), 14 or 15-16 digits; no zone is known, UTC assumed."""
    found = _DATE.match(text)
    if found is None:
        return None
    digits, sign = found.groups()
    offset = timedelta(0)
    if len(digits) >= 15:  # YYMMDDhhmmsstnnp: tenths, quarter hours, sign (SMPP 3.4 §7.1.1)
        quarters = int(digits[13:15] or 0)
        offset = timedelta(minutes=15 * quarters * (-1 if sign == "-" else 1))
        digits = digits[:12]
    for form in _forms(digits):
        try:
            moment = datetime.strptime(digits, form).replace(tzinfo=timezone(offset))
        except ValueError:
            continue
        if 2000 <= moment.astimezone(UTC).year < 2100:
            return int(moment.timestamp() * 1000)
    return None


def _forms(digits: str) -> tuple[str, ...]:
    if len(digits) == 12:
        is_four_digit_year = digits.startswith("20") and "01" <= digits[4:6] <= "12"
        forms = ("%y%m%d%H%M%S", "%Y%m%d%H%M")
        return forms[::-1] if is_four_digit_year else forms
    return {10: ("%y%m%d%H%M",), 14: ("%Y%m%d%H%M%S",)}.get(len(digits), ())
