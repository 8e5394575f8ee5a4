"""Long messages out and in: four ways, any order, interleaved, bounded."""

from __future__ import annotations

import random
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smpp_bridge.protocol.constants import ESM_UDHI, Tag
from smpp_bridge.protocol.long_messages import (
    PART_OCTETS,
    Joined,
    Joiner,
    Method,
    messages_of,
    place_of,
)
from smpp_bridge.protocol.pdu import DataSm, DeliverSm
from smpp_bridge.protocol.sizes import content_octets

ANY_TEXT = st.builds(
    lambda text, times: text * times,  # so that most have several parts
    st.text(st.characters(exclude_categories=("Cs",)), max_size=30),
    st.integers(1, 30),
)
METHODS: tuple[Method, ...] = ("udh8", "udh16", "sar", "payload")
LONG = "€uro {braces} 😀 " * 30


def parts_of(
    text: str, method: Method = "udh8", reference: int = 1, source: bytes = b"861"
) -> list[DeliverSm]:
    """The deliver_sm of a text."""
    template = DeliverSm(source_addr=source, destination_addr=b"10690001")
    return messages_of(template, text, method=method, reference=reference)


def only(joined: list[Joined | None]) -> Joined:
    """The one message that came out."""
    (found,) = [each for each in joined if each is not None]
    return found


@given(ANY_TEXT, st.sampled_from(METHODS), st.integers(0, 0xFFFF), st.randoms())
def test_a_text_is_joined_from_its_parts_in_any_order(
    text: str, method: Method, reference: int, draw: random.Random
) -> None:
    """Splitting and joining are inverse, whichever way and order; a repeated part is nothing."""
    parts = parts_of(text, method, reference)
    draw.shuffle(parts)
    joiner = Joiner()
    found = only([joiner.add(part, 0) for part in [*parts, *parts[:-1]]])
    assert found.text == text
    assert found.is_complete
    assert len(joiner) == joiner.octets == 0
    assert joiner.expire(1e9) == []


@given(st.randoms())
def test_interleaved_messages_do_not_mix(draw: random.Random) -> None:
    """Sender, reference, way and connection keep messages apart."""
    texts = {
        (source, reference, method): f"{source!r}{reference}{method}" * 20
        for source in (b"861", b"862")
        for reference in (1, 2)
        for method in ("udh8", "sar")
    }
    stream = [
        (connection, part)
        for connection in ("a", "b")
        for (source, reference, method), text in texts.items()
        for part in parts_of(text, method, reference, source)  # type: ignore[arg-type]
    ]
    draw.shuffle(stream)
    joiner = Joiner()
    found = [joiner.add(part, 0, connection) for connection, part in stream]
    assert sorted(each.text for each in found if each) == sorted([*texts.values()] * 2)


@pytest.mark.parametrize("method", METHODS)
def test_parts_say_where_they_stand(method: Method) -> None:
    """UDH sets its flag and sar its TLVs; message_payload is one PDU without short_message."""
    parts = parts_of("优" * 100, method, reference=0x1234)
    if method == "payload":
        (whole,) = parts
        assert whole.short_message == b""
        assert whole.tlv(Tag.MESSAGE_PAYLOAD) == ("优" * 100).encode("utf-16-be")
        assert place_of(whole) is None
        return
    reference = 0x34 if method == "udh8" else 0x1234
    kind = "sar" if method == "sar" else "udh"
    assert [place_of(part) for part in parts] == [(kind, reference, 2, 1), (kind, reference, 2, 2)]
    assert {part.esm_class for part in parts} == {0 if method == "sar" else ESM_UDHI}


def test_a_part_of_a_data_sm_is_joined() -> None:
    """data_sm has its body in message_payload, header and all."""
    joiner = Joiner()
    found = None
    for part in parts_of(LONG):
        found = joiner.add(
            DataSm(
                esm_class=part.esm_class,
                data_coding=part.data_coding,
                tlvs=((Tag.MESSAGE_PAYLOAD, part.short_message),),
            ),
            0,
        )
    assert found is not None
    assert found.text == LONG


def test_pairs_that_a_sender_tore_are_mended() -> None:
    """Octets are joined before they are decoded: surrogates and escapes may be cut."""
    for octets, coding in (("😀".encode("utf-16-be"), 8), (b"\x1b\x65", 0)):
        half = len(octets) // 2
        joiner = Joiner()
        found = None
        for number, piece in enumerate((octets[:half], octets[half:]), 1):
            body = bytes((5, 0, 3, 9, 2, number)) + piece
            part = DeliverSm(esm_class=ESM_UDHI, data_coding=coding, short_message=body)
            found = joiner.add(part, 0)
        assert found is not None
        assert found.text == ("😀" if coding else "€")


def test_what_stays_incomplete_is_given_up_in_time() -> None:
    """Nothing waits for ever, and nothing vanishes: what came is handed out."""
    joiner = Joiner(ttl_s=300)
    parts = parts_of("a" * 400)
    assert joiner.add(parts[2], 0) is None
    assert joiner.add(parts[0], 10) is None
    assert joiner.expire(299.9) == []
    (lost,) = joiner.expire(300)
    assert not lost.is_complete
    assert (lost.requests, lost.total) == ((parts[0], parts[2]), 3)
    assert len(joiner) == joiner.octets == 0


