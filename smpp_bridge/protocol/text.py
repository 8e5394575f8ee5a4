"""Message text ⇄ octets: GSM 03.38 default alphabet, Latin-1, UCS-2, binary; segments, UDH.

The same code counts segments for a preview and encodes them for the wire, so a preview is
never wrong. data_coding 0 carries one GSM septet per octet (SMPP convention, unpacked).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

from smpp_bridge.protocol import gsm7
from smpp_bridge.protocol.constants import ESM_UDHI, Tag
from smpp_bridge.protocol.pdu import DataSm, Message

Encoding = Literal["gsm7", "latin1", "ucs2"]
AnyEncoding = Literal[
    "gsm7",
    "latin1",
    "ucs2",
    "ascii",
    "binary",
    "iso8859_5",
    "iso8859_8",
    "shift_jis",
    "euc_kr",
    "utf8",
]
"""`utf8` has no data_coding; some SMSCs send it under 0."""

GSM7_CODING: Final = 0
LATIN1_CODING: Final = 3
BINARY_CODING: Final = 4
UCS2_CODING: Final = 8
CODINGS: Final[dict[Encoding, int]] = {
    "gsm7": GSM7_CODING,
    "latin1": LATIN1_CODING,
    "ucs2": UCS2_CODING,
}
"""SMPP 3.4 §5.2.19."""
USER_DATA_OCTETS: Final = 140
"""GSM 03.40 §9.2.3.24: of one short message, its UDH included."""
MAX_PARTS: Final = 255
_UNICODE: Final = "utf-16-be"
_UNDER_ZERO: Final[dict[AnyEncoding, str]] = {
    "latin1": "latin-1",
    "ascii": "ascii",
    "utf8": "ascii",
    "iso8859_5": "ascii",
    "iso8859_8": "ascii",
}
"""Default of an SMSC → codec whose one-octet characters may go out under data_coding 0."""
_SMPP_CODINGS: Final[dict[int, AnyEncoding]] = {
    0x00: "gsm7",
    0x01: "ascii",
    0x02: "binary",
    0x03: "latin1",
    0x04: "binary",
    0x05: "shift_jis",
    0x06: "iso8859_5",
    0x07: "iso8859_8",
    0x08: "ucs2",
    0x0E: "euc_kr",
}
_GROUP_CODINGS: Final[dict[int, AnyEncoding]] = {0x00: "gsm7", 0x04: "binary", 0x08: "ucs2"}
"""3GPP 23.038 §4, bits 3-2 of the general groups."""


@dataclass(frozen=True, slots=True)
class Segmentation:
    """How a text is billed. `units` are septets (gsm7), octets or UTF-16 units (ucs2)."""

    encoding: Encoding
    segments: int
    units: int


@dataclass(frozen=True, slots=True)
class EncodedText:
    """What goes on the wire: one `short_message` per part, each with its UDH when several."""

    encoding: Encoding
    data_coding: int
    parts: tuple[bytes, ...]

    @property
    def has_udh(self) -> bool:
        """Whether esm_class needs the UDHI flag."""
        return len(self.parts) > 1


def segments_of(text: str, encoding: Encoding | None = None) -> Segmentation:
    """Encoding, billed segments and units of a text.

    Examples:
        >>> segments_of("Hello").segments, segments_of("a" * 161).segments
        (1, 2)
        >>> segments_of("优惠券" * 24)
        Segmentation(encoding='ucs2', segments=2, units=72)
    """
    encoding = encoding or encoding_of(text)
    return Segmentation(encoding, len(split_text(text, encoding)), _units(text, encoding))


def encoding_of(text: str) -> Encoding:
    """`gsm7` when every character is in the default alphabet or its extension, else `ucs2`."""
    return "gsm7" if gsm7.is_encodable(text) else "ucs2"


def encode_text(
    text: str,
    *,
    reference: int = 0,
    encoding: Encoding | None = None,
    is_reference_wide: bool = False,
    default: AnyEncoding = "gsm7",
) -> EncodedText:
    """Encode a text into one or several short messages.

    An SMSC whose data_coding 0 is no GSM-7 gets the characters in its own octets where it has
    one for each, else UCS-2. Parts stay as long as GSM-7 allows: phones get that in any case.

    Args:
        text: Any text of at most 255 parts.
        reference: Concatenation reference, the same for all parts; 0-255, or 0-65535 when wide.
        encoding: Chosen by the text unless given; Latin-1 must be asked for.
        is_reference_wide: A 16-bit reference, which costs one more octet per part.
        default: What data_coding 0 means at this SMSC.

    Raises:
        ValueError: If the text needs more than 255 parts, or is not in the encoding.
    """
    encoding = encoding or encoding_of(text)
    if encoding == "gsm7" and default != "gsm7" and not _fits(text, default):
        encoding = "ucs2"
    codec = _UNDER_ZERO.get(default) if encoding == "gsm7" else None
    header_octets = 7 if is_reference_wide else 6
    bodies = [
        octets_of(piece, encoding) if codec is None else piece.encode(codec)
        for piece in split_text(text, encoding, header_octets)
    ]
    return EncodedText(
        encoding,
        CODINGS[encoding],
        _with_headers(bodies, reference, is_reference_wide=is_reference_wide),
    )


def _fits(text: str, default: AnyEncoding) -> bool:
    """Whether every character has one octet under data_coding 0."""
    try:
        text.encode(_UNDER_ZERO[default])
    except (KeyError, UnicodeEncodeError):
        return False
    return True


def encode_binary(
    data: bytes, *, reference: int = 0, is_reference_wide: bool = False
) -> tuple[bytes, ...]:
    """Octets (data_coding 4) as the short messages of one or several parts.

    Raises:
        ValueError: If they need more than 255 parts.
    """
    size = USER_DATA_OCTETS
    if len(data) > size:
        size -= 7 if is_reference_wide else 6
    bodies = [data[start : start + size] for start in range(0, len(data), size)] or [b""]
    return _with_headers(bodies, reference, is_reference_wide=is_reference_wide)


def split_text(text: str, encoding: Encoding, header_octets: int = 6) -> list[str]:
    """The pieces that fit into one part each; `header_octets` are the UDH's, when several."""
    if _units(text, encoding) <= _capacity(encoding, 0):
        return [text]
    return list(_pieces(text, encoding, _capacity(encoding, header_octets)))


