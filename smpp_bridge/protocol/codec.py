"""Octets ⇄ PDUs: one regular expression to decode and one `%` template to encode, per PDU.

Both are assembled from the field table (`fields.FIELDS`). Measured against a plain loop over
the table, a struct by hand and generated code: fastest without `exec`; the plain loop lives
on in the tests as the oracle. Decoding is tolerant, encoding strict.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterable
from itertools import groupby
from typing import Any, Final

from smpp_bridge.protocol.constants import RESPONSE_BIT, CommandId, CommandStatus, Tag
from smpp_bridge.protocol.fields import FIELDS, Field, reader_of
from smpp_bridge.protocol.pdu import REQUESTS, Message, Pdu, Tlvs

HEADER: Final = struct.Struct(">IIII")
_TLV: Final = struct.Struct(">HH")
MAX_SHORT_MESSAGE: Final = 254
"""§5.2.21; 255 fits the length octet, and some peers send it."""

_LENGTHS: Final[dict[int, int]] = {
    Tag.SAR_MSG_REF_NUM: 2,
    Tag.SAR_TOTAL_SEGMENTS: 1,
    Tag.SAR_SEGMENT_SEQNUM: 1,
}
"""§5.3.2.22-24; what we do not act on ourselves is the SMSC's to judge."""


LONGEST_STRING: Final = 64
"""Of any string of a message: an address of data_sm, a message_id (§4.7.1, §5.2.23)."""
_TOO_LONG: Final = {
    "service_type": CommandStatus.RINVSERTYP,
    "source_addr": CommandStatus.RINVSRCADR,
    "destination_addr": CommandStatus.RINVDSTADR,
    "schedule_delivery_time": CommandStatus.RINVSCHED,
    "validity_period": CommandStatus.RINVEXPIRY,
    "message_id": CommandStatus.RINVMSGID,
}


class PduError(ValueError):
    """A whole frame that is no PDU we can read. The session answers it and lives on."""

    def __init__(self, reason: str, frame: bytes, command_status: CommandStatus) -> None:
        super().__init__(reason)
        self.reason = reason
        self.frame = frame
        self.command_status = command_status
        _, self.command_id, _, self.sequence_number = HEADER.unpack_from(frame)

    @property
    def is_response(self) -> bool:
        """Whether the frame is an answer, which must never be answered."""
        return bool(self.command_id & RESPONSE_BIT)


def decode(frame: bytes, *, is_strict: bool = False) -> Pdu:
    """Decode one whole frame (header included).

    Strict: a message of an ESME is an error whose optional parameters do not add up, since
    nobody can tell what it should have said, or whose address or time is longer than any that
    SMPP knows; a receipt of an SMSC is read as far as it goes.

    Raises:
        PduError: If the command is unknown or the mandatory fields do not fit.
    """
    _, command_id, status, sequence = HEADER.unpack_from(frame)
    decoder = _DECODERS.get(command_id)
    if decoder is None:
        reason = f"unknown command_id 0x{command_id:08x}"
        raise PduError(reason, frame, CommandStatus.RINVCMDID)
    return decoder(frame, status, sequence, is_strict)


def encode(pdu: Pdu, sequence_number: int | None = None, *, is_strict: bool = True) -> bytes:
    """Encode a PDU, header included; `sequence_number` replaces the PDU's own.

    Not strict: lengths of the specification are not checked, so that what a peer sent can be
    written down or passed on as it came.

    Raises:
        ValueError: If a field breaks its limit (`fields.FIELDS`) or holds a NUL.
    """
    sequence = pdu.sequence_number if sequence_number is None else sequence_number
    try:
        body = _ENCODERS[type(pdu)](pdu, is_strict)
        length = HEADER.size + len(body)
        return HEADER.pack(length, pdu.command_id, pdu.command_status, sequence) + body
    except (struct.error, TypeError, OverflowError) as error:
        raise ValueError(
            f"{type(pdu).__name__}: {error}, must be octets 0-255 (4 octets in the header)."
        ) from error


def check(pdu: Pdu) -> None:
    """Whether a PDU keeps the limits of the specification, at a fifth of what `encode` costs.

    Raises:
        ValueError: If a field is too long or holds a NUL.
    """
    _check(pdu, _LIMITS[type(pdu)], is_strict=True)
    if isinstance(pdu, Message):
        _sm_length(pdu, is_strict=True)


def _decoder(cls: type[Pdu], fields: tuple[Field, ...]) -> Callable[[bytes, int, int, bool], Pdu]:
    match = re.compile(b"(?s)" + b"".join(_patterns(fields))).match
    names = tuple(field.name for field in fields)
    is_run = [is_octets for is_octets, _ in _runs(fields)]
    has_short_message = "short_message" in names
    fixed = len(fields)  # octets, NULs and sm_length
    is_response = bool(cls.command_id & RESPONSE_BIT)
    is_request = issubclass(cls, REQUESTS)
    # values are passed by position, which takes half the time of keywords
    assert cls.__struct_fields__ == ("command_status", "sequence_number", "tlvs", *names)

    def decode_body(frame: bytes, status: int, sequence: int, is_strict: bool) -> Pdu:  # noqa: FBT001 - as below
        found = match(frame, HEADER.size)
        if found is None:
            if is_response:
                return cls(command_status=status, sequence_number=sequence, **_short(frame, names))
            raise _misfit(cls, frame)
        values: list[Any] = []
        for run, group in zip(is_run, found.groups(), strict=True):
            values.extend(group) if run else values.append(group)
        end = found.end()
        if is_strict and is_request and end - HEADER.size - fixed > LONGEST_STRING:
            _check_lengths(cls, names, values, frame)
        if has_short_message:
            start, end = end, end + values[-1]
            if end > len(frame):
                raise _misfit(cls, frame)
            values[-1] = frame[start:end]
        tlvs = _tlvs(frame, end, is_strict=is_strict and is_request) if end < len(frame) else ()
        return cls(status, sequence, tlvs, *values)

    return decode_body


