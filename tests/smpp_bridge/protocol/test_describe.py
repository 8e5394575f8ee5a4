"""Descriptions of PDUs for people."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smpp_bridge.protocol import meanings, pdu
from smpp_bridge.protocol.codec import HEADER, encode
from smpp_bridge.protocol.constants import ESM_RECEIPT, CommandId, CommandStatus, Tag
from smpp_bridge.protocol.describe import describe, to_json
from smpp_bridge.protocol.fields import FIELDS
from smpp_bridge.protocol.long_messages import messages_of

RECEIPT = pdu.DeliverSm(
    sequence_number=7,
    source_addr=b"8613800000001",
    esm_class=ESM_RECEIPT,
    short_message=b"id:7F sub:001 dlvrd:001 submit date:2302101454 done date:2302101455 "
    b"stat:DELIVRD err:000 text:",
    tlvs=((Tag.RECEIPTED_MESSAGE_ID, b"127\0"), (Tag.MESSAGE_STATE, b"\2"), (0x1403, b"46000")),
)


def test_a_receipt_is_described_with_what_it_reports() -> None:
    """Header, fields, TLVs and the receipt itself."""
    (found,) = map(to_json, describe(encode(RECEIPT)))
    assert (found["command"], found["command_status"], found["sequence_number"]) == (
        "deliver_sm",
        0,
        7,
    )
    assert found["fields"]["source_addr"] == "8613800000001"
    assert found["clauses"]["esm_class"] == "5.2.12"
    assert [(tlv["name"], tlv["value"], tlv["meaning"]) for tlv in found["tlvs"]] == [
        ("receipted_message_id", "127", ""),
        ("message_state", 2, "DELIVERED"),
        ("vendor-specific 0x1403", b"46000".hex(), ""),
    ]
    assert found["receipt"] == {
        "smsc_message_id": "127",
        "raw_state": "DELIVRD",
        "state": "DELIVERED",
        "is_final": True,
        "err": "000",
        "submitted_at_ms": 1676040840000,
        "done_at_ms": 1676040900000,
        "source": "tlv",
    }
    assert "message" not in found
    assert "problem" not in found


def test_a_message_is_described_with_its_text_and_header() -> None:
    """What a person reads, its encoding, and where the part stands."""
    part = messages_of(pdu.DeliverSm(), "优" * 80, reference=9)[1]
    (found,) = map(to_json, describe(encode(part)))
    assert found["message"] == {
        "text": "优" * 13,
        "encoding": "ucs2",
        "udh": {"hex": "0003090202", "reference": 9, "total": 2, "number": 2},
    }


@pytest.mark.parametrize("cls", sorted(FIELDS, key=lambda cls: cls.__name__))
def test_every_command_shows_all_its_fields_and_clauses(cls: type[pdu.Pdu]) -> None:
    """Nothing of a PDU is left out, and everything has its place in the specification."""
    (found,) = describe(encode(cls()))
    names = {field.name for field in FIELDS[cls]}
    assert names <= {field.name for field in found.fields}
    assert all(field.clause for field in found.fields)
    assert found.clause.startswith("4.")
    assert found.problem is None


def test_several_pdus_are_described_one_by_one() -> None:
    """As they stand in a TCP stream."""
    stream = encode(pdu.EnquireLink(sequence_number=1)) + encode(RECEIPT)
    assert [found.command for found in describe(stream)] == ["enquire_link", "deliver_sm"]


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"\0\0\0\x10\0", "5 of the 16"),
        (struct.pack(">IIII", 15, 4, 0, 1), "at least 16"),
        (struct.pack(">IIII", 99, 4, 0, 1), "only 16 octets"),
        (struct.pack(">IIII", 16, 0x777, 0, 1), "unknown command_id"),
        (struct.pack(">IIII", 18, 4, 0, 1) + b"ab", "service_type does not fit: 2 octets"),
        (encode(RECEIPT)[:60], "only 60 octets"),
        (struct.pack(">IIII", 21, CommandId.SUBMIT_MULTI, 0, 1) + b"\0\0\0\0\1", "dest_address"),
    ],
)
def test_what_cannot_be_read_says_why_and_shows_the_rest(data: bytes, problem: str) -> None:
    """The header is shown whatever follows."""
    found = describe(data)[-1]
    assert found.problem is not None
    assert problem in found.problem
    if len(data) >= HEADER.size:
        assert found.sequence_number == HEADER.unpack_from(data)[3]


def test_submit_multi_is_read_though_it_is_not_served() -> None:
    """Addresses and lists one by one, then the fields of a submit_sm, then TLVs."""
    body = (
        (b"\0\0\1861\0\2\1\1\1862\0\2friends\0\0\0\0\0\0\1\0\0\0\2hi\x02\x04\0\2\0\7")
        .replace(b"\1861", b"\1" + b"861")
        .replace(b"\1862", b"\1" + b"862")
    )
    frame = struct.pack(">IIII", 16 + len(body), CommandId.SUBMIT_MULTI, 0, 9) + body
    (found,) = map(to_json, describe(frame))
    assert "problem" not in found
    fields = found["fields"]
    assert (fields["source_addr"], fields["destination_addr[1]"]) == ("861", "862")
    assert (fields["dl_name[2]"], fields["short_message"]) == ("friends", b"hi".hex())
    assert [tlv["name"] for tlv in found["tlvs"]] == ["user_message_reference"]


def test_submit_multi_resp_tells_whom_it_did_not_reach() -> None:
    """Each with its status."""
    body = b"id\0" + b"\1" + b"\1\1" + b"862\0" + bytes((0, 0, 0, 0x0B))
    frame = struct.pack(">IIII", 16 + len(body), CommandId.SUBMIT_MULTI_RESP, 0, 9) + body
    (found,) = describe(frame)
    assert found.problem is None
    assert found.fields[-1].meaning == "ESME_RINVDSTADR"


def test_a_truncated_tlv_says_so() -> None:
    """The value is shown as far as it is there."""
    frame = encode(pdu.DeliverSm(tlvs=((0x1E, b"abcdef"),)))[:-3]
    (found,) = describe(struct.pack(">I", len(frame)) + frame[4:])
    assert found.tlvs[0].meaning == "cut off: says 6 octets, has 3"


def test_a_password_is_not_shown() -> None:
    """A description ends up in tickets and chats."""
    (found,) = map(to_json, describe(encode(pdu.BindTransceiver(password=b"hunter2"))))
    assert "hunter2" not in str(found)


@given(st.binary(max_size=200))
def test_no_octets_make_it_raise(data: bytes) -> None:
    """Whatever is pasted gets an answer."""
    assert all(to_json(found) for found in describe(data))


@given(st.sampled_from(sorted(CommandId)), st.binary(max_size=120))
def test_no_body_makes_it_raise(command: CommandId, body: bytes) -> None:
    """The same behind every good header."""
    frame = HEADER.pack(HEADER.size + len(body), command, 0, 1) + body
    (found,) = describe(frame)
    assert found.command == command.name.lower()


def test_every_number_has_its_meaning() -> None:
    """No status, command or tag without words or clause."""
    assert set(meanings.STATUS_MEANINGS) == set(CommandStatus)
    assert set(meanings.COMMAND_CLAUSES) == set(CommandId)
    assert set(meanings.TAG_CLAUSES) == set(Tag)
