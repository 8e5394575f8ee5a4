"""Receipts of many dialects, from a collection of public ones."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from smpp_bridge.protocol.constants import ESM_INTERMEDIATE, ESM_RECEIPT, ESM_UDHI, Tag
from smpp_bridge.protocol.message_states import STATES
from smpp_bridge.protocol.pdu import DataSm, DeliverSm
from smpp_bridge.protocol.receipts import (
    Receipt,
    ReceiptRules,
    anonymised_receipt,
    candidates_of,
    parse_receipt,
)

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
    19: ("40072910491419819", "UNDELIVERABLE", True, "001"),
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


DATES = {
    1: (None, None),
    3: ("2010-06-02T00:51", "2010-06-02T00:51"),
    5: ("2011-02-06T19:30:41", "2011-02-06T19:31:10"),
    7: ("2010-01-01T00:00", "2010-01-01T00:00"),
    9: ("2023-02-10T14:54", "2023-02-10T14:54"),
    11: ("2018-07-11T04:00:03", "2018-07-11T04:00:00"),
    13: ("2022-07-04T10:59:16", "2022-07-04T10:59:41"),
    15: ("2017-09-26T07:55", "2017-09-26T07:55"),
    17: ("2006-10-19T12:11", "2006-10-19T12:11"),
    19: ("2010-07-29T10:49", "2010-07-29T10:49"),
    21: ("2023-02-28T13:29", "2023-02-28T13:29"),
    23: ("2024-08-20T13:38", "2024-08-20T09:38:23"),
    25: ("2016-11-24T10:17:32", "2016-11-24T10:17:35"),
    27: ("2016-09-05T13:27", "2016-09-05T13:37"),
    29: ("2026-09-05T14:30", "2026-09-05T14:47"),
    31: ("2026-09-05T14:30:12", "2026-09-05T14:31:45"),
    33: ("2026-09-05T14:30:00", "2026-09-05T14:30:10"),
    35: ("2009-08-31T23:10", "2009-08-31T23:11"),
    37: ("2016-08-01T14:15", "2016-08-01T14:17"),
    39: ("2016-01-01T12:00:15", "2016-01-01T12:30:45"),
    41: ("2014-10-16T07:30", "2014-10-16T07:30"),
    43: ("2013-03-06T07:04", "2013-03-06T07:05"),
    45: ("2024-01-01T00:00", "2024-01-01T00:01"),
    47: ("2013-05-05T08:26", "2013-05-05T08:26"),
    49: ("2015-06-20T16:41", "2015-06-20T16:41"),
    51: ("2012-01-12T15:51", "2012-01-12T15:51"),
    53: ("2016-01-01T01:00", "2016-01-01T01:01"),
    55: ("2016-04-05T23:45", "2016-05-02T11:45"),
    57: (None, "2026-07-19T09:00"),
}


def ms(moment: str) -> int:
    """Unix milliseconds of an ISO date in UTC."""
    return int(datetime.fromisoformat(moment).replace(tzinfo=UTC).timestamp() * 1000)


def marked(body: bytes, **fields: Any) -> Receipt:
    """The receipt in a deliver_sm that says it is one."""
    receipt = parse_receipt(DeliverSm(esm_class=ESM_RECEIPT, short_message=body, **fields))
    assert receipt is not None
    return receipt


def test_every_sample_has_an_expectation() -> None:
    """No sample of the collection is left unread."""
    assert SAMPLES.keys() == EXPECTED.keys() == DATES.keys()


@pytest.mark.parametrize("number", sorted(EXPECTED))
def test_a_receipt_of_the_collection_is_read(number: int) -> None:
    """Id, state and finality of every collected dialect are found."""
    request = DeliverSm(esm_class=ESM_RECEIPT, short_message=SAMPLES[number].encode("latin-1"))
    receipt = parse_receipt(request)
    assert receipt is not None
    message_id, state, is_final, err = EXPECTED[number]
    assert (receipt.message_id, receipt.state, receipt.is_final) == (message_id, state, is_final)
    assert receipt.err == err
    assert receipt.raw_state in SAMPLES[number]
    assert (receipt.submitted_at_ms, receipt.done_at_ms) == tuple(
        None if moment is None else ms(moment) for moment in DATES[number]
    )


@pytest.mark.parametrize(
    ("text", "expected_ms"),
    [
        ("done date:2302101454", 1676040840000),
        ("done date:110206193110", 1297020670000),
        ("done date:201506201641", 1434818460000),
        ("done date:20230210145400", 1676040840000),
        ("done date:180711070000012+", 1531292400000 - 3 * 3600_000),
        ("done date:9999999999", None),
        ("done date:26051012103000", None),
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
    assert (receipt.message_id, receipt.state, receipt.source) == ("AB12", "UNDELIVERABLE", "tlv")


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


WORDS = [
    f"{key}:" for key in ("id", "sub", "dlvrd", "submit date", "stat", "err", "text", "DELIVRD")
]
BODY = (
    "id:AB_7@smsc sub:001 dlvrd:001 submit date:2302101454 done date:2302101454 stat:DELIVRD err:0"
)
UDH = b"\x05\x00\x03\x07\x02\x01"


@pytest.mark.parametrize(
    "request_",
    [
        DeliverSm(esm_class=ESM_RECEIPT, short_message=BODY.encode()),
        DeliverSm(esm_class=ESM_RECEIPT, data_coding=8, short_message=BODY.encode("utf-16-be")),
        DeliverSm(esm_class=ESM_RECEIPT, short_message=BODY.encode("utf-16-be")),
        DeliverSm(esm_class=ESM_RECEIPT, short_message=BODY.encode("utf-16-le")),
        DeliverSm(esm_class=ESM_RECEIPT, short_message=BODY.encode("utf-8-sig")),
        DeliverSm(esm_class=ESM_RECEIPT | ESM_UDHI, short_message=UDH + BODY.encode()),
        DeliverSm(esm_class=ESM_RECEIPT, short_message=UDH + BODY.encode()),
        DeliverSm(esm_class=ESM_RECEIPT | ESM_UDHI, short_message=BODY.encode()),
        DeliverSm(esm_class=ESM_RECEIPT, tlvs=((Tag.MESSAGE_PAYLOAD, BODY.encode()),)),
        DataSm(esm_class=ESM_RECEIPT, tlvs=((Tag.MESSAGE_PAYLOAD, BODY.encode()),)),
        DeliverSm(short_message=BODY.encode()),
        DeliverSm(esm_class=ESM_RECEIPT, short_message=BODY.upper().encode()),
        DeliverSm(esm_class=ESM_RECEIPT, short_message=BODY.encode() + b"\0\0"),
    ],
)
def test_a_receipt_is_read_wherever_and_however_it_is_written(
    request_: DeliverSm | DataSm,
) -> None:
    """Codings, headers, flags and carriers vary; ids keep `_` and `@` as they are."""
    receipt = parse_receipt(request_)
    assert receipt is not None
    assert receipt.message_id.upper() == "AB_7@SMSC"
    assert (receipt.state, receipt.done_at_ms, receipt.err) == ("DELIVERED", 1676040840000, "0")


def test_a_receipt_of_tlvs_alone_is_read() -> None:
    """No text, no flag: the TLVs say it all, the error number too."""
    tlvs = (
        (Tag.RECEIPTED_MESSAGE_ID, b"x" * 80),
        (Tag.MESSAGE_STATE, b"\0\0\0\x08"),
        (Tag.NETWORK_ERROR_CODE, b"\x03\x00\x3c"),
        (0x1403, b"46000"),
    )
    receipt = parse_receipt(DeliverSm(tlvs=tlvs))
    assert receipt is not None
    assert (receipt.message_id, receipt.state, receipt.err) == ("x" * 80, "REJECTED", "60")
    assert receipt.raw_state == "REJECTED"


def test_the_id_of_the_text_is_a_candidate_too() -> None:
    """Text and TLV may name the message differently; either may be what the answer said."""
    receipt = marked(b"id:0AB7 stat:DELIVRD", tlvs=((Tag.RECEIPTED_MESSAGE_ID, b"2743@9\0"),))
    assert (receipt.message_id, receipt.other_id) == ("2743@9", "0AB7")
    found = candidates_of(receipt.message_id, receipt.other_id)
    assert {"2743", "0AB7", "ab7"} <= set(found)


@pytest.mark.parametrize(
    ("token", "state"),
    [
        ("DELIVRD", "DELIVERED"),
        ("delivered", "DELIVERED"),
        ("DELIVERE", "DELIVERED"),
        ("DLVRD", "DELIVERED"),
        ("UNDELIV", "UNDELIVERABLE"),
        ("UNDELIVERABLE", "UNDELIVERABLE"),
        ("FAILED", "UNDELIVERABLE"),
        ("HANDSET_REJECTED", "REJECTED"),
        ("REJECTD", "REJECTED"),
        ("EXPIRED", "EXPIRED"),
        ("DELETED", "DELETED"),
        ("SKIPPED", "SKIPPED"),
        ("ACCEPTD", "ACCEPTED"),
        ("ENROUTE", "ENROUTE"),
        ("BUFFRED", "ENROUTE"),
        ("BUFFERD", "ENROUTE"),
        ("ACKED", "ENROUTE"),
        ("SCHEDLD", "SCHEDULED"),
        ("UNKNOWN", "UNKNOWN"),
        ("MK:0001", "UNKNOWN"),
        ("NOCRED", "UNKNOWN"),
        ("DELIVERED_TO_HANDSET", "DELIVERED"),
        ("MESSAGE-DELIVERED", "DELIVERED"),
        ("DELIVER", "DELIVERED"),
        *((token, "UNDELIVERABLE") for token in ("NOT_DELIVERED", "NON-DELIVERED", "NDELIVERED")),
        *((token, "UNDELIVERABLE") for token in ("NOT_DELIV", "NoDelivery", "DELIVERY_FAILED")),
        *((token, "ENROUTE") for token in ("TO_BE_DELIVERED", "NOT-YET-DELIVERED")),
        *((token, "ENROUTE") for token in ("PENDING_DELIVERY", "RETRY_DELIVERY")),
        ("DELIVERYEXPIRED", "EXPIRED"),
        *((token, "UNKNOWN") for token in ("DELIVERY_ERROR", "DELIVERY_IMPOSSIBLE", "DELIVERING")),
        *((token, "UNKNOWN") for token in ("NOTACCEPTED", "NACKED")),
    ],
)
def test_vendor_states_are_understood_or_kept(token: str, state: str) -> None:
    """Stems decide; what is not known is UNKNOWN, with its token."""
    receipt = marked(f"id:7 stat:{token} err:0".encode())
    assert (receipt.raw_state, receipt.state) == (token, state)


def test_the_connection_decides_what_is_disputed() -> None:
    """ACCEPTED and UNKNOWN are final for some operators; unmarked receipts can be switched off."""
    accepted = DeliverSm(esm_class=ESM_RECEIPT, short_message=b"id:7 stat:ACCEPTD")
    unmarked = DeliverSm(short_message=BODY.encode())
    for request_, rules, is_final in (
        (accepted, ReceiptRules(), None),
        (accepted, ReceiptRules(is_accepted_final=True), True),
        (accepted, ReceiptRules(is_accepted_final=False), False),
    ):
        receipt = parse_receipt(request_, rules)
        assert receipt is not None
        assert receipt.is_final is is_final
    assert parse_receipt(unmarked, ReceiptRules(detects_unmarked=False)) is None


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"id:1 stat:DELIVRD err:0 text:id:9 stat:UNDELIV err:5", ("1", "DELIVRD", "0")),
        (b"id:1 stat:DELIVRD text:my err:99 code", ("1", "DELIVRD", None)),
        (b"id: 12 stat: DELIVRD err: 3", ("12", "DELIVRD", "3")),
        (b"id:12, stat:DELIVRD; err:3", ("12", "DELIVRD", "3")),
        (b"status:EXPIRED error:7 id:12", ("12", "EXPIRED", "7")),
        (b"stat:", ("", "", None)),
        (b"", ("", "", None)),
        (b"\xff\xfe\0", ("", "", None)),
    ],
)
def test_the_tolerant_reading_finds_its_fields(
    body: bytes, expected: tuple[str, str, str | None]
) -> None:
    """Words inside `text:` are no fields; blanks, commas and longer names do not matter."""
    receipt = marked(body)
    assert (receipt.message_id, receipt.raw_state, receipt.err) == expected


@pytest.mark.parametrize(
    "body",
    [
        b"id: 5 status: sent, please STOP",
        b"my id:5 stat:ok sub:no",
        b"DELIVRD",
        b"id:5 stat:delivered",
        b"order id:77 done date:tomorrow?",
    ],
)
def test_what_people_write_is_not_swallowed(body: bytes) -> None:
    """An opt-out that looks a bit like a receipt is still an opt-out."""
    assert parse_receipt(DeliverSm(short_message=body)) is None


def test_delivery_acknowledgements_of_phones_are_messages() -> None:
    """esm_class 0x08 and 0x10 come from people's devices (SMPP 3.4 §5.2.12)."""
    for esm_class in (0x08, 0x10):
        assert parse_receipt(DeliverSm(esm_class=esm_class, short_message=BODY.encode())) is None


