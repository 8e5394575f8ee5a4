"""PDUs ⇄ events, without network."""

from __future__ import annotations

from typing import Any

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET, UnsetType
from phonenumbers.phonemetadata import PhoneMetadata

from schemas.codec import encode as as_record
from schemas.events import InboundReceived, MessageRequested, ReceiptReceived
from schemas.subject import SubjectKey, Tokenizer
from smpp_bridge.configuration import Addressing
from smpp_bridge.mapping import (
    UnreadableAddress,
    msisdn_of,
    outcome_of,
    parts_of,
    received,
    refused,
    submitted,
)
from smpp_bridge.protocol.codec import encode
from smpp_bridge.protocol.constants import (
    ESM_RECEIPT,
    ESM_UDHI,
    TON_INTERNATIONAL,
    TON_NATIONAL,
    Tag,
)
from smpp_bridge.protocol.pdu import (
    CancelSmResp,
    DataSm,
    DataSmResp,
    DeliverSm,
    GenericNack,
    Pdu,
    SubmitSmResp,
)
from smpp_bridge.protocol.receipts import ReceiptRules

TOKENIZER = Tokenizer(SubjectKey("k1", bytes(32)))


def request(text: str = "hi", **fields: object) -> MessageRequested:
    """One request."""
    values: dict[str, Any] = {
        "event_id": "e",
        "occurred_at_ms": 0,
        "subject": TOKENIZER.token("8613800000001"),
        "message_id": "m1",
        "connection": "c",
        "source_addr": "10690001",
        "destination": "8613800000001",
        "text": text,
        "purpose": "promotional",
    }
    return MessageRequested(**values | fields)


def event_of(
    pdu: DeliverSm | DataSm,
    now_ms: int = 0,
    region: str = "",
    connection: str = "c",
    connection_group: str | UnsetType = UNSET,
    **rules: bool,
) -> ReceiptReceived | InboundReceived:
    """The event of a deliver_sm."""
    return received(
        pdu,
        connection=connection,
        connection_group=connection_group,
        tokenizer=TOKENIZER,
        rules=ReceiptRules(**rules),  # type: ignore[arg-type]
        default_region=region,
        now_ms=now_ms,
    )


@pytest.mark.parametrize(
    ("address", "region", "digits"),
    [
        (b"8613800000001", "", "8613800000001"),
        (b"+8613800000001", "", "8613800000001"),
        (b"008613800000001", "", "8613800000001"),
        (b"13800000001", "CN", "8613800000001"),
        (b"+8613800000001", "CN", "8613800000001"),
    ],
)
def test_addresses_of_every_spelling_become_e164_digits(
    address: bytes, region: str, digits: str
) -> None:
    """The same person has one token, however the operator writes the number."""
    assert msisdn_of(address, region) == digits


REGIONS = ("CN", "DE", "GB", "US", "IN", "BR", "FR", "JP", "NG", "ID")
MOBILES = {
    region: phonenumbers.example_number_for_type(region, phonenumbers.PhoneNumberType.MOBILE)
    for region in REGIONS
}


@given(st.sampled_from(REGIONS), st.sampled_from(REGIONS), st.integers(0, 9999))
def test_an_international_number_keeps_its_country_whatever_the_region(
    home: str, abroad: str, tail: int
) -> None:
    """With TON 1 the digits are the number; with TON 0 a valid one is recognised by itself."""
    national = phonenumbers.national_significant_number(MOBILES[abroad])
    digits = f"{MOBILES[abroad].country_code}{national[:-4]}{tail:04d}"
    assert msisdn_of(digits.encode(), home, TON_INTERNATIONAL) == digits
    if not is_mobile_of(home, digits):
        assert msisdn_of(digits.encode(), home) == digits


def is_mobile_of(region: str, digits: str) -> bool:
    """Whether the digits, read as a national number, are a mobile of another country code."""
    read = phonenumbers.parse(digits, region)
    is_mobile = phonenumbers.number_type(read) in (
        phonenumbers.PhoneNumberType.MOBILE,
        phonenumbers.PhoneNumberType.FIXED_LINE_OR_MOBILE,
    )
    return is_mobile and not digits.startswith(str(read.country_code))


