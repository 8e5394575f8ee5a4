"""The GSM 03.38 default alphabet and its extension table (3GPP 23.038 §6.2.1)."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

_ALPHABET: Final = (
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞ\x1bÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_ESCAPE: Final = 0x1B
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


def decode(data: bytes) -> str:
    """Octets with one septet each → text; octets above 0x7F and unknown escapes become U+FFFD."""
    text: list[str] = []
    is_escaped = False
    for octet in data:
        if is_escaped:
            text.append(_EXTENSION.get(octet, "�"))
            is_escaped = False
        elif octet == _ESCAPE:
            is_escaped = True
        else:
            text.append(_ALPHABET[octet] if octet < 0x80 else "�")
    return "".join(text)