def test_the_anonymised_receipt_has_no_number_and_no_text() -> None:
    """For events and logs: fields that are known, nothing that is personal."""
    request_ = DeliverSm(
        source_addr=b"+8613800000001",
        destination_addr=b"10690001",
        esm_class=ESM_RECEIPT,
        short_message=b"id:8613800000001-7 sub:001 stat:DELIVRD IMSI:460001234567890 err:000 "
        b"text:Dear Mr Wang call 8613811111111",
    )
    assert anonymised_receipt(request_) == "id:#-7 sub:001 stat:DELIVRD IMSI:… err:000 text:…"
    assert anonymised_receipt(DeliverSm(short_message=b"call me 13800000001 text:hi")) == ""


@pytest.mark.parametrize("number", sorted(EXPECTED))
def test_anonymised_samples_still_say_what_happened(number: int) -> None:
    """Without their text the collected receipts are read the same."""
    request_ = DeliverSm(esm_class=ESM_RECEIPT, short_message=SAMPLES[number].encode("latin-1"))
    again = DeliverSm(
        esm_class=ESM_RECEIPT, short_message=anonymised_receipt(request_).encode("utf-8")
    )
    assert parse_receipt(again) == parse_receipt(request_)


PERSONAL = ("Xiaoming", "lunch", "13812345678")
WRITTEN = st.lists(
    st.sampled_from(
        [
            *PERSONAL,
            "at noon,",
            *(
                f"{key}:{word}"
                for key in ("id", "stat", "err", "text", "IMSI")
                for word in PERSONAL
            ),
            "done date:13812345678",
            "err: lunch",
        ]
    ),
    max_size=6,
).map(" ".join)


