"""Any octets → what they say, field by field, with the clause that defines each. Pure.

For people who look at a PDU. It reads on where the codec gives up and says what is wrong.
"""

from __future__ import annotations

from typing import Any

import msgspec

from smpp_bridge.protocol import meanings
from smpp_bridge.protocol.codec import HEADER, PduError, decode
from smpp_bridge.protocol.describe_body import (
    FieldDescription,
    TlvDescription,
    is_only_described,
    read_body,
)
from smpp_bridge.protocol.pdu import DataSm, Message, SubmitSm
from smpp_bridge.protocol.receipts import ReceiptRules, parse_receipt
from smpp_bridge.protocol.text import (
    body_of,
    concatenation_of,
    data_of,
    encoding_of_coding,
)


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
    fields, tlvs, _ = read_body(data)
    problem = f"command_length is {length}, but only {len(data)} octets are here"
    return _header(data, fields=fields, tlvs=tlvs, problem=problem)


def _describe(frame: bytes, rules: ReceiptRules) -> Description:
    fields, tlvs, problem = read_body(frame)
    try:
        pdu = decode(frame)
    except PduError as error:
        if problem is None and not is_only_described(error.command_id):
            problem = error.reason
        return _header(frame, fields=fields, tlvs=tlvs, problem=problem)
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