@given(st.sampled_from(REGIONS), st.integers(0, 9999), st.sampled_from([0, TON_NATIONAL]))
def test_a_national_mobile_is_of_the_region_with_and_without_its_trunk_prefix(
    region: str, tail: int, ton: int
) -> None:
    """`13012345678` is a Chinese mobile although the same digits are a number in Maryland."""
    number = MOBILES[region]
    national = f"{phonenumbers.national_significant_number(number)[:-4]}{tail:04d}"
    expected = f"{number.country_code}{national}"
    assert msisdn_of(national.encode(), region, ton) == expected
    if PhoneMetadata.metadata_for_region(region).national_prefix == "0":
        assert msisdn_of(f"0{national}".encode(), region, ton) == expected


@pytest.mark.parametrize(
    ("address", "region", "ton", "digits"),
    [
        (b"4915112345678", "CN", 1, "4915112345678"),
        (b"4915112345678", "CN", 0, "4915112345678"),
        (b"13012345678", "CN", 0, "8613012345678"),
        (b"13012345678", "CN", 1, "13012345678"),
        (b"13012345678", "DE", 0, "13012345678"),
        (b"015112345678", "DE", 2, "4915112345678"),
        (b"447911123456", "DE", 0, "447911123456"),
        (b"3012345678", "DE", 2, "493012345678"),
        (b"8613800000001", "CN", 0, "8613800000001"),
    ],
)
def test_the_type_of_number_and_then_the_region_decide(
    address: bytes, region: str, ton: int, digits: str
) -> None:
    """A wrong country would be another person."""
    assert msisdn_of(address, region, ton) == digits


@pytest.mark.parametrize("body", [b"stop", b"id:1 sub:001 dlvrd:001 stat:DELIVRD err:000 text:"])
@pytest.mark.parametrize(("ton", "number"), [(1, "13012345678"), (2, "8613012345678")])
def test_receipts_and_replies_are_read_by_their_type_of_number(
    body: bytes, ton: int, number: str
) -> None:
    """An international number is nobody's national one; a person's facts have one subject."""
    for request in (
        DeliverSm(source_addr_ton=ton, source_addr=b"13012345678", short_message=body),
        DataSm(
            source_addr_ton=ton,
            source_addr=b"13012345678",
            tlvs=((Tag.MESSAGE_PAYLOAD, body),),
        ),
    ):
        assert event_of(request, region="CN").subject == TOKENIZER.token(number)


@given(st.text("0123456789", max_size=20), st.sampled_from(["CN", "DE", "US"]), st.integers(0, 7))
def test_every_address_is_a_number_or_unreadable(digits: str, region: str, ton: int) -> None:
    """Whatever stands there, a token can be made of it, or it is a dead letter."""
    try:
        found = msisdn_of(digits.encode(), region, ton)
    except UnreadableAddress:
        return
    assert TOKENIZER.token(found)


@pytest.mark.parametrize("address", [b"", b"SHOP", b"12345", b"0138000000", b"1" * 16, b"\xb2" * 9])
def test_what_is_no_number_is_refused_without_naming_it(address: bytes) -> None:
    """The message of the error is safe to log."""
    with pytest.raises(UnreadableAddress) as error:
        msisdn_of(address)
    assert not address or address.decode("latin-1") not in str(error.value)


def test_a_long_text_becomes_parts_with_one_reference() -> None:
    """Every part says how many there are and carries the UDHI flag."""
    parts = parts_of(request("优" * 100))
    assert [(part.number, part.total) for part in parts] == [(1, 2), (2, 2)]
    assert {part.submit_sm.esm_class for part in parts} == {ESM_UDHI}
    assert len({part.submit_sm.short_message[3] for part in parts}) == 1


