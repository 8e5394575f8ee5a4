"""Dead letters of PDUs: what an engineer needs, and nothing about a person."""

from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from schemas.subject import SubjectKey, Tokenizer
from smpp_bridge.protocol.codec import encode
from smpp_bridge.protocol.constants import Tag
from smpp_bridge.protocol.pdu import DataSm, DeliverSm
from smpp_bridge.unreadable import UnreadablePdu, written_down

TOKENIZER = Tokenizer(SubjectKey("k1", bytes(32)))
NUMBER, TEXT = b"8613812345678", b"Dear Wang, your appointment is at nine"
REQUESTS = (
    DeliverSm(source_addr=NUMBER, destination_addr=b"10690001", short_message=TEXT),
    DeliverSm(source_addr=b"SHOP", tlvs=((Tag.MESSAGE_PAYLOAD, TEXT), (0x1400, NUMBER))),
    DataSm(source_addr=NUMBER, tlvs=((Tag.MESSAGE_PAYLOAD, TEXT),)),
)


def letter_of(frame: bytes) -> UnreadablePdu:
    """What lies on the topic."""
    return msgspec.json.decode(written_down(frame, TOKENIZER), type=UnreadablePdu)


def test_a_dead_letter_tells_the_shape_of_a_pdu() -> None:
    """Command, lengths, types and flags, TLVs; that is enough to see what an operator sends."""
    request = DeliverSm(
        source_addr_ton=5,
        source_addr=b"SHOP",
        esm_class=0x40,
        data_coding=8,
        short_message=TEXT,
        tlvs=((Tag.MESSAGE_STATE, b"\x02"), (0x3132, b"345")),
    )
    letter = letter_of(encode(request, sequence_number=7))
    assert (letter.command, letter.sequence_number) == ("deliver_sm", 7)
    assert letter.octets == len(encode(request))
    shown = [letter.values[name] for name in ("source_addr_ton", "esm_class", "data_coding")]
    assert shown == [5, 0x40, 8]
    assert (letter.lengths["source_addr"], letter.lengths["short_message"]) == (4, len(TEXT))
    assert letter.tlvs == (("0x0427", 1), ("other", 3))
    assert letter.stopped is None


def test_a_dead_letter_tells_where_reading_stopped() -> None:
    """The field that does not fit, and those before it."""
    letter = letter_of(encode(REQUESTS[0])[:-1])
    assert letter.stopped == f"short_message does not fit: {len(TEXT)} octets are left"
    assert letter.lengths["source_addr"] == len(NUMBER)
    assert letter.values == {}


def test_the_same_pdu_has_the_same_digest_whenever_it_comes() -> None:
    """Only for who has the key: a number could be guessed from a plain hash."""
    first, again = (encode(REQUESTS[0], sequence_number=n) for n in (1, 2))
    assert letter_of(first).digest == letter_of(again).digest
    assert letter_of(first).digest != letter_of(encode(REQUESTS[2])).digest
    other = Tokenizer(SubjectKey("k1", bytes(31) + b"x"))
    assert msgspec.json.decode(written_down(first, other))["digest"] != letter_of(first).digest


@given(st.sampled_from(REQUESTS), st.integers(0, 200), st.integers(0, 255), st.integers(0, 40))
def test_no_damage_brings_numbers_or_words_into_a_dead_letter(
    request: DeliverSm | DataSm, at: int, octet: int, cut: int
) -> None:
    """One octet is another, the end is missing: whatever shifts, only counts are told."""
    frame = bytearray(encode(request))
    at = 16 + at % (len(frame) - 16)
    frame[at] = octet
    del frame[max(16, len(frame) - cut) :]
    letter = written_down(bytes(frame), TOKENIZER)
    told = letter.partition(b'"digest"')[0]
    for start in range(len(NUMBER) - 3):
        assert NUMBER[start : start + 4] not in told
    for word in (*TEXT.split(), b"SHOP"):
        assert word in {b"is", b"at"} or word not in told
