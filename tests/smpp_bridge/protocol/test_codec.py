"""Octets ⇄ PDUs, checked against golden bytes, a plain interpreter of the table, and smpplib."""

from __future__ import annotations

import struct
from types import SimpleNamespace
from typing import Any

import pytest
import smpplib.smpp
from hypothesis import given
from hypothesis import strategies as st

from smpp_bridge.protocol import pdu
from smpp_bridge.protocol.codec import PduError, decode, encode
from smpp_bridge.protocol.constants import CommandStatus
from smpp_bridge.protocol.fields import FIELDS, Field


def oracle(frame: bytes, fields: tuple[Field, ...]) -> dict[str, Any]:
    """The plain loop over the table."""
    position, values = 16, {}
    for field in fields:
        if field.kind == "octet":
            values[field.name] = frame[position]
            position += 1
        elif field.kind == "c_string":
            end = frame.index(0, position)
            values[field.name] = frame[position:end]
            position = end + 1
        else:
            end = position + 1 + frame[position]
            values[field.name] = frame[position + 1 : end]
            position = end
    tlvs = []
    while position < len(frame):
        tag, length = struct.unpack_from(">HH", frame, position)
        tlvs.append((tag, frame[position + 4 : position + 4 + length]))
        position += 4 + length
    return values | {"tlvs": tuple(tlvs)}


def values_for(field: Field) -> st.SearchStrategy[Any]:
    """Anything that the field's row of the table allows."""
    if field.kind == "octet":
        return st.integers(0, 255)
    if field.kind == "c_string":
        octets = st.integers(1, 255)
        return st.lists(octets, max_size=min(field.limit, 12)).map(bytes)
    return st.binary(max_size=field.limit)


TLVS = st.lists(st.tuples(st.integers(0, 0xFFFF), st.binary(max_size=20)), max_size=3).map(tuple)


@st.composite
def pdus(draw: st.DrawFn) -> pdu.Pdu:
    """Any PDU that may be sent."""
    cls = draw(st.sampled_from(sorted(FIELDS, key=lambda c: c.__name__)))
    values = {field.name: draw(values_for(field)) for field in FIELDS[cls]}
    return cls(
        command_status=draw(st.integers(0, 0xFFFFFFFF)),
        sequence_number=draw(st.integers(1, 0x7FFFFFFF)),
        tlvs=draw(TLVS),
        **values,
    )


@given(pdus())
def test_decode_gives_back_what_was_encoded(sent: pdu.Pdu) -> None:
    """Every PDU survives the wire, and the plain interpreter reads the same."""
    frame = encode(sent)
    received = decode(frame)
    assert received == sent
    expected = oracle(frame, FIELDS[type(sent)])
    assert {name: getattr(received, name) for name in expected} == expected


@given(st.sampled_from(sorted(FIELDS, key=lambda c: c.__name__)), st.binary(max_size=80))
def test_any_body_gives_a_pdu_or_a_pdu_error(cls: type[pdu.Pdu], body: bytes) -> None:
    """Whatever an operator sends, decoding gives a value or the one typed error."""
    frame = struct.pack(">IIII", 16 + len(body), cls.command_id, 0, 7) + body
    try:
        outcome: pdu.Pdu | PduError = decode(frame)
    except PduError as error:
        outcome = error
    assert outcome.sequence_number == 7
    assert isinstance(outcome, (cls, PduError))
    assert outcome.command_status in {CommandStatus.ROK, CommandStatus.RINVMSGLEN}


SMPPLIB_COMMANDS = (
    "bind_transmitter",
    "bind_receiver",
    "bind_transceiver",
    "bind_transmitter_resp",
    "bind_receiver_resp",
    "bind_transceiver_resp",
    "submit_sm",
    "submit_sm_resp",
    "deliver_sm",
    "deliver_sm_resp",
    "data_sm",
    "data_sm_resp",
    "query_sm",
    "query_sm_resp",
    "unbind",
    "unbind_resp",
    "enquire_link",
    "enquire_link_resp",
    "generic_nack",
    "alert_notification",
)
BY_NAME = {cls.command_id.name.lower(): cls for cls in FIELDS}
ASCII = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), max_size=5)


@st.composite
def plain_pdus(draw: st.DrawFn) -> pdu.Pdu:
    """PDUs that smpplib can hold: printable ASCII, short_message not empty."""
    cls = BY_NAME[draw(st.sampled_from(SMPPLIB_COMMANDS))]
    values: dict[str, Any] = {}
    for field in FIELDS[cls]:
        if field.name == "interface_version":
            values[field.name] = 0x34  # smpplib writes nothing else
        elif field.kind == "octet":
            # smpplib cuts the message at its UDH, which is another test's business
            values[field.name] = draw(st.integers(0, 255)) & ~0x40
        else:
            values[field.name] = draw(ASCII).encode() or b"1"  # smpplib refuses some empty ones
    return cls(sequence_number=draw(st.integers(1, 0x7FFFFFFF)), **values)


