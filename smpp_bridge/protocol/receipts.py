"""Delivery receipts (DLR) in every dialect: tolerant, never raises, raw token kept.

A receipt may stand in a deliver_sm or a data_sm, in short_message or message_payload, in
8-bit text or UCS-2, behind a UDH, as TLVs only, or all at once. TLVs win over the text for
the id and the state (SMPP 3.4 §5.3.2.12, §5.3.2.35).
"""

from __future__ import annotations

import re
from typing import Final, Literal

import msgspec

from smpp_bridge.protocol.constants import (
    ESM_INTERMEDIATE,
    ESM_RECEIPT,
    ESM_TYPE_MASK,
    Tag,
)
from smpp_bridge.protocol.message_states import ReceiptRules, state_of_octets, state_of_token
from smpp_bridge.protocol.pdu import DataSm, DeliverSm
from smpp_bridge.protocol.receipt_dates import date_ms
from smpp_bridge.protocol.receipt_text import MAX_VALUE, anonymised, fields_of
from smpp_bridge.protocol.text import body_of, data_of, encoding_of_coding, split_udh

__all__ = [
    "Receipt",
    "ReceiptRules",
    "anonymised_receipt",
    "body_of",
    "candidates_of",
    "parse_receipt",
]

_DEFAULT: Final = ReceiptRules()
_TLVS: Final = frozenset({Tag.RECEIPTED_MESSAGE_ID, Tag.MESSAGE_STATE})
_MAX_STATE: Final = 32
_DECIMAL: Final = re.compile("[0-9]{1,20}").fullmatch
_HEXADECIMAL: Final = re.compile("[0-9a-f]{1,16}").fullmatch
_PROOFS: Final = ("sub", "dlvrd", "submit date", "done date", "err")
"""Fields of which an unmarked receipt has at least one; people do not write them."""


class Receipt(msgspec.Struct, frozen=True, gc=False):
    """One receipt. `message_id` "" when the operator left it out; dates in Unix ms."""

    message_id: str
    other_id: str
    """The id of the text when a TLV had another one, else ""."""
    raw_state: str
    state: str
    is_final: bool | None
    err: str | None
    """As written: decimal, hexadecimal or neither."""
    submitted_at_ms: int | None
    done_at_ms: int | None
    source: Literal["text", "tlv", "data_sm"]


def parse_receipt(request: DeliverSm | DataSm, rules: ReceiptRules = _DEFAULT) -> Receipt | None:
    """The receipt in a deliver_sm or data_sm, or `None` when it is something else.

    A message is a receipt when its type bits say so (§5.2.12), or, where the rules allow it,
    when an unmarked message has a receipt's TLV or a body with an id, a known state and
    another field of a receipt.
    """
    kind = request.esm_class & ESM_TYPE_MASK
    is_marked = kind in (ESM_RECEIPT, ESM_INTERMEDIATE)
    if not is_marked and (kind != 0 or not rules.detects_unmarked):
        return None
    fields = fields_of(_text_of(request))
    if not is_marked and not (_has_tlv(request) or _looks_like(fields)):
        return None
    return _receipt(request, fields, is_intermediate=kind == ESM_INTERMEDIATE, rules=rules)


def anonymised_receipt(request: DeliverSm | DataSm) -> str:
    """The receipt's own words without phone numbers and message text, for events and logs."""
    text = anonymised(_text_of(request))
    for address in (request.source_addr, request.destination_addr):
        digits = address.decode("latin-1").lstrip("+0")
        if len(digits) >= 5:  # shorter ones are service numbers and parts of ids
            text = text.replace(digits, "#")
    return text