def _misfit(cls: type[Pdu], frame: bytes) -> PduError:
    reason = f"{cls.__name__}: mandatory fields do not fit"
    return PduError(reason, frame, CommandStatus.RINVMSGLEN)


def _check_lengths(cls: type[Pdu], names: tuple[str, ...], values: list[Any], frame: bytes) -> None:
    """Strings of 65 octets upwards; between SMPP's limit and that the SMSC is the judge."""
    for name, value in zip(names, values, strict=True):
        if isinstance(value, bytes) and len(value) > LONGEST_STRING:
            status = _TOO_LONG.get(name, CommandStatus.RINVMSGLEN)
            raise PduError(f"{cls.__name__}: {name} has {len(value)} octets", frame, status)


def _short(frame: bytes, names: tuple[str, ...]) -> dict[str, Any]:
    """A response without body, or with an id without NUL: both are common and both are usable."""
    body = frame[HEADER.size :].split(b"\0", 1)[0]
    return {names[0]: body} if names and body else {}


def _runs(fields: Iterable[Field]) -> list[tuple[bool, int]]:
    """(is a run of octets, how many). sm_length is an octet, too."""
    runs: list[tuple[bool, int]] = []
    for is_string, group in groupby(fields, lambda field: field.kind == "c_string"):
        count = len(list(group))
        runs += [(False, 1)] * count if is_string else [(True, count)]
    return runs


def _patterns(fields: Iterable[Field]) -> list[bytes]:
    return [b"(.{%d})" % count if run else rb"([^\0]*)\0" for run, count in _runs(fields)]


def _tlvs(frame: bytes, position: int, *, is_strict: bool) -> Tlvs:
    """The optional parameters; a truncated one keeps what is there, since the rest is readable.

    Strict: an error if they do not end with the frame, or a part's place is no number (§5.1.3).
    """
    tlvs: list[tuple[int, bytes]] = []
    while position + _TLV.size <= len(frame):
        tag, length = _TLV.unpack_from(frame, position)
        position += _TLV.size
        if is_strict and length != _LENGTHS.get(tag, length):
            raise PduError(f"TLV 0x{tag:04x}: {length} octets", frame, CommandStatus.RINVPARLEN)
        tlvs.append((tag, frame[position : position + length]))
        position += length
    if is_strict and position > len(frame):
        raise PduError("a TLV is longer than the PDU", frame, CommandStatus.RINVPARLEN)
    if is_strict and position < len(frame):
        raise PduError("octets that are no TLV", frame, CommandStatus.RINVOPTPARSTREAM)
    return tuple(tlvs)


def _encoder(fields: tuple[Field, ...]) -> Callable[[Pdu, bool], bytes]:
    template = b"".join(b"%b\0" if field.kind == "c_string" else b"%c" for field in fields)
    plain = [field for field in fields if field.kind != "short_message"]
    limits = _limits(fields)
    values_of = reader_of(plain)
    has_short_message = len(plain) < len(fields)

    def encode_body(pdu: Any, is_strict: bool) -> bytes:  # noqa: FBT001 - one hot call, by position
        _check(pdu, limits, is_strict=is_strict)
        values = values_of(pdu)
        if has_short_message:
            length = _sm_length(pdu, is_strict=is_strict)
            body: bytes = template % (*values, length) + pdu.short_message
        else:
            body = template % values
        return body + _encode_tlvs(pdu.tlvs) if pdu.tlvs else body

    return encode_body


def _limits(fields: Iterable[Field]) -> list[tuple[str, int]]:
    return [(field.name, field.limit) for field in fields if field.kind == "c_string"]


def _check(pdu: Pdu, limits: list[tuple[str, int]], *, is_strict: bool) -> None:
    for name, limit in limits:
        value: bytes = getattr(pdu, name)
        if (is_strict and len(value) > limit) or 0 in value:
            shown = "(secret)" if name == "password" else f"{len(value)} octets"
            raise ValueError(f"{name} == {shown}, must be at most {limit} octets without NUL.")


def _sm_length(pdu: Any, *, is_strict: bool) -> int:
    length, limit = len(pdu.short_message), MAX_SHORT_MESSAGE if is_strict else 0xFF
    if length > limit:
        raise ValueError(f"short_message has {length} octets, must be at most {limit}.")
    return length


def _encode_tlvs(tlvs: Tlvs) -> bytes:
    for tag, value in tlvs:
        if len(value) > 0xFFFF:
            raise ValueError(f"TLV 0x{tag:04x} has {len(value)} octets, must be at most 65535.")
    return b"".join([_TLV.pack(tag, len(value)) + value for tag, value in tlvs])


_DECODERS: Final = {int(cls.command_id): _decoder(cls, f) for cls, f in FIELDS.items()}
_LIMITS: Final = {cls: _limits(fields) for cls, fields in FIELDS.items()}
_ENCODERS: Final = {cls: _encoder(fields) for cls, fields in FIELDS.items()}
RESPONSES: Final = {
    cls: other
    for cls in FIELDS
    for other in FIELDS
    if other.command_id == (cls.command_id | RESPONSE_BIT)
    and cls.command_id != CommandId.GENERIC_NACK
    and not cls.command_id & RESPONSE_BIT
}
"""Request type → response type; alert_notification and outbind have none."""