@example(5, "Xiaoming stat:Xiaoming", "Xiaoming", False)  # noqa: FBT003 - as hypothesis passes it
@given(st.sampled_from(sorted(SAMPLES)), WRITTEN, st.sampled_from(PERSONAL), st.booleans())
def test_no_number_and_no_text_of_any_dialect_is_kept(
    number: int,
    text: str,
    word: str,
    has_text_first: bool,  # noqa: FBT001 - hypothesis passes it
) -> None:
    """Neither in the anonymised receipt nor in what events take from it besides the id."""
    fields, _, own = SAMPLES[number].partition("ext:")
    fields = fields.removesuffix("t").removesuffix("T").strip()
    stat = own.partition("stat:")[2]
    parts = [f"text:{text}", f"{fields} IMSI:{word}"]
    body = " ".join(parts if has_text_first else parts[::-1]) + (f" stat:{stat}" if stat else "")
    request = DeliverSm(esm_class=ESM_RECEIPT, short_message=body.encode())
    receipt = parse_receipt(request)
    assert receipt is not None
    kept = anonymised_receipt(request)
    if not has_text_first:
        assert receipt.message_id == EXPECTED[number][0]
        kept += f" {receipt.raw_state} {receipt.err} {receipt.other_id}"
    assert not [each for each in PERSONAL if each in kept]