def candidates_of(message_id: str, *others: str) -> tuple[str, ...]:
    """Other spellings under which the submit_sm_resp may have named the message.

    Case-folded, zeros stripped, hexadecimal ↔ decimal, without vendor suffix; `others` are
    further ids of the same receipt.

    Examples:
        >>> candidates_of("281605133")
        ('10c8f40d', '10760507699')
        >>> candidates_of("00AB@smsc1")
        ('00ab@smsc1', 'ab@smsc1', '00ab', 'ab', '171')
    """
    found: dict[str, None] = {}  # a set that keeps its order
    for name in (message_id, *others):
        if not name:
            continue
        found[name] = None
        folded = name.casefold()
        for spelling in (folded, folded.split("@")[0]) if "@" in folded else (folded,):
            stripped = spelling.lstrip("0") or spelling
            found[spelling] = found[stripped] = None
            if _DECIMAL(stripped):
                found[f"{int(stripped):x}"] = None
            if _HEXADECIMAL(stripped):
                found[str(int(stripped, 16))] = None
    found.pop(message_id, None)
    return tuple(found)


def _receipt(
    request: DeliverSm | DataSm,
    fields: dict[str, str],
    *,
    is_intermediate: bool,
    rules: ReceiptRules,
) -> Receipt:
    tlvs = dict(reversed(request.tlvs)) if request.tlvs else {}  # the first of a tag counts
    tlv_id = _id_of(tlvs.get(Tag.RECEIPTED_MESSAGE_ID))
    tlv_state = state_of_octets(tlvs.get(Tag.MESSAGE_STATE))
    text_id = fields.get("id", "")
    raw_state = fields.get("stat") or tlv_state or ""
    state = tlv_state or state_of_token(raw_state)
    source: Literal["text", "tlv"] = "tlv" if tlv_id else "text"
    return Receipt(
        message_id=tlv_id or text_id,
        other_id=text_id if tlv_id and text_id != tlv_id else "",
        raw_state=raw_state[:_MAX_STATE],
        state=state,
        is_final=False if is_intermediate else rules.is_final(state),
        err=fields.get("err") or _network_error(tlvs.get(Tag.NETWORK_ERROR_CODE)),
        submitted_at_ms=date_ms(fields.get("submit date", "")),
        done_at_ms=date_ms(fields.get("done date", "")),
        source="data_sm" if isinstance(request, DataSm) else source,
    )


def _has_tlv(request: DeliverSm | DataSm) -> bool:
    return any(tag in _TLVS for tag, _ in request.tlvs)


def _looks_like(fields: dict[str, str]) -> bool:
    return (
        "id" in fields
        and (fields.get("stat") == "UNKNOWN" or state_of_token(fields.get("stat", "")) != "UNKNOWN")
        and any(name in fields for name in _PROOFS)
    )


def _text_of(request: DeliverSm | DataSm) -> str:
    """The body as octets of ASCII or UCS-2.

    Not by the GSM alphabet, whatever data_coding says: `_` and `@` in ids are meant as such,
    as the same octets in a submit_sm_resp are.
    """
    header, data = data_of(request)
    if data[:3] == b"id:" and b"\0" not in data:
        return data.decode("latin-1")  # nearly all of them
    if not header and b"\0" < data[:1] < b" ":
        _, data = split_udh(data)  # a header without its flag: no receipt starts like that
    coding = "latin-1"
    if len(data) > 2 and data[1:2] == b"\0" == data[3:4] and data[:1] != b"\0":
        coding = "utf-16-le"  # against every specification, whatever data_coding says
    elif encoding_of_coding(request.data_coding) == "ucs2" or data[:1] == b"\0" != data[1:2]:
        coding = "utf-16-be"
    return data.decode(coding, "replace").replace("\0", " ").lstrip("\ufeffï»¿ \r\n")


def _id_of(value: bytes | None) -> str:
    """A C-octet string, which some send without its NUL and some with more behind it.

    Cut like an id in a text: 65 octets are allowed (§5.3.2.12), and 64 KiB are possible.
    """
    return "" if value is None else value.split(b"\0", 1)[0][:MAX_VALUE].decode("latin-1").strip()


def _network_error(value: bytes | None) -> str | None:
    """The number in network_error_code (§5.3.2.31): behind the network type, if that is there."""
    if not value:
        return None
    return str(int.from_bytes(value[-2:], "big"))