def octets_of(text: str, encoding: Encoding) -> bytes:
    """The octets of a text.

    Raises:
        ValueError: If it is not in the encoding.
    """
    if encoding == "ucs2":
        return text.encode(_UNICODE, "surrogatepass")
    if encoding == "latin1":
        return text.encode("latin-1")
    return gsm7.encode(text)


def split_udh(data: bytes) -> tuple[bytes, bytes]:
    """User data header (without its length octet) and the rest.

    A length that lies, or elements that do not fill the header, give no header.
    """
    if not data or data[0] + 1 > len(data):
        return b"", data
    header = data[1 : data[0] + 1]
    is_sound = sum(2 + len(value) for _, value in elements_of(header)) == len(header)
    return (header, data[data[0] + 1 :]) if is_sound else (b"", data)


def elements_of(header: bytes) -> list[tuple[int, bytes]]:
    """(identifier, value) of the whole information elements of a UDH."""
    elements, position = [], 0
    while position + 2 <= len(header):
        end = position + 2 + header[position + 1]
        if end > len(header):
            break
        elements.append((header[position], header[position + 2 : end]))
        position = end
    return elements


def concatenation_of(header: bytes) -> tuple[int, int, int] | None:
    """(reference, total, number) of a UDH: element 0x00 or 0x08 (3GPP 23.040 §9.2.3.24)."""
    for identifier, value in elements_of(header):
        if (identifier, len(value)) in {(0x00, 3), (0x08, 4)}:
            return int.from_bytes(value[:-2], "big"), value[-2], value[-1]
    return None


def data_of(request: Message | DataSm) -> tuple[bytes, bytes]:
    """(UDH, body) of a message: short_message, or message_payload when that is empty."""
    data = request.short_message if isinstance(request, Message) else b""
    data = data or request.tlv(Tag.MESSAGE_PAYLOAD) or b""
    return split_udh(data) if request.esm_class & ESM_UDHI else (b"", data)


