"""Texts, encodings, segments."""

from __future__ import annotations

from typing import Any, get_args

import pytest
import smpplib.gsm
from hypothesis import assume, given
from hypothesis import strategies as st

from smpp_bridge.protocol import gsm7
from smpp_bridge.protocol.text import (
    AnyEncoding,
    Encoding,
    concatenation_of,
    decode_text,
    encode_binary,
    encode_text,
    encoding_of,
    encoding_of_coding,
    segments_of,
    split_text,
    split_udh,
)


def repeated(characters: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Texts of which most have several parts."""
    return st.builds(lambda t, n: t * n, st.text(characters, max_size=40), st.integers(1, 20))


GSM_TEXT = repeated(st.sampled_from(sorted(gsm7.SEPTETS)))
ANY_TEXT = repeated(st.characters(exclude_categories=("Cs",)))


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


FIRST_TEMPLATE = "亲爱的{}，您有一份来自{}的优惠券，快点击链接领取吧！"
ENGLISH = "Hi Anna, 20% off everything in our shop this weekend only. Reply STOP to opt out"


@pytest.mark.parametrize(
    ("text", "encoding", "units", "parts"),
    [
        ("a" * 160, "gsm7", 160, [160]),
        ("a" * 161, "gsm7", 161, [153, 8]),
        ("€" * 80, "gsm7", 160, [160]),
        ("€" * 81, "gsm7", 162, [152, 10]),
        ("优" * 70, "ucs2", 70, [70]),
        ("优" * 72, "ucs2", 72, [67, 5]),
        ("😀" * 35, "ucs2", 70, [70]),
        ("😀" * 37, "ucs2", 74, [66, 8]),
        ("a" * 152 + "€" + "a" * 10, "gsm7", 164, [152, 12]),
        ("a" + "]" * 55 + "😘", "ucs2", 58, [58]),
        ("Don’t", "ucs2", 5, [5]),
        ("éèàñ{}", "gsm7", 8, [8]),
        (FIRST_TEMPLATE.format("小明", "云店"), "ucs2", 28, [28]),
        ("【云店】" + FIRST_TEMPLATE.format("小明", "云店") + "拒收请回复R", "ucs2", 38, [38]),
        (ENGLISH, "gsm7", 80, [80]),
    ],
)
def test_the_golden_segments(text: str, encoding: str, units: int, parts: list[int]) -> None:
    """Published cases: what is billed, and where the cut is."""
    found = segments_of(text)
    assert (found.encoding, found.units, found.segments) == (encoding, units, len(parts))
    width = 2 if encoding == "ucs2" else 1
    header = 6 if len(parts) > 1 else 0
    sizes = [(len(part) - header) // width for part in encode_text(text).parts]
    assert sizes == parts


def test_every_character_of_the_gsm_alphabet_survives() -> None:
    """All 127 of the default alphabet and the 10 of its extension (3GPP 23.038 §6.2.1)."""
    assert len(gsm7.SEPTETS) == 137
    for character, septets in gsm7.SEPTETS.items():
        assert decode_text(septets, 0) == character
    special = {"@": 0x00, "_": 0x11, "§": 0x5F, "à": 0x7F, "Ç": 0x09, "¡": 0x40, "¿": 0x60}
    for character, septet in special.items():
        assert gsm7.SEPTETS[character] == bytes((septet,))
    assert gsm7.SEPTETS["€"] == b"\x1b\x65"


@pytest.mark.parametrize("character", "çê`\t’“…")
def test_what_the_gsm_alphabet_lacks_makes_ucs2(character: str) -> None:
    """One such character costs 90 of 160."""
    assert encoding_of(character) == "ucs2"


@given(st.text(st.characters(max_codepoint=255), min_size=1, max_size=400), st.sampled_from((6, 7)))
def test_latin_1_arrives_as_written(text: str, header: int) -> None:
    """140 octets in one part, 134 or 133 in each of several."""
    encoded = encode_text(text, encoding="latin1", reference=300, is_reference_wide=header == 7)
    assert encoded.data_coding == 3
    assert all(len(part) <= 140 for part in encoded.parts)
    bodies = [split_udh(p)[1] if encoded.has_udh else p for p in encoded.parts]
    assert "".join(decode_text(body, 3) for body in bodies) == text


@given(st.binary(max_size=500))
def test_binary_arrives_as_written(data: bytes) -> None:
    """Octets are cut and headed, and otherwise left alone."""
    parts = encode_binary(data, reference=7)
    bodies = [split_udh(part)[1] for part in parts] if len(parts) > 1 else list(parts)
    assert b"".join(bodies) == data
    assert all(len(part) <= 140 for part in parts)


def test_a_wide_reference_costs_one_more_octet() -> None:
    """152 septets and 66 UTF-16 units in a part; the reference has 16 bits."""
    part = encode_text("a" * 200, reference=0x1234, is_reference_wide=True).parts[0]
    header, body = split_udh(part)
    assert concatenation_of(header) == (0x1234, 2, 1)
    assert len(body) == 152
    part = encode_text("优" * 100, reference=1, is_reference_wide=True).parts[0]
    assert len(split_udh(part)[1]) == 2 * 66


def test_what_is_not_in_an_encoding_is_refused() -> None:
    """Asking for an encoding that cannot hold the text is the caller's mistake."""
    for encoding in ("gsm7", "latin1"):
        with pytest.raises(ValueError, match=r"GSM|latin-1"):
            encode_text("优", encoding=encoding)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("coding", "encoding"),
    [
        (0x00, "gsm7"),
        (0x01, "ascii"),
        (0x03, "latin1"),
        (0x04, "binary"),
        (0x08, "ucs2"),
        (0x10, "gsm7"),
        (0x14, "binary"),
        (0x18, "ucs2"),
        (0x30, "binary"),
        (0xC0, "gsm7"),
        (0xD8, "gsm7"),
        (0xE0, "ucs2"),
        (0xF0, "gsm7"),
        (0xF5, "binary"),
    ],
)
def test_data_codings_of_every_group(coding: int, encoding: str) -> None:
    """SMPP's table below 0x10, the groups of 3GPP 23.038 §4 above: flash, waiting, classes."""
    assert encoding_of_coding(coding) == encoding