@given(plain_pdus())
def test_smpplib_reads_what_we_write(ours: pdu.Pdu) -> None:
    """An independent implementation finds the same values in our octets."""
    client = SimpleNamespace(next_sequence=lambda: 9)
    foreign = smpplib.smpp.parse_pdu(encode(ours), client=client, allow_unknown_opt_params=True)
    assert foreign.command == ours.command_id.name.lower()
    assert (foreign.sequence, foreign.status) == (ours.sequence_number, 0)
    for field in FIELDS[type(ours)]:
        value = getattr(foreign, field.name)
        if field.kind == "octet":
            assert (value or 0) == getattr(ours, field.name), field.name
        else:
            octets = value.encode() if isinstance(value, str) else value or b""
            assert octets == getattr(ours, field.name), field.name


@given(plain_pdus())
def test_we_read_what_smpplib_writes(ours: pdu.Pdu) -> None:
    """And back: the same values in its octets."""
    fields = {
        field.name: getattr(ours, field.name)
        if field.kind != "c_string"
        else getattr(ours, field.name).decode()
        for field in FIELDS[type(ours)]
    }
    client = SimpleNamespace(next_sequence=lambda: ours.sequence_number)
    name = ours.command_id.name.lower()
    foreign = smpplib.smpp.make_pdu(name, client=client, **fields)
    foreign.sequence = ours.sequence_number
    assert decode(foreign.generate()) == ours


def test_submit_sm_has_the_octets_that_smpplib_sends() -> None:
    """An independent implementation makes the same octets of the same submit_sm."""
    foreign = smpplib.smpp.make_pdu(
        "submit_sm",
        client=SimpleNamespace(next_sequence=lambda: 9),
        source_addr_ton=5,
        source_addr="10690001",
        dest_addr_ton=1,
        dest_addr_npi=1,
        destination_addr="8613800000001",
        esm_class=0x40,
        data_coding=8,
        registered_delivery=1,
        short_message=b"\x05\x00\x03\x07\x02\x01" + "优惠".encode("utf-16-be"),
    )
    ours = pdu.SubmitSm(
        sequence_number=9,
        source_addr_ton=5,
        source_addr=b"10690001",
        dest_addr_ton=1,
        dest_addr_npi=1,
        destination_addr=b"8613800000001",
        esm_class=0x40,
        data_coding=8,
        registered_delivery=1,
        short_message=b"\x05\x00\x03\x07\x02\x01" + "优惠".encode("utf-16-be"),
    )
    assert encode(ours) == foreign.generate()


def test_a_submit_sm_of_known_octets_is_read() -> None:
    """The octets of a submit_sm written down by hand decode to its fields."""
    body = b"\0\1\x0110086\0\1\x018613800000001\0" + bytes(3) + b"\0\0" + b"\1\0\0\0" + b"\5Hello"
    frame = struct.pack(">IIII", 16 + len(body), 4, 0, 10) + body
    received = decode(frame)
    assert isinstance(received, pdu.SubmitSm)
    assert received.source_addr == b"10086"
    assert received.destination_addr == b"8613800000001"
    assert received.registered_delivery == 1
    assert received.short_message == b"Hello"


@pytest.mark.parametrize(("body", "message_id"), [(b"", b""), (b"abc", b"abc"), (b"abc\0", b"abc")])
def test_a_response_without_body_or_nul_keeps_its_status(body: bytes, message_id: bytes) -> None:
    """Error responses come without body and ids without NUL; both are read."""
    frame = struct.pack(">IIII", 16 + len(body), 0x80000004, 0x58, 3) + body
    received = decode(frame)
    assert isinstance(received, pdu.SubmitSmResp)
    assert (received.command_status, received.message_id) == (0x58, message_id)


def test_a_truncated_tlv_keeps_what_is_there() -> None:
    """A TLV that says more than there is does not cost the message."""
    frame = encode(pdu.DeliverSm(sequence_number=1, tlvs=((0x1E, b"abcdef"),)))[:-3]
    received = decode(struct.pack(">I", len(frame)) + frame[4:])
    assert received.tlvs == ((0x1E, b"abc"),)


@pytest.mark.parametrize(
    ("bad", "rule"),
    [
        (pdu.SubmitSm(destination_addr=b"1" * 21), "at most 20 octets"),
        (pdu.SubmitSm(source_addr=b"a\0b"), "without NUL"),
        (pdu.SubmitSm(short_message=b"x" * 255), "at most 254"),
        (pdu.SubmitSm(esm_class=256), "octets 0-255"),
        (pdu.BindTransceiver(password=b"secret-too-long"), "password == .secret."),
    ],
)
def test_encode_refuses_what_breaks_a_limit(bad: pdu.Pdu, rule: str) -> None:
    """What we send keeps the limits of the specification, and secrets stay out of the message."""
    with pytest.raises(ValueError, match=rule):
        encode(bad)