@pytest.mark.parametrize("field", ["stat:+8613812345678", "err:138-1234-5678", "err: Xiaoming,"])
def test_a_number_or_a_word_in_the_place_of_a_state_or_an_error_is_not_kept(field: str) -> None:
    """Fields may hold anything; the event has neither."""
    body = f"id:7 sub:001 dlvrd:001 submit date:2601010000 done date:2601010001 {field} text:hi"
    receipt = parse_receipt(DeliverSm(esm_class=ESM_RECEIPT, short_message=body.encode()))
    assert receipt is not None
    assert receipt.message_id == "7"
    assert not set(f"{receipt.raw_state}{receipt.err}") & set("12345678X")


@given(st.binary(max_size=254), st.integers(0, 255), st.integers(0, 255))
def test_no_octets_make_the_parser_raise(body: bytes, esm_class: int, coding: int) -> None:
    """Any deliver_sm gives a receipt or none, never an exception."""
    request = DeliverSm(esm_class=esm_class, data_coding=coding, short_message=body)
    receipt = parse_receipt(request)
    assert receipt is None or isinstance(receipt.message_id, str)
    assert isinstance(anonymised_receipt(request), str)


@given(
    st.lists(
        st.sampled_from(WORDS) | st.text(max_size=8),
        max_size=12,
    )
)
def test_no_shuffled_receipt_makes_the_parser_raise(words: list[str]) -> None:
    """Parts of receipts in any order, glued together in any way."""
    for separator in ("", " "):
        body = separator.join(words).encode("utf-8")[:254]
        assert marked(body).state in STATES


@given(st.integers(1, 2**63))
def test_hexadecimal_and_decimal_spellings_find_each_other(number: int) -> None:
    """An id that the response wrote in one base and the receipt in another still matches."""
    assert str(number) in (*candidates_of(f"{number:X}"), f"{number:X}")
    assert f"{number:x}" in (*candidates_of(str(number)), str(number))


@pytest.mark.parametrize("data_coding", [0, 8])
def test_a_receipt_in_little_endian_is_read_whatever_it_says_it_is(data_coding: int) -> None:
    """Against §5.2.19, and on the wire all the same."""
    body = "id:7 sub:001 dlvrd:001 stat:DELIVRD err:000".encode("utf-16-le")
    receipt = parse_receipt(DeliverSm(esm_class=4, data_coding=data_coding, short_message=body))
    assert receipt is not None
    assert (receipt.message_id, receipt.state) == ("7", "DELIVERED")
