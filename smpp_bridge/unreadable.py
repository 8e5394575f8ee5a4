"""What is kept of a PDU that could not be used: everything but numbers and words. Pure.

Its octets stay out: where reading stopped, nobody can tell which of them are an address.
"""

from __future__ import annotations

import traceback
from pathlib import Path
from typing import Final

import msgspec

from schemas.subject import Tokenizer
from smpp_bridge.protocol import meanings
from smpp_bridge.protocol.codec import HEADER
from smpp_bridge.protocol.describe_body import FieldDescription, read_body

_SHOWN: Final = frozenset(
    {
        "source_addr_ton",
        "source_addr_npi",
        "dest_addr_ton",
        "dest_addr_npi",
        "esm_class",
        "protocol_id",
        "data_coding",
    }
)
_MAX_TLVS: Final = 100
"""A PDU of 64 KiB may have 16,000 empty ones."""


class UnreadablePdu(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A record of `sms.inbound.received.v1.dlq`; the header `reason` says why it is there."""

    command: str
    command_status: int
    sequence_number: int
    octets: int
    """Of the whole PDU."""
    values: dict[str, int] = {}
    """Fields that are types and flags, if the PDU could be read to its end."""
    lengths: dict[str, int] = {}
    """Octets of the texts among the fields that could be read."""
    tlvs: tuple[tuple[str, int], ...] = ()
    """(tag, octets) of the first hundred; tags that SMPP does not name are `other`."""
    stopped: str | None = None
    """The field that could not be read, and how many octets are left."""
    receipt: str = ""
    """A receipt's own words without numbers and text: it tells of a message that was sent."""
    digest: str
    """Keyed like a subject token, without the sequence number: the same when it comes again."""


def written_down(frame: bytes, tokenizer: Tokenizer, receipt: str = "") -> bytes:
    """A PDU as a dead letter (JSON); `receipt` from `receipts.anonymised_receipt`."""
    length, command_id, status, sequence = HEADER.unpack_from(frame)
    fields, tlvs, problem = read_body(frame)
    return msgspec.json.encode(
        UnreadablePdu(
            command=meanings.command_name(command_id),
            command_status=status,
            sequence_number=sequence,
            octets=length,
            # behind a misfit any octet may be a digit
            values={} if problem else {f.name: int(f.value) for f in fields if f.name in _SHOWN},
            lengths={f.name: _length(f) for f in fields if isinstance(f.value, str)},
            tlvs=tuple((_tag(tlv.tag), len(tlv.hex) // 2) for tlv in tlvs[:_MAX_TLVS]),
            stopped=problem,
            receipt=receipt,
            digest=tokenizer.digest(frame[:12] + frame[16:]),
        )
    )


def place_of_error(error: BaseException) -> str:
    """Type and place of an exception; its words may quote what a person wrote."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f" at {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    return f"unexpected {type(error).__name__}{place}"


def _tag(tag: int) -> str:
    """Where TLVs do not add up, two octets of a text are read as a tag: 0x3132 is "12"."""
    return f"0x{tag:04x}" if meanings.tag_clause(tag) else "other"


def _length(field: FieldDescription) -> int:
    assert isinstance(field.value, str)
    return len(field.value) // (2 if field.name == "short_message" else 1)