@pytest.mark.parametrize(
    "fields",
    [
        {"source_addr": "1" * 21},
        {"source_addr": "店"},
        {"source_addr": "a\0b"},
        {"destination": "8" * 21},
        {"destination": "店"},
    ],
)
def test_what_does_not_fit_into_smpp_is_refused_before_it_is_queued(fields: dict[str, str]) -> None:
    """A dead letter; at the socket it would stop the pump for everybody."""
    with pytest.raises(ValueError, match=r"must be|can't encode"):
        parts_of(request(**fields))


def test_validity_is_relative_so_clocks_need_not_agree() -> None:
    """A request that ends in 26 h 1 min 5 s says so in SMPP's relative form."""
    (part,) = parts_of(request(expires_at_ms=93_665_000))
    assert part.submit_at(0).validity_period == b"000001" + b"020105" + b"000R"
    assert part.submit_at(93_600_000).validity_period == b"000000" + b"000105" + b"000R"


def test_a_resent_receipt_is_the_same_fact_and_another_one_is_not() -> None:
    """The event id follows the content, not the sequence_number or the clock."""
    body = b"id:7 stat:DELIVRD err:000"
    first = DeliverSm(source_addr=b"8613800000001", esm_class=ESM_RECEIPT, short_message=body)
    again = DeliverSm(
        sequence_number=9,
        source_addr=b"8613800000001",
        esm_class=ESM_RECEIPT,
        short_message=body,
    )
    other = DeliverSm(
        source_addr=b"8613800000001",
        esm_class=ESM_RECEIPT,
        short_message=b"id:8 stat:DELIVRD err:000",
    )
    assert event_of(first, 1).event_id == event_of(again, 2).event_id
    assert event_of(first).event_id != event_of(other).event_id


@pytest.mark.parametrize("body", [b"id:7 stat:DELIVRD err:000", b"STOP"])
def test_what_comes_again_over_another_connection_of_the_group_is_the_same_fact(
    body: bytes,
) -> None:
    """An SMSC that was not answered on one connection tries the account's other one."""
    pdu = DeliverSm(source_addr=b"8613800000001", short_message=body)
    first = event_of(pdu, connection="rx-1", connection_group="account")
    again = event_of(pdu, connection="rx-2", connection_group="account")
    alone = event_of(pdu, connection="rx-2")
    assert (first.connection, again.connection) == ("rx-1", "rx-2")
    assert first.event_id == again.event_id != alone.event_id


def test_results_and_receipts_name_the_group_of_their_connection() -> None:
    """So that the join finds the submit_sm of a receipt that comes over another connection."""
    pdu = DeliverSm(source_addr=b"8613800000001", short_message=b"id:7 stat:DELIVRD err:000")
    (part,) = parts_of(request())
    for group in ("account", UNSET):
        of_it: dict[str, Any] = {"connection": "c", "connection_group": group}
        found = (
            event_of(pdu, **of_it),
            submitted(part, **of_it, outcome="accepted", now_ms=0),
            refused(request(), **of_it, now_ms=0),
        )
        assert [each.connection_group for each in found] == [group] * 3


def test_the_same_reply_on_another_day_is_another_fact() -> None:
    """STOP today and STOP tomorrow are two replies; a resend within the hour is one."""
    reply = DeliverSm(source_addr=b"8613800000001", short_message=b"STOP")
    assert event_of(reply, 0).event_id == event_of(reply, 1000).event_id
    assert event_of(reply, 0).event_id != event_of(reply, 86_400_000).event_id


@given(st.binary(max_size=160), st.integers(0, 255), st.integers(0, 255))
def test_no_message_of_a_readable_number_makes_the_mapping_raise(
    body: bytes, esm_class: int, coding: int
) -> None:
    """Whatever the text, there is an event, and it does not hold the number."""
    pdu = DeliverSm(
        source_addr=b"8613812345678", esm_class=esm_class, data_coding=coding, short_message=body
    )
    assert "13812345678" not in event_of(pdu).subject