def test_passwords_stay_out_of_repr() -> None:
    """A bind in a log or traceback shows no password."""
    assert "hunter2" not in repr(pdu.BindTransceiver(password=b"hunter2"))


def test_what_a_peer_sent_can_be_written_down_again() -> None:
    """Not strict: a 30-octet address that came in goes to the dead letters as it was."""
    odd = pdu.DeliverSm(source_addr=b"1" * 30, short_message=b"\xff")
    with pytest.raises(ValueError, match="at most 20"):
        encode(odd)
    assert decode(encode(odd, is_strict=False)) == odd


@pytest.mark.parametrize(
    "bad",
    [
        pdu.EnquireLink(command_status=-1),
        pdu.EnquireLink(sequence_number=1 << 32),
        pdu.DeliverSm(tlvs=((0x10000, b""),)),
        pdu.DeliverSm(tlvs=((1, b"x" * 65_536),)),
        pdu.SubmitSm(source_addr_ton="1"),  # type: ignore[arg-type]
    ],
)
def test_whatever_does_not_fit_is_a_value_error(bad: pdu.Pdu) -> None:
    """The caller's mistake has one exception, wherever in the PDU it is."""
    with pytest.raises(ValueError, match="must be"):
        encode(bad)


def test_255_octets_of_text_are_read_and_passed_on() -> None:
    """§5.2.22 allows 254; 255 are sent all the same, and one PDU must not end a session."""
    frame = bytearray(encode(pdu.DeliverSm(short_message=b"x" * 254), 7))
    frame[3] += 1
    frame[-255] = 255
    frame += b"x"
    received = decode(bytes(frame))
    assert isinstance(received, pdu.DeliverSm)
    assert received.short_message == b"x" * 255
    assert encode(received, is_strict=False) == frame


@pytest.mark.parametrize("cls", [pdu.SubmitSm, pdu.DataSm, pdu.QuerySm])
@pytest.mark.parametrize(
    ("tail", "status"),
    [
        (b"\x14\x03\0\2\1", CommandStatus.RINVPARLEN),
        (b"\x02\x0e\0\2\0\1", CommandStatus.RINVPARLEN),
        (b"\x14\x03\0", CommandStatus.RINVOPTPARSTREAM),
        (b"\x14\x03\0\1\1", None),
    ],
)
def test_a_strict_reader_takes_no_request_whose_tlvs_do_not_add_up(
    cls: type[pdu.Request], tail: bytes, status: CommandStatus | None
) -> None:
    """§5.1.3: cut, of a length that a sar TLV cannot have, no TLV at all; the last one is well."""
    frame = encode(cls(), 1) + tail
    frame = struct.pack(">I", len(frame)) + frame[4:]
    assert isinstance(decode(frame), cls)
    if status is None:
        assert decode(frame, is_strict=True) == decode(frame)
        return
    with pytest.raises(PduError) as error:
        decode(frame, is_strict=True)
    assert error.value.command_status is status


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("service_type", CommandStatus.RINVSERTYP),
        ("source_addr", CommandStatus.RINVSRCADR),
        ("destination_addr", CommandStatus.RINVDSTADR),
        ("schedule_delivery_time", CommandStatus.RINVSCHED),
        ("validity_period", CommandStatus.RINVEXPIRY),
    ],
)
def test_a_strict_reader_takes_no_string_that_smpp_does_not_know(
    name: str, status: CommandStatus
) -> None:
    """64 octets pass, for the SMSC to judge; 65 would be memory that a sender can choose."""
    fields: dict[str, Any] = {"short_message": bytes(200), name: b"1" * 64}
    frame = encode(pdu.SubmitSm(**fields), 1, is_strict=False)
    assert decode(frame, is_strict=True) == decode(frame)
    fields[name] += b"1"
    frame = encode(pdu.SubmitSm(**fields), 1, is_strict=False)
    assert isinstance(decode(frame), pdu.SubmitSm)
    with pytest.raises(PduError, match=f"{name} has 65 octets") as error:
        decode(frame, is_strict=True)
    assert error.value.command_status is status


def test_a_strict_reader_still_reads_answers_and_binds() -> None:
    """An answer with an odd tail says what it says; refusing it would lose it."""
    for message in (pdu.DeliverSmResp(command_status=8), pdu.BindTransceiver(system_id=b"a")):
        frame = encode(message, 1) + b"\0\0"
        assert type(decode(frame, is_strict=True)) is type(message)
