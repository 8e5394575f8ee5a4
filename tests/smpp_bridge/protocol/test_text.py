"""Texts, encodings, segments, replies."""

from __future__ import annotations

import pytest
import smpplib.gsm
from hypothesis import assume, given
from hypothesis import strategies as st

from smpp_bridge.protocol import gsm7
from smpp_bridge.protocol.keywords import classify_reply
from smpp_bridge.protocol.text import (
    concatenation_of,
    decode_text,
    encode_text,
    segments_of,
    split_udh,
)

GSM_TEXT = st.text(st.sampled_from(sorted(gsm7.SEPTETS)), max_size=500)
ANY_TEXT = st.text(st.characters(exclude_categories=("Cs",)), max_size=300)


def joined(text: str) -> str:
    """What a handset shows: parts decoded one by one, in order."""
    encoded = encode_text(text, reference=9)
    pieces = []
    for number, part in enumerate(encoded.parts, 1):
        body = part
        if encoded.has_udh:
            header, body = split_udh(part)
            assert concatenation_of(header) == (9, len(encoded.parts), number)
        pieces.append(decode_text(body, encoded.data_coding))
    return "".join(pieces)


@given(st.one_of(GSM_TEXT, ANY_TEXT))
def test_every_text_arrives_as_written(text: str) -> None:
    """Encoding, cutting, joining and decoding give the text back; no part is too long."""
    assert joined(text) == text
    encoded = encode_text(text)
    assert len(encoded.parts) == segments_of(text).segments
    limit = 160 if encoded.encoding == "gsm7" and not encoded.has_udh else 159
    limit = 140 if encoded.encoding == "ucs2" else limit
    assert all(len(part) <= limit for part in encoded.parts)


@given(GSM_TEXT)
def test_gsm_octets_equal_those_of_smpplib(text: str) -> None:
    """An independent table of GSM 03.38 gives the same octets."""
    assume("_" not in text and "§" not in text and "\f" not in text)  # known faults of smpplib
    expected = b"".join(smpplib.gsm.gsm_encode(character) for character in text)
    assert b"".join(gsm7.SEPTETS[character] for character in text) == expected


@pytest.mark.parametrize(
    ("text", "encoding", "segments"),
    [
        ("", "gsm7", 1),
        ("a" * 160, "gsm7", 1),
        ("a" * 161, "gsm7", 2),
        ("€" * 80, "gsm7", 1),
        ("€" * 81, "gsm7", 2),
        ("a" * 306, "gsm7", 2),
        ("a" * 307, "gsm7", 3),
        ("优" * 70, "ucs2", 1),
        ("优" * 71, "ucs2", 2),
        ("优" * 134, "ucs2", 2),
        ("优" * 135, "ucs2", 3),
        ("😀" * 35, "ucs2", 1),
        ("😀" * 67, "ucs2", 3),
    ],
)
def test_segments_follow_the_standard(text: str, encoding: str, segments: int) -> None:
    """160/153 septets and 70/67 units; escape and surrogate pairs are never torn."""
    found = segments_of(text)
    assert (found.encoding, found.segments) == (encoding, segments)


def test_a_text_beyond_255_parts_is_refused() -> None:
    """The part number has one octet."""
    with pytest.raises(ValueError, match="at most 255"):
        encode_text("a" * 153 * 256)


@given(st.binary(max_size=200), st.integers(0, 255))
def test_decoding_never_raises(data: bytes, coding: int) -> None:
    """Whatever stands in a short_message, there is a text."""
    assert isinstance(decode_text(data, coding), str)


@pytest.mark.parametrize(
    ("text", "wish"),
    [
        ("STOP", "opt_out"),
        (" stop. ", "opt_out"),
        ("Opt out", "opt_out"),
        ("stop sending me this", "opt_out"),
        ("R", "opt_out"),
        ("TD", "opt_out"),
        ("退订", "opt_out"),
        ("UNSTOP", "opt_in"),
        ("HELP", "help"),
        ("r u there", None),
        ("ok thanks", None),
        ("", None),
    ],
)
def test_replies_are_classified(text: str, wish: str | None) -> None:
    """Opt-out words of several languages are found despite case and punctuation."""
    assert classify_reply(text).wish == wish
