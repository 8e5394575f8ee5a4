"""Receipts of many dialects, from a collection of public ones."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smpp_bridge.protocol.constants import ESM_INTERMEDIATE, ESM_RECEIPT, Tag
from smpp_bridge.protocol.pdu import DataSm, DeliverSm
from smpp_bridge.protocol.receipts import candidates_of, parse_receipt

SAMPLES = {
    sample["n"]: sample["text"]
    for sample in json.loads((Path(__file__).parents[2] / "data/dlr_samples.json").read_text())
}
EXPECTED = {
    1: ("IIIIIIIIII", "UNKNOWN", None, "E"),
    3: ("4", "DELIVERED", True, "000"),
    5: ("74e02ee1-4e2f-4a6e-a78b-4b247d756a22", "DELIVERED", True, "000"),
    7: ("98765432101", "ENROUTE", False, "000"),
    9: ("0654354026", "DELIVERED", True, "000"),
    11: ("rdwjwxns18krxr9936ey96ymcw", "UNDELIVERABLE", True, "000"),
    13: ("8XXXXXXXXXXXXX", "REJECTED", True, "954"),
    15: ("34265880701", "UNDELIVERABLE", True, "001"),
    17: ("b756c4f97aa2e1e67377dffc5e2f7d9b", "REJECTED", True, "1"),
    19: ("40072910491419819", "UNDELIVERABLE", True, None),
    21: ("4791967", "ENROUTE", False, "0"),
    23: ("577e505a-dbd7-46ab-a04c-5a927ffb85b1", "REJECTED", True, "00B"),
    25: ("1479978899.393701000100", "DELIVERED", True, "000"),
    27: ("0512249005", "ENROUTE", False, "054"),
    29: ("2a1f0f1d", "UNDELIVERABLE", True, "051"),
    31: ("7d94e772", "DELIVERED", True, "000"),
    33: ("e9ca671b2497d778d771938333dc0c52", "UNDELIVERABLE", True, "4A6"),
    35: ("2", "DELIVERED", True, "xxx"),
    37: ("1234567890", "DELIVERED", True, "000"),
    39: ("42", "EXPIRED", True, "042"),
    41: ("86", "DELIVERED", True, None),
    43: ("0966279342", "UNDELIVERABLE", True, "000"),
    45: ("", "UNDELIVERABLE", True, "001"),
    47: ("1891273321", "DELIVERED", True, "000"),
    49: ("5000", "DELIVERED", True, "000"),
    51: ("0911897980", "UNDELIVERABLE", True, "075"),
    53: ("0000000012345678", "DELIVERED", True, "000"),
    55: ("123456", "DELIVERED", True, None),
    57: ("0000AB12", "EXPIRED", True, "255"),
}


def test_every_sample_has_an_expectation() -> None:
    """No sample of the collection is left unread."""
    assert SAMPLES.keys() == EXPECTED.keys()


@pytest.mark.parametrize("number", sorted(EXPECTED))
def test_a_receipt_of_the_collection_is_read(number: int) -> None:
    """Id, state and finality of every collected dialect are found."""
    request = DeliverSm(esm_class=ESM_RECEIPT, short_message=SAMPLES[number].encode("latin-1"))
    receipt = parse_receipt(request)
    assert receipt is not None
    message_id, state, is_final, err = EXPECTED[number]
    assert (receipt.message_id, receipt.state, receipt.is_final) == (message_id, state, is_final)
    if err is not None:
        assert receipt.err == err


@pytest.mark.parametrize(
    ("text", "expected_ms"),
    [
        ("done date:2302101454", 1676040840000),
        ("done date:110206193110", 1297020670000),
        ("done date:201506201641", 1434818460000),
        ("done date:20230210145400", 1676040840000),
        ("done date:180711070000012+", 1531292400000 - 3 * 3600_000),
        ("done date:9999999999", None),
    ],
)
def test_dates_of_every_width_are_read(text: str, expected_ms: int | None) -> None:
    """10, 12 (two kinds), 14 and 16 digits; nonsense is no date and no error."""
    receipt = parse_receipt(DeliverSm(esm_class=ESM_RECEIPT, short_message=text.encode()))
    assert receipt is not None
    assert receipt.done_at_ms == expected_ms


def test_tlvs_win_over_the_text() -> None:
    """receipted_message_id and message_state are what the specification defines."""
    tlvs = ((Tag.RECEIPTED_MESSAGE_ID, b"AB12\0"), (Tag.MESSAGE_STATE, b"\5"))
    receipt = parse_receipt(
        DeliverSm(esm_class=ESM_RECEIPT, short_message=b"id:99 stat:DELIVRD", tlvs=tlvs)
    )
    assert receipt is not None
    assert (receipt.message_id, receipt.state, receipt.from_tlv) == ("AB12", "UNDELIVERABLE", True)


def test_a_data_sm_receipt_is_read_from_its_payload() -> None:
    """data_sm carries receipts in message_payload."""
    receipt = parse_receipt(
        DataSm(esm_class=ESM_RECEIPT, tlvs=((Tag.MESSAGE_PAYLOAD, b"id:7 stat:EXPIRED err:1"),))
    )
    assert receipt is not None
    assert (receipt.message_id, receipt.state) == ("7", "EXPIRED")


def test_an_intermediate_notification_is_never_final() -> None:
    """esm_class 0x20 says that the message is still on its way, whatever its text says."""
    receipt = parse_receipt(
        DeliverSm(esm_class=ESM_INTERMEDIATE, short_message=b"id:7 stat:DELIVRD")
    )
    assert receipt is not None
    assert receipt.is_final is False


def test_an_ordinary_message_is_no_receipt() -> None:
    """A reply that only mentions a state stays a reply."""
    assert parse_receipt(DeliverSm(short_message=b"my status: stat:ok?")) is None
    assert parse_receipt(DeliverSm(short_message=b"STOP")) is None


def test_an_unmarked_receipt_is_recognised_by_its_body() -> None:
    """Some SMSCs send receipts with esm_class 0."""
    receipt = parse_receipt(DeliverSm(short_message=b"id:7 sub:001 dlvrd:001 stat:DELIVRD err:0"))
    assert receipt is not None


@given(st.binary(max_size=254), st.integers(0, 255), st.integers(0, 255))
def test_no_octets_make_the_parser_raise(body: bytes, esm_class: int, coding: int) -> None:
    """Any deliver_sm gives a receipt or none, never an exception."""
    request = DeliverSm(esm_class=esm_class, data_coding=coding, short_message=body)
    receipt = parse_receipt(request)
    assert receipt is None or isinstance(receipt.message_id, str)


@given(st.integers(1, 2**63))
def test_hexadecimal_and_decimal_spellings_find_each_other(number: int) -> None:
    """An id that the response wrote in one base and the receipt in another still matches."""
    assert str(number) in (*candidates_of(f"{number:X}"), f"{number:X}")
    assert f"{number:x}" in (*candidates_of(str(number)), str(number))