def test_unfinished_messages_are_bounded_by_count_and_octets() -> None:
    """The oldest make room; they are reported, not forgotten."""
    part = PART_OCTETS + content_octets(parts_of("a" * 200)[0])
    for joiner in (Joiner(max_messages=2), Joiner(max_octets=2 * part)):
        for reference in range(5):
            joiner.add(parts_of("a" * 200, reference=reference)[0], reference)
        assert len(joiner) == 2
        assert len(joiner.expire(4)) == 3


def test_a_new_message_under_an_old_reference_is_not_mixed_in() -> None:
    """References repeat after 256 messages; another text at the same place is another message."""
    joiner = Joiner()
    old, new = parts_of("a" * 200), parts_of("b" * 200)
    joiner.add(old[0], 0)
    joiner.add(new[0], 1)
    found = joiner.add(new[1], 1)
    assert found is not None
    assert found.text == "b" * 200
    assert [lost.requests for lost in joiner.expire(1)] == [(old[0],)]


@pytest.mark.parametrize("place", [(0, 1), (2, 0), (2, 3), (1, 1)])
def test_a_place_that_cannot_be_true_is_a_whole_message(place: tuple[int, int]) -> None:
    """Part 3 of 2, part 0, 0 parts: the text is shown rather than waited for."""
    body = bytes((5, 0, 3, 9, *place)) + b"hi"
    found = Joiner().add(DeliverSm(esm_class=ESM_UDHI, short_message=body), 0)
    assert found is not None
    assert found.text == "hi"


def test_a_total_of_two_octets_is_true_only_as_far_as_one_octet_goes() -> None:
    """Some senders pad the sar TLVs; SMPP 3.4 §5.3.2.23 knows at most 255 parts."""
    for total, is_part in ((3, True), (255, True), (256, False), (65_535, False)):
        numbers = ((Tag.SAR_TOTAL_SEGMENTS, total), (Tag.SAR_SEGMENT_SEQNUM, 2))
        padded = tuple((tag, number.to_bytes(2, "big")) for tag, number in numbers)
        request = DeliverSm(short_message=b"hi", tlvs=((Tag.SAR_MSG_REF_NUM, b"\0\1"), *padded))
        place = place_of(request)
        assert place == (("sar", 1, total, 2) if is_part else None)


def test_parts_of_different_codings_are_decoded_each_in_its_own() -> None:
    """Some phones change the coding from part to part."""
    first, second = parts_of("a" * 200)
    other = msgspec.structs.replace(
        second, data_coding=8, short_message=second.short_message[:6] + "优".encode("utf-16-be")
    )
    joiner = Joiner()
    joiner.add(first, 0)
    found = joiner.add(other, 0)
    assert found is not None
    assert found.text == "a" * 153 + "优"


def test_more_than_255_parts_are_refused_in_every_way() -> None:
    """The numbers have one octet; message_payload has 65,535."""
    for method in ("udh8", "udh16", "sar"):
        with pytest.raises(ValueError, match="at most 255"):
            parts_of("a" * 153 * 256, method)  # type: ignore[arg-type]


def test_parts_without_a_body_cost_memory_too() -> None:
    """A peer cannot keep millions of empty parts, nor hide octets elsewhere."""
    fat: dict[str, Any] = {"tlvs": ((0x1400, bytes(10_000)),)}
    for fields in ({}, fat, {"tlvs": ((0x1400, b""),) * 100}, {"source_addr": b"1" * 10_000}):
        joiner = Joiner(max_octets=100_000)
        for reference in range(256):
            body = bytes((5, 0, 3, reference, 255, 1))
            joiner.add(DeliverSm(esm_class=ESM_UDHI, short_message=body, **fields), 0)
        assert len(joiner) < 100_000 / (PART_OCTETS + 10_000 * bool(fields))
        assert joiner.octets <= 100_000


def test_a_finished_message_is_remembered_without_its_long_addresses() -> None:
    """Ten thousand of them with 64 KiB each would be 640 MB; the parts still find each other."""
    joiner = Joiner()
    parts = [
        msgspec.structs.replace(part, source_addr=b"1" * 60_000, destination_addr=b"2" * 65)
        for part in parts_of("a" * 200)
    ]
    assert [joiner.add(part, 0) is None for part in parts] == [True, False]
    (key,) = joiner._finished
    assert max(len(each) for each in key if isinstance(each, bytes)) <= 64


def test_a_part_knows_when_its_message_began() -> None:
    """While it is unfinished, and when a part comes again behind the last one."""
    joiner = Joiner()
    first, second = parts_of("a" * 200)
    assert joiner.since(first) is None
    joiner.add(second, 10)
    assert joiner.since(first) == 10
    joiner.add(first, 20)
    assert joiner.since(second) == 10
    joiner.expire(1e9)
    assert joiner.since(second) is None
