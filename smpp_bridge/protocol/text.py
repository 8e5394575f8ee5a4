"""Message text ⇄ octets: GSM 03.38 default alphabet, UCS-2, concatenation by UDH, segments.

The same code counts segments for a preview and encodes them for the wire, so a preview is
never wrong. data_coding 0 carries one GSM septet per octet (SMPP convention, unpacked).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

from smpp_bridge.protocol import gsm7

Encoding = Literal["gsm7", "ucs2"]

GSM7_CODING: Final = 0
UCS2_CODING: Final = 8
_SINGLE: Final[dict[Encoding, int]] = {"gsm7": 160, "ucs2": 70}
"""GSM 03.40 §9.2.3.24.1: 140 octets = 160 septets = 70 UTF-16 units."""
_CONCATENATED: Final[dict[Encoding, int]] = {"gsm7": 153, "ucs2": 67}
"""The same less 6 octets of UDH (7 septets, as fill bits align to a septet)."""
MAX_PARTS: Final = 255
_UNICODE_HINT: Final = "utf-16-be"


@dataclass(frozen=True, slots=True)
class Segmentation:
    """How a text is billed. `units` are septets (gsm7) or UTF-16 units (ucs2)."""

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


def segments_of(text: str) -> Segmentation:
    """Encoding, billed segments and units of a text.

    Examples:
        >>> segments_of("Hello").segments, segments_of("a" * 161).segments
        (1, 2)
        >>> segments_of("优惠券" * 24)
        Segmentation(encoding='ucs2', segments=2, units=72)
    """
    encoding = encoding_of(text)
    return Segmentation(encoding, len(_split(text, encoding)), _units(text, encoding))


def encoding_of(text: str) -> Encoding:
    """`gsm7` when every character is in the default alphabet or its extension."""
    return "gsm7" if all(character in gsm7.SEPTETS for character in text) else "ucs2"


def encode_text(text: str, *, reference: int = 0) -> EncodedText:
    """Encode a text into one or several short messages.

    Args:
        text: Any text of at most 255 parts.
        reference: Concatenation reference, 0-255, the same for all parts.

    Raises:
        ValueError: If the text needs more than 255 parts.
    """
    encoding = encoding_of(text)
    bodies = [_octets(piece, encoding) for piece in _split(text, encoding)]
    if len(bodies) > MAX_PARTS:
        raise ValueError(f"text needs {len(bodies)} parts, must be at most {MAX_PARTS}.")
    coding = GSM7_CODING if encoding == "gsm7" else UCS2_CODING
    if len(bodies) > 1:
        bodies = [
            bytes((5, 0, 3, reference & 0xFF, len(bodies), number)) + body
            for number, body in enumerate(bodies, 1)
        ]
    return EncodedText(encoding, coding, tuple(bodies))


def split_udh(data: bytes) -> tuple[bytes, bytes]:
    """User data header (without its length octet) and the rest. A lying length gives no header."""
    if not data or data[0] + 1 > len(data):
        return b"", data
    return data[1 : data[0] + 1], data[data[0] + 1 :]


def concatenation_of(header: bytes) -> tuple[int, int, int] | None:
    """(reference, total, number) of a UDH: element 0x00 or 0x08 (3GPP 23.040 §9.2.3.24)."""
    position = 0
    while position + 2 <= len(header):
        element, length = header[position], header[position + 1]
        value = header[position + 2 : position + 2 + length]
        if element == 0x00 and len(value) == 3:
            return value[0], value[1], value[2]
        if element == 0x08 and len(value) == 4:
            return int.from_bytes(value[:2], "big"), value[2], value[3]
        position += 2 + length
    return None


def decode_text(data: bytes, data_coding: int) -> str:
    """Decode short_message octets (without UDH); never raises, undecodable octets become U+FFFD."""
    alphabet = _alphabet(data_coding)
    if alphabet == "gsm7":
        return gsm7.decode(data)
    if alphabet == _UNICODE_HINT and len(data) % 2:
        data = data[:-1]  # an odd tail octet is a known vendor fault
    return data.decode(alphabet, "replace")


def _alphabet(data_coding: int) -> str:
    """3GPP 23.038 §4 groups on top of SMPP 3.4 §5.2.19 values."""
    if data_coding & 0xF0 == 0xF0:
        return "latin-1" if data_coding & 0x04 else "gsm7"
    if data_coding in (0x08, 0x18) or data_coding & 0xF0 == 0xE0:
        return _UNICODE_HINT
    return {0x01: "ascii", 0x03: "latin-1", 0x04: "latin-1", 0x06: "iso8859_5"}.get(
        data_coding, "gsm7"
    )


def _units(text: str, encoding: Encoding) -> int:
    return sum(_width(character, encoding) for character in text)


def _width(character: str, encoding: Encoding) -> int:
    if encoding == "gsm7":
        return len(gsm7.SEPTETS[character])
    return 2 if ord(character) > 0xFFFF else 1


def _split(text: str, encoding: Encoding) -> list[str]:
    if _units(text, encoding) <= _SINGLE[encoding]:
        return [text]
    return list(_pieces(text, encoding, _CONCATENATED[encoding]))


def _pieces(text: str, encoding: Encoding, limit: int) -> Iterator[str]:
    """Cut so that neither an escape pair nor a surrogate pair is torn."""
    start, used = 0, 0
    for position, character in enumerate(text):
        width = _width(character, encoding)
        if used + width > limit:
            yield text[start:position]
            start, used = position, 0
        used += width
    yield text[start:]


def _octets(text: str, encoding: Encoding) -> bytes:
    if encoding == "gsm7":
        return b"".join([gsm7.SEPTETS[character] for character in text])
    return text.encode(_UNICODE_HINT, "surrogatepass")
