"""The GSM 03.38 default alphabet and its extension table (3GPP 23.038 §6.2.1)."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Final

_ALPHABET: Final = (
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞ\x1bÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_ESCAPE: Final = 0x1B
_ESCAPE_OCTET: Final = b"\x1b"
_EXTENSION: Final = {
    0x0A: "\f",
    0x14: "^",
    0x28: "{",
    0x29: "}",
    0x2F: "\\",
    0x3C: "[",
    0x3D: "~",
    0x3E: "]",
    0x40: "|",
    0x65: "€",
}

SEPTETS: Final[Mapping[str, bytes]] = MappingProxyType(
    {
        **{c: bytes((code,)) for code, c in enumerate(_ALPHABET) if code != _ESCAPE},
        **{c: bytes((_ESCAPE, code)) for code, c in _EXTENSION.items()},
    }
)
"""Character → one septet, or escape and a septet, one per octet."""


_BY_ORDINAL: Final = {ord(character): octets for character, octets in SEPTETS.items()}
_BY_OCTET: Final = _ALPHABET.ljust(256, "\ufffe")
"""U+FFFE: undefined, as `charmap_decode` takes it."""
_ONLY_ALPHABET: Final = re.compile(f"[{re.escape(''.join(SEPTETS))}]*").fullmatch
_EXTENDED: Final = re.compile(f"[{re.escape(''.join(_EXTENSION.values()))}]")


def is_encodable(text: str) -> bool:
    """Whether every character is in the alphabet or its extension."""
    return _ONLY_ALPHABET(text) is not None


def septets_in(text: str) -> int:
    """Septets of an encodable text: two for a character of the extension.

    Examples:
        >>> septets_in("10 €")
        5
    """
    return len(text) + len(_EXTENDED.findall(text))


def encode(text: str) -> bytes:
    """Text → octets with one septet each.

    Raises:
        ValueError: If a character is not in the alphabet.
    """
    try:
        return codecs.charmap_encode(text, "strict", _BY_ORDINAL)[0]
    except UnicodeEncodeError as error:
        raise ValueError(f"{text[error.start]!r} is not in the GSM alphabet, must be.") from error


def decode(data: bytes) -> str:
    """Octets with one septet each → text; octets above 0x7F and unknown escapes become U+FFFD."""
    first, *escaped = data.split(_ESCAPE_OCTET)
    if not escaped:
        return _plain(first)
    return _plain(first) + "".join(_after_escapes(escaped))


def _after_escapes(pieces: list[bytes]) -> Iterator[str]:
    """The text of what follows each escape; an escape at the end says nothing."""
    is_escaped = True
    for number, piece in enumerate(pieces, 1):
        if not is_escaped:  # the escape before this piece was itself escaped
            yield _plain(piece)
            is_escaped = True
        elif piece:
            yield _EXTENSION.get(piece[0], "\ufffd") + _plain(piece[1:])
        elif number < len(pieces):
            yield "\ufffd"
            is_escaped = False


def _plain(data: bytes) -> str:
    return codecs.charmap_decode(data, "replace", _BY_OCTET)[0]