@pytest.mark.parametrize(
    ("data", "coding", "default", "text"),
    [
        (b"caf\xe9", 0, "latin1", "café"),
        ("优".encode("utf-16-be"), 0, "ucs2", "优"),
        (b"\xff\xfe" + "优".encode("utf-16-le"), 8, "gsm7", "优"),
        (b"\xfe\xff" + "优".encode("utf-16-be"), 8, "gsm7", "优"),
        ("优".encode("utf-16-be") + b"\0", 8, "gsm7", "优"),
        (b"\xd8\x3d", 8, "gsm7", "\ufffd"),
        (b"\x1b\x65\x11\x5f\x00", 0, "gsm7", "€_§@"),
    ],
)
def test_what_vendors_send_is_read(data: bytes, coding: int, default: Any, text: str) -> None:
    """The default alphabet differs; byte order marks, odd tails and torn pairs occur."""
    assert decode_text(data, coding, default) == text


@pytest.mark.parametrize(
    "data", [b"", b"\xff", b"\x05\x00\x03\x01\x02", b"\x02\x00\x03abc", b"id:1"]
)
def test_a_header_that_lies_is_no_header(data: bytes) -> None:
    """The text is not cut by a flag alone; the elements must fill the header."""
    assert split_udh(data) == (b"", data)


@given(st.binary() | st.lists(st.sampled_from([0x1B, 0x65, 0x41, 0xFF])).map(bytes))
def test_septets_are_read_as_one_octet_after_the_other(data: bytes) -> None:
    """Oracle: 3GPP 23.038 §6.2.1.1, an escape changes the meaning of the next octet."""
    text, is_escaped = "", False
    by_octets = {octets: character for character, octets in gsm7.SEPTETS.items()}
    for octet in data:
        if is_escaped:
            text += by_octets.get(bytes((0x1B, octet)), "\ufffd")
            is_escaped = False
        elif octet == 0x1B:
            is_escaped = True
        else:
            text += by_octets.get(bytes((octet,)), "\ufffd")
    assert gsm7.decode(data) == text


@given(st.text(st.sampled_from("ab€[😀优"), max_size=600), st.sampled_from(["gsm7", "ucs2"]))
def test_pieces_are_the_same_with_and_without_pairs(text: str, encoding: Encoding) -> None:
    """Every piece but the last is full, or one short before a pair that would be torn."""
    pieces = split_text(text, encoding)
    assert "".join(pieces) == text
    if len(pieces) > 1:
        limit = 153 if encoding == "gsm7" else 67
        sizes = [segments_of(piece, encoding).units for piece in pieces]
        assert all(limit - 1 <= size <= limit for size in sizes[:-1])


DEFAULTS = get_args(AnyEncoding)


@given(
    st.text(st.characters(codec="utf-16", exclude_categories=("Cs",))), st.sampled_from(DEFAULTS)
)
def test_an_smsc_reads_what_was_written_whatever_its_zero_means(
    text: str, default: AnyEncoding
) -> None:
    """Its own octets under data_coding 0, or a data_coding that means the same everywhere."""
    assume(not set(text) & {"\ufeff", "\ufffe"})  # byte order marks are no text
    encoded = encode_text(text, reference=1, default=default)
    bodies = [split_udh(part)[1] if encoded.has_udh else part for part in encoded.parts]
    read = "".join(decode_text(body, encoded.data_coding, default) for body in bodies)
    assert read == text
    assert encoded.data_coding in {0, 8}
    assert all(len(part) <= 160 for part in encoded.parts)


@pytest.mark.parametrize(
    ("text", "default", "coding", "octets"),
    [
        ("a@_", "gsm7", 0, b"a\x00\x11"),
        ("a@_£", "latin1", 0, b"a@_\xa3"),
        ("a@_", "ascii", 0, b"a@_"),
        ("é", "ascii", 8, b"\x00\xe9"),
        ("€", "latin1", 8, b"\x20\xac"),
        ("ê", "latin1", 8, b"\x00\xea"),
        ("a@", "utf8", 0, b"a@"),
        ("é", "utf8", 8, b"\x00\xe9"),
        ("a", "ucs2", 8, b"\x00a"),
        ("a", "binary", 8, b"\x00a"),
        ("优", "latin1", 8, b"\x4f\x18"),
    ],
)
def test_a_gsm_text_goes_out_in_the_octets_of_the_smsc(
    text: str, default: AnyEncoding, coding: int, octets: bytes
) -> None:
    """Where it has one octet for each character; data_coding 8 says for itself what it is."""
    encoded = encode_text(text, default=default)
    assert (encoded.data_coding, encoded.parts) == (coding, (octets,))


def test_parts_are_as_long_as_the_phone_gets_them() -> None:
    """The SMSC makes GSM-7 of Latin-1: 160 characters, or 153 each, escape pairs counted twice."""
    assert len(encode_text("a" * 160, default="latin1").parts) == 1
    parts = encode_text("[" * 80 + "a", default="latin1").parts
    assert [len(part) - 6 for part in parts] == [76, 5]
