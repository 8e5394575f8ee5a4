"""The body of a PDU, field by field and TLV by TLV, as far as it can be read. Pure.

A plain reading of the field table, which knows also what the session does not serve
(submit_multi), says what numbers mean, and tells where a body stops to make sense.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

import msgspec

from smpp_bridge.protocol import meanings
from smpp_bridge.protocol.codec import HEADER
from smpp_bridge.protocol.constants import ESM_UDHI, RESPONSE_BIT, CommandId, Tag
from smpp_bridge.protocol.fields import FIELDS
from smpp_bridge.protocol.message_states import STATES, state_of_octets
from smpp_bridge.protocol.pdu import SubmitSm
from smpp_bridge.protocol.text import encoding_of_coding

_MESSAGE: Final = tuple((field.name, str(field.kind)) for field in FIELDS[SubmitSm])
_TABLES: Final[dict[int, tuple[tuple[str, str], ...]]] = {
    **{
        int(cls.command_id): tuple((field.name, str(field.kind)) for field in fields)
        for cls, fields in FIELDS.items()
    },
    int(CommandId.SUBMIT_MULTI): (
        *_MESSAGE[:4],
        ("number_of_dests", "octet"),
        ("dest_address", "dest_addresses"),
        *_MESSAGE[7:],
    ),
    int(CommandId.SUBMIT_MULTI_RESP): (
        ("message_id", "c_string"),
        ("no_unsuccess", "octet"),
        ("unsuccess_sme", "unsuccess_smes"),
    ),
}
"""command_id → (name, kind) of its fields (SMPP 3.4 §4)."""
_TONS: Final = (
    "unknown",
    "international",
    "national",
    "network specific",
    "subscriber number",
    "alphanumeric",
    "abbreviated",
)
_NPIS: Final = {
    0: "unknown",
    1: "ISDN",
    3: "data",
    4: "telex",
    6: "land mobile",
    8: "national",
    9: "private",
    10: "ERMES",
    14: "IP",
    18: "WAP",
}
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


Body = tuple[tuple[FieldDescription, ...], tuple[TlvDescription, ...], str | None]


def is_only_described(command_id: int) -> bool:
    """Whether we can show it though the session does not serve it."""
    return command_id in {CommandId.SUBMIT_MULTI, CommandId.SUBMIT_MULTI_RESP}


def read_body(frame: bytes) -> Body:
    """(fields, TLVs, problem) of a frame, header included, as far as they go."""
    command_id = HEADER.unpack_from(frame)[1]
    fields: list[FieldDescription] = []
    position = HEADER.size
    for name, kind in _TABLES.get(command_id, ()):
        if position == len(frame) and command_id & RESPONSE_BIT:
            break  # responses come without body
        try:
            described, position = _READ[kind](frame, position, name)
        except (IndexError, ValueError):
            rest = len(frame) - position
            return tuple(fields), (), f"{name} does not fit: {rest} octets are left"
        fields += described
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


def _dest_addresses(frame: bytes, position: int, _name: str) -> _Read:
    """§4.5.1.1: SME addresses (dest_flag 1) and distribution lists (2), as many as told before."""
    fields: list[FieldDescription] = []
    for number in range(1, frame[position - 1] + 1):
        fields.append(_described("dest_flag", frame[position], number))
        is_list = frame[position] == 2
        position += 1
        if not is_list:
            found, position = _sme(frame, position, number)
            fields += found
            continue
        end = frame.index(0, position)
        fields.append(_described("dl_name", frame[position:end].decode("latin-1"), number))
        position = end + 1
    return fields, position


def _unsuccess_smes(frame: bytes, position: int, _name: str) -> _Read:
    """§4.5.2.1: whom it did not go to, and why."""
    fields: list[FieldDescription] = []
    for number in range(1, frame[position - 1] + 1):
        found, position = _sme(frame, position, number)
        octets = frame[position : position + 4]
        if len(octets) < 4:
            raise ValueError(f"error_status_code has {len(octets)} octets, must be 4.")
        status = int.from_bytes(octets, "big")
        fields += [*found, _described("error_status_code", status, number)]
        position += 4
    return fields, position


def _sme(frame: bytes, position: int, number: int) -> _Read:
    ton, npi = frame[position], frame[position + 1]
    end = frame.index(0, position + 2)
    return [
        _described("dest_addr_ton", ton, number),
        _described("dest_addr_npi", npi, number),
        _described("destination_addr", frame[position + 2 : end].decode("latin-1"), number),
    ], end + 1


_READ: Final[dict[str, Callable[[bytes, int, str], _Read]]] = {
    "octet": _octet,
    "c_string": _c_string,
    "short_message": _short_message,
    "dest_addresses": _dest_addresses,
    "unsuccess_smes": _unsuccess_smes,
}


def _described(name: str, value: int | str, number: int | None = None) -> FieldDescription:
    """`number`: of a field that comes several times."""
    meaning = _MEANINGS[name](value) if isinstance(value, int) and name in _MEANINGS else ""
    shown = name if number is None else f"{name}[{number}]"
    return FieldDescription(shown, value, meaning, meanings.FIELD_CLAUSES.get(name, ""))


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
    "error_status_code": meanings.status_name,
    "registered_delivery": lambda value: _RECEIPTS[value & 3],
    "interface_version": lambda value: f"{value >> 4}.{value & 0x0F}",
    **dict.fromkeys(("addr_ton", "source_addr_ton", "dest_addr_ton", "esme_addr_ton"), _ton),
    **dict.fromkeys(("addr_npi", "source_addr_npi", "dest_addr_npi", "esme_addr_npi"), _npi),
}
"""Octet → what it stands for (SMPP 3.4 §5.2)."""
