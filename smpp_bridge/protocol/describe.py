"""Any octets → what they say, field by field, with the clause that defines each. Pure.

For people who look at a PDU. It reads on where the codec gives up and says what is wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

import msgspec

from smpp_bridge.protocol import meanings
from smpp_bridge.protocol.codec import HEADER, PduError, decode
from smpp_bridge.protocol.constants import ESM_UDHI, CommandId, Tag
from smpp_bridge.protocol.fields import FIELDS, Field
from smpp_bridge.protocol.message_states import STATES, state_of_octets
from smpp_bridge.protocol.pdu import DataSm, Message, SubmitSm
from smpp_bridge.protocol.receipts import ReceiptRules, parse_receipt
from smpp_bridge.protocol.text import (
    body_of,
    concatenation_of,
    data_of,
    encoding_of_coding,
)

_TABLES: Final[dict[int, tuple[Field, ...]]] = {
    **{int(cls.command_id): fields for cls, fields in FIELDS.items()},
    int(CommandId.SUBMIT_MULTI): (
        *FIELDS[SubmitSm][:4],
        Field("number_of_dests", "octet"),
    ),
    int(CommandId.SUBMIT_MULTI_RESP): (Field("message_id", "c_string"),),
}
"""Also of commands that the session does not serve, as far as they are fixed."""
_TONS: Final = (
    "unknown",
    "international",
    "national",
    "network specific",
    "subscriber number",
    "alphanumeric",
    "abbreviated",
)
_NPIS: Final = {0: "unknown", 1: "ISDN", 3: "data", 4: "telex", 6: "land mobile", 8: "national",
                9: "private", 10: "ERMES", 14: "IP", 18: "WAP"}  # fmt: skip
_TYPES: Final = {
    0x00: "message",
    0x04: "delivery receipt",
    0x08: "delivery acknowledgement of a phone",
    0x10: "user acknowledgement",
    0x18: "conversation abort",
    0x20: "intermediate notification",
}
_RECEIPTS: Final = ("no receipt", "receipt when final", "receipt on failure", "receipt on success")


class FieldDescription(msgspec.Struct, frozen=True):
    """One field. `value`: a number, text, or hexadecimal digits for octets."""

    name: str
    value: int | str
    meaning: str
    clause: str


class TlvDescription(msgspec.Struct, frozen=True):
    """One optional parameter; `hex` are its octets."""

    tag: int
    name: str
    value: int | str
    hex: str
    meaning: str
    clause: str


class Udh(msgspec.Struct, frozen=True):
    """A user data header; the place is there when it says that the message is one of several."""

    hex: str
    reference: int | None = None
    total: int | None = None
    number: int | None = None


class MessageDescription(msgspec.Struct, frozen=True):
    """What a person reads."""

    text: str
    encoding: str
    udh: Udh | None


class ReceiptDescription(msgspec.Struct, frozen=True):
    """What the operator reports; the fields are those of `sms.message.receipt.v1`."""

    smsc_message_id: str
    raw_state: str
    state: str
    is_final: bool | None
    err: str | None
    submitted_at_ms: int | None
    done_at_ms: int | None
    source: str


class Description(msgspec.Struct, frozen=True):
    """One PDU. `problem` says why it cannot be read (to the end), else `None`."""

    command: str
    command_id: int
    command_length: int
    command_status: int
    status: str
    sequence_number: int
    clause: str
    fields: tuple[FieldDescription, ...] = ()
    tlvs: tuple[TlvDescription, ...] = ()
    receipt: ReceiptDescription | None = None
    message: MessageDescription | None = None
    problem: str | None = None


def describe(data: bytes, rules: ReceiptRules | None = None) -> list[Description]:
    """Every PDU in `data`, one behind the other; never raises.

    What cannot be a PDU ends the list with a description that has a `problem`.
    """
    descriptions: list[Description] = []
    while data:
        if len(data) < HEADER.size:
            padded = data.ljust(HEADER.size, b"\0")
            problem = f"{len(data)} of the 16 octets of a header are here"
            return [*descriptions, _header(padded, problem=problem)]
        length = HEADER.unpack_from(data)[0]
        if not HEADER.size <= length <= len(data):
            return [*descriptions, _misframed(data, length)]
        descriptions.append(_describe(data[:length], rules or ReceiptRules()))
        data = data[length:]
    return descriptions


def to_json(description: Description) -> dict[str, Any]:
    """As one flat object: `fields` name → value, `tlvs` a list; `receipt` or `message` if any."""
    found: dict[str, Any] = {
        "command": description.command,
        "command_id": description.command_id,
        "command_length": description.command_length,
        "command_status": description.command_status,
        "status": description.status,
        "sequence_number": description.sequence_number,
        "clause": description.clause,
        "fields": {field.name: field.value for field in description.fields},
        "clauses": {field.name: field.clause for field in description.fields if field.clause},
        "tlvs": msgspec.to_builtins(description.tlvs),
    }
    for name in ("receipt", "message", "problem"):
        value = getattr(description, name)
        if value is not None:
            found[name] = msgspec.to_builtins(value)
    return found


def _misframed(data: bytes, length: int) -> Description:
    if length < HEADER.size:
        return _header(data, problem=f"command_length is {length}, must be at least 16")
    fields, tlvs, _ = _body(data)
    problem = f"command_length is {length}, but only {len(data)} octets are here"
    return _header(data, fields=fields, tlvs=tlvs, problem=problem)


def _describe(frame: bytes, rules: ReceiptRules) -> Description:
    fields, tlvs, problem = _body(frame)
    try:
        pdu = decode(frame)
    except PduError as error:
        is_shown = HEADER.unpack_from(frame)[1] in _TABLES
        return _header(
            frame, fields=fields, tlvs=tlvs, problem=(problem if is_shown else None) or error.reason
        )
    receipt, message = None, None
    if isinstance(pdu, Message | DataSm):
        receipt = None if isinstance(pdu, SubmitSm) else _receipt(pdu, rules)
        message = _message(pdu) if receipt is None else None
    return _header(frame, fields=fields, tlvs=tlvs, receipt=receipt, message=message)


def _header(frame: bytes, **found: Any) -> Description:
    length, command_id, status, sequence = HEADER.unpack_from(frame)
    return Description(
        command=meanings.command_name(command_id),
        command_id=command_id,
        command_length=length,
        command_status=status,
        status=meanings.status_name(status),
        sequence_number=sequence,
        clause=meanings.command_clause(command_id),
        **found,
    )


def _receipt(pdu: Any, rules: ReceiptRules) -> ReceiptDescription | None:
    receipt = parse_receipt(pdu, rules)
    if receipt is None:
        return None
    return ReceiptDescription(
        smsc_message_id=receipt.message_id,
        raw_state=receipt.raw_state,
        state=receipt.state,
        is_final=receipt.is_final,
        err=receipt.err,
        submitted_at_ms=receipt.submitted_at_ms,
        done_at_ms=receipt.done_at_ms,
        source=receipt.source,
    )


def _message(pdu: Message | DataSm) -> MessageDescription:
    header, _ = data_of(pdu)
    udh = Udh(header.hex(), *(concatenation_of(header) or ())) if header else None
    return MessageDescription(body_of(pdu), encoding_of_coding(pdu.data_coding), udh)


_Body = tuple[tuple[FieldDescription, ...], tuple[TlvDescription, ...], str | None]


def _body(frame: bytes) -> _Body:
    """(fields, TLVs, problem), as far as they go."""
    command_id = HEADER.unpack_from(frame)[1]
    fields: list[FieldDescription] = []
    position = HEADER.size
    for field in _TABLES.get(command_id, ()):
        if position == len(frame) and command_id & 0x8000_0000:
            break  # responses come without body
        try:
            described, position = _READ[field.kind](frame, position, field.name)
        except (IndexError, ValueError):
            rest = len(frame) - position
            problem = f"{field.name} does not fit: {rest} octets are left"
            return tuple(fields), (), problem
        fields += described
    if command_id in {CommandId.SUBMIT_MULTI, CommandId.SUBMIT_MULTI_RESP}:
        return tuple(fields), (), f"{meanings.command_name(command_id)} is not served"
    tlvs = tuple(_tlvs(frame, position)) if command_id in _TABLES else ()
    return tuple(fields), tlvs, None


_Read = tuple[list[FieldDescription], int]


def _octet(frame: bytes, position: int, name: str) -> _Read:
    return [_described(name, frame[position])], position + 1


def _c_string(frame: bytes, position: int, name: str) -> _Read:
    end = frame.index(0, position)
    is_secret = name == "password" and end > position
    value = "(hidden)" if is_secret else frame[position:end].decode("latin-1")
    return [_described(name, value)], end + 1


def _short_message(frame: bytes, position: int, name: str) -> _Read:
    length = frame[position]
    start, end = position + 1, position + 1 + length
    if end > len(frame):
        raise ValueError(f"sm_length == {length}, must be at most what is left.")
    return [_described("sm_length", length), _described(name, frame[start:end].hex())], end


_READ: Final[dict[str, Callable[[bytes, int, str], _Read]]] = {
    "octet": _octet,
    "c_string": _c_string,
    "short_message": _short_message,
}


def _described(name: str, value: int | str) -> FieldDescription:
    meaning = _MEANINGS[name](value) if isinstance(value, int) and name in _MEANINGS else ""
    return FieldDescription(name, value, meaning, meanings.FIELD_CLAUSES.get(name, ""))


def _tlvs(frame: bytes, position: int) -> Iterator[TlvDescription]:
    while position + 4 <= len(frame):
        tag = int.from_bytes(frame[position : position + 2], "big")
        length = int.from_bytes(frame[position + 2 : position + 4], "big")
        value = frame[position + 4 : position + 4 + length]
        meaning = _state_meaning(value) if tag == Tag.MESSAGE_STATE else ""
        if len(value) < length:
            meaning = f"cut off: says {length} octets, has {len(value)}"
        clause = meanings.tag_clause(tag)
        name = meanings.tag_name(tag)
        yield TlvDescription(tag, name, _tlv_value(tag, value), value.hex(), meaning, clause)
        position += 4 + length


_TEXTS: Final = frozenset({Tag.RECEIPTED_MESSAGE_ID, Tag.ADDITIONAL_STATUS_INFO_TEXT})


def _tlv_value(tag: int, value: bytes) -> int | str:
    if tag in _TEXTS:
        return value.split(b"\0", 1)[0].decode("latin-1")
    is_number = 1 <= len(value) <= 4 and tag in meanings.TAG_CLAUSES and tag not in _OCTETS
    return int.from_bytes(value, "big") if is_number else value.hex()


_OCTETS: Final = frozenset(
    {
        Tag.MESSAGE_PAYLOAD,
        Tag.NETWORK_ERROR_CODE,
        Tag.CALLBACK_NUM,
        Tag.SOURCE_SUBADDRESS,
        Tag.DEST_SUBADDRESS,
    }
)


def _state_meaning(value: bytes) -> str:
    return state_of_octets(value) or ""


def _esm_class(value: int) -> str:
    words = [_TYPES.get(value & 0x3C, "reserved type")]
    words += ["UDH"] if value & ESM_UDHI else []
    words += ["reply path"] if value & 0x80 else []
    return ", ".join(words)


def _ton(value: int) -> str:
    return _TONS[value] if value < len(_TONS) else "reserved"


def _npi(value: int) -> str:
    return _NPIS.get(value, "reserved")


_MEANINGS: Final[dict[str, Callable[[int], str]]] = {
    "esm_class": _esm_class,
    "data_coding": encoding_of_coding,
    "message_state": lambda value: STATES[value] if value < len(STATES) else "reserved",
    "registered_delivery": lambda value: _RECEIPTS[value & 3],
    "interface_version": lambda value: f"{value >> 4}.{value & 0x0F}",
    **dict.fromkeys(("addr_ton", "source_addr_ton", "dest_addr_ton", "esme_addr_ton"), _ton),
    **dict.fromkeys(("addr_npi", "source_addr_npi", "dest_addr_npi", "esme_addr_npi"), _npi),
}
"""Octet → what it stands for (SMPP 3.4 §5.2)."""