def body_of(request: Message | DataSm, default: AnyEncoding = "gsm7") -> str:
    """The text of a message, UDH cut off."""
    return decode_text(data_of(request)[1], request.data_coding, default)


def decode_text(data: bytes, data_coding: int, default: AnyEncoding = "gsm7") -> str:
    """Decode short_message octets (without UDH); never raises, undecodable octets become U+FFFD.

    `default`: what data_coding 0 means at this SMSC; Latin-1 and UCS-2 occur.
    """
    encoding = encoding_of_coding(data_coding, default)
    if encoding == "gsm7":
        return gsm7.decode(data)
    if encoding == "ucs2":
        return _decode_ucs2(data)
    return data.decode("latin-1" if encoding == "binary" else encoding, "replace")


def encoding_of_coding(data_coding: int, default: AnyEncoding = "gsm7") -> AnyEncoding:
    """What a data_coding stands for: SMPP 3.4 §5.2.19, and the groups of 3GPP 23.038 §4."""
    if data_coding == 0:
        return default
    if data_coding < 0x10:
        return _SMPP_CODINGS.get(data_coding, default)
    if data_coding < 0x80:  # general group; 0x10 and 0x18 are flash messages
        is_compressed = bool(data_coding & 0x20)
        return "binary" if is_compressed else _GROUP_CODINGS.get(data_coding & 0x0C, default)
    if data_coding >= 0xF0:
        return "binary" if data_coding & 0x04 else "gsm7"
    return "ucs2" if data_coding >= 0xE0 else "gsm7"


def _decode_ucs2(data: bytes) -> str:
    codec = _UNICODE
    if data[:2] in {b"\xff\xfe", b"\xfe\xff"}:  # a byte order mark is no text
        codec = "utf-16-le" if data[:1] == b"\xff" else _UNICODE
        data = data[2:]
    even = len(data) & ~1  # an odd tail octet is a known vendor fault
    return data[:even].decode(codec, "replace")


def _with_headers(
    bodies: list[bytes], reference: int, *, is_reference_wide: bool
) -> tuple[bytes, ...]:
    if len(bodies) > MAX_PARTS:
        raise ValueError(f"text needs {len(bodies)} parts, must be at most {MAX_PARTS}.")
    if len(bodies) == 1:
        return tuple(bodies)
    if is_reference_wide:
        start = b"\x06\x08\x04" + (reference & 0xFFFF).to_bytes(2, "big")
    else:
        start = b"\x05\x00\x03" + bytes((reference & 0xFF,))
    return tuple(
        start + bytes((len(bodies), number)) + body for number, body in enumerate(bodies, 1)
    )


def _capacity(encoding: Encoding, header_octets: int) -> int:
    """Units of one part: 160 or 153 septets, 70 or 67 UTF-16 units, 140 or 134 octets."""
    octets = USER_DATA_OCTETS - header_octets
    if encoding == "gsm7":
        return octets * 8 // 7
    return octets // 2 if encoding == "ucs2" else octets


def _units(text: str, encoding: Encoding) -> int:
    if encoding == "gsm7":
        return gsm7.septets_in(text)
    return len(text.encode(_UNICODE, "surrogatepass")) // 2 if encoding == "ucs2" else len(text)


def _width(character: str, encoding: Encoding) -> int:
    if encoding == "gsm7":
        return len(gsm7.SEPTETS.get(character, b"?"))
    return 2 if encoding == "ucs2" and ord(character) > 0xFFFF else 1


def _pieces(text: str, encoding: Encoding, limit: int) -> Iterator[str]:
    """Cut so that neither an escape pair nor a surrogate pair is torn."""
    if _units(text, encoding) == len(text):  # no pairs
        yield from (text[start : start + limit] for start in range(0, len(text), limit))
        return
    start, used = 0, 0
    for position, character in enumerate(text):
        width = _width(character, encoding)
        if used + width > limit:
            yield text[start:position]
            start, used = position, 0
        used += width
    yield text[start:]