def test_a_connection_decides_what_unmarked_receipts_and_disputed_states_are() -> None:
    """Operators differ: esm_class 0 with a receipt's text, and whether ACCEPTED is the end."""
    unmarked = DeliverSm(source_addr=b"8613800000001", short_message=b"id:7 stat:ACCEPTD err:000")
    assert isinstance(event_of(unmarked, detects_unmarked=False), InboundReceived)
    finals = [
        event_of(unmarked, **rules).is_final  # type: ignore[union-attr]
        for rules in ({}, {"is_accepted_final": True}, {"is_accepted_final": False})
    ]
    assert finals == [None, True, False]


def test_a_later_result_of_the_same_part_is_another_fact() -> None:
    """`unknown` first, then the late answer: the join must see both."""
    (part,) = parts_of(request())
    first = submitted(part, connection="c", outcome="unknown", now_ms=0)
    late = submitted(
        part, connection="c", outcome="accepted", now_ms=1, smsc_message_id="77", is_first=False
    )
    assert (first.event_id, late.event_id) == ("m1/1", "m1/1/77")


@pytest.mark.parametrize(
    ("keys", "source_addr", "octets"),
    [
        ({}, "10690001", b"\x00\x00\x0110690001\x00\x01\x01"),
        ({}, "SHOP", b"\x00\x05\x00SHOP\x00\x01\x01"),
        (
            {"source_addr_ton": 3, "source_addr_npi": 0, "dest_addr_ton": 2, "dest_addr_npi": 8},
            "10690001",
            b"\x00\x03\x0010690001\x00\x02\x08",
        ),
        ({"source_addr_ton": 3}, "SHOP", b"\x00\x05\x00SHOP\x00\x01\x01"),
        ({"service_type": "WAP"}, "10690001", b"WAP\x00\x00\x0110690001\x00\x01\x01"),
    ],
)
def test_addresses_and_service_type_are_as_configured(
    keys: dict[str, Any], source_addr: str, octets: bytes
) -> None:
    """The octets on the wire; a sender of letters stays TON 5, NPI 0."""
    (part,) = parts_of(request(source_addr=source_addr), Addressing(**keys))
    body = encode(part.submit_sm)[16:]
    assert body.startswith(octets + b"8613800000001\x00")


@pytest.mark.parametrize(
    ("default", "text", "tail"),
    [("gsm7", "a@", b"\0\0\2a\0"), ("latin1", "a@", b"\0\0\2a@"), ("ucs2", "a", b"\x08\0\2\0a")],
)
def test_a_text_is_written_as_the_smsc_reads_it(default: Any, text: str, tail: bytes) -> None:
    """data_coding, sm_default_msg_id, sm_length and text, as they stand on the wire."""
    (part,) = parts_of(request(text), default_encoding=default)
    assert encode(part.submit_sm).endswith(tail)


@pytest.mark.parametrize(
    ("response", "outcome"),
    [
        (SubmitSmResp(message_id=b"7"), "accepted"),
        (DataSmResp(message_id=b"7"), "accepted"),
        (SubmitSmResp(command_status=0x58), "rejected"),
        (GenericNack(command_status=3), "rejected"),
        (GenericNack(), "unknown"),
        (CancelSmResp(), "unknown"),
    ],
)
def test_only_a_response_that_can_accept_is_acceptance(response: Pdu, outcome: str) -> None:
    """ROK in a PDU of another kind says nothing about the message."""
    assert outcome_of(response) == outcome


def test_a_receipt_and_a_reply_keep_no_more_of_an_address_or_an_id_than_smpp_has() -> None:
    """64 KiB of them would be an event too large for Kafka, refused for ever."""
    long = b"\x01" * 60_000
    receipt = DeliverSm(
        source_addr=b"8613800000001",
        esm_class=4,
        tlvs=((Tag.RECEIPTED_MESSAGE_ID, long), (Tag.MESSAGE_STATE, b"\2")),
    )
    reply = DeliverSm(source_addr=b"8613800000001", destination_addr=long, short_message=b"hi")
    assert [len(as_record(event_of(request))) < 3000 for request in (receipt, reply)] == [
        True,
        True,
    ]
