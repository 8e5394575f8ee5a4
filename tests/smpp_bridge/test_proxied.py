"""Names and tags of passing messages, without sockets."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.codec import decode
from schemas.codec import encode as as_record
from smpp_bridge.configuration import ContentTag
from smpp_bridge.protocol.constants import Tag
from smpp_bridge.protocol.pdu import SubmitSm
from smpp_bridge.proxied import LONG_MS, Clerk, Recent, Tagger
from tests.support.bridge import TOKENIZER


@given(st.lists(st.integers(0, 20)), st.integers(1, 5))
def test_the_newest_entries_are_kept_and_no_more(keys: list[int], size: int) -> None:
    """Bounded memory: exactly the last `size` distinct keys are known."""
    recent: Recent[int, int] = Recent(size)
    for key in keys:
        recent.put(key, key)
    newest = list(dict.fromkeys(reversed(keys)))[:size]
    assert [key for key in range(21) if recent.get(key) is not None] == sorted(newest)
    assert len(recent) == len(newest)


def test_the_first_rule_that_matches_names_the_text() -> None:
    """Text and sender both have to match where both are given."""
    tagger = Tagger(
        [
            ContentTag(tag="both", text=re.compile("sale"), source_addr=re.compile("^1")),
            ContentTag(tag="text", text=re.compile("sale")),
            ContentTag(tag="sender", source_addr=re.compile("^2")),
        ]
    )
    found = [tagger.tag(*each) for each in (("sale", "1"), ("sale", "2"), ("x", "2"), ("x", "3"))]
    assert found == ["both", "text", "sender", None]


@pytest.mark.parametrize(
    ("default", "body"),
    [("gsm7", b"\0sale"), ("latin1", b"@sale"), ("ucs2", "@sale".encode("utf-16-be"))],
)
def test_a_text_is_read_by_what_zero_means_at_the_smsc(default: Any, body: bytes) -> None:
    """The same ESME text is named the same at every operator."""
    tagger = Tagger([ContentTag(tag="t", text=re.compile("^@sale$"))], default)
    assert tagger.tag_of(SubmitSm(short_message=body)) == "t"


def clerk(region: str = "") -> Clerk:
    """One that counts names up from c-1."""
    return Clerk(
        connection="c", tokenizer=TOKENIZER, tagger=Tagger(()), region=region, instance="c"
    )


def part(number: int, reference: int = 7) -> SubmitSm:
    """A part of a message in two parts."""
    header = bytes((5, 0, 3, reference, 2, number))
    return SubmitSm(destination_addr=b"8613800000001", esm_class=0x40, short_message=header + b"x")


def test_a_passing_message_names_the_group_of_its_connection() -> None:
    """As those of the gateway do."""
    grouped = Clerk(
        connection="c",
        connection_group="account",
        tokenizer=TOKENIZER,
        tagger=Tagger(()),
        region="",
        instance="c",
    )
    assert grouped.write_down(part(1), "a", 0).connection_group == "account"


def test_the_type_of_number_of_a_destination_decides_before_the_region() -> None:
    """A passing submit_sm to another country is about that country's person."""
    writer = clerk("CN")
    for ton, digits in ((1, "13012345678"), (0, "8613012345678"), (2, "8613012345678")):
        request = SubmitSm(dest_addr_ton=ton, destination_addr=b"13012345678")
        assert writer.write_down(request, "a", 0).subject == TOKENIZER.token(digits)


def test_a_reference_that_comes_again_later_is_another_message() -> None:
    """References have 8 bits: after five minutes the same one means a new message."""
    writer = clerk()
    times = ((1, 0), (2, 1), (1, LONG_MS + 1), (2, LONG_MS + 2))
    names = [writer.write_down(part(number), "a", at).message_id for number, at in times]
    other = writer.write_down(part(1), "b", 0).message_id
    assert names == ["c-1", "c-1", "c-3", "c-3"]
    assert other == "c-5"


@pytest.mark.parametrize(
    ("request_", "segments", "encoding"),
    [
        (SubmitSm(short_message=b"x" * 160), 1, "gsm7"),
        (SubmitSm(tlvs=((Tag.MESSAGE_PAYLOAD, b"x" * 400),)), 3, "gsm7"),
        (SubmitSm(data_coding=8, tlvs=((Tag.MESSAGE_PAYLOAD, b"\x4f\x18" * 71),)), 2, "ucs2"),
        (SubmitSm(tlvs=((Tag.MESSAGE_PAYLOAD, b"x" * 153 * 255),)), 255, "gsm7"),
        (SubmitSm(tlvs=((Tag.MESSAGE_PAYLOAD, b"x" * 65_535),)), 255, "gsm7"),
    ],
)
def test_segments_are_counted_as_the_operator_will_bill_them(
    request_: SubmitSm, segments: int, encoding: str
) -> None:
    """One PDU with a message_payload may be several segments."""
    fields = {name: getattr(request_, name) for name in request_.__struct_fields__}
    event = clerk().write_down(SubmitSm(**fields | {"destination_addr": b"8613800000001"}), "a", 0)
    assert (event.segments, event.encoding) == (segments, encoding)
    assert decode(as_record(event)) == event
