"""What a trace does not show: the password ever, number and text unless asked for. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import msgspec

from smpp_bridge.protocol import pdu
from smpp_bridge.protocol.codec import PduError, decode, encode
from smpp_bridge.protocol.constants import Tag
from smpp_bridge.protocol.describe import Description, MessageDescription
from smpp_bridge.protocol.describe_body import FieldDescription, TlvDescription

_HEADER: Final = 16
_ADDRESSES: Final = ("source_addr", "destination_addr", "esme_addr")
_SECRET_TAGS: Final = frozenset(
    {Tag.MESSAGE_PAYLOAD, Tag.CALLBACK_NUM, Tag.SOURCE_SUBADDRESS, Tag.DEST_SUBADDRESS}
)
_SHORTEST_NUMBER: Final = 9
"""Digits of what may be a person's number; senders of operators are shorter."""


@dataclass(frozen=True, slots=True)
class Mask:
    """`shows_number`: only the password is hidden."""

    shows_number: bool = False

    def number(self, number: str) -> str:
        """A phone number but its last two digits; other senders as they are."""
        digits = number.removeprefix("+")
        if self.shows_number or not digits.isdigit() or len(digits) < _SHORTEST_NUMBER:
            return number
        return "*" * (len(digits) - 2) + digits[-2:]

    def text(self, text: str) -> str:
        """A text, or how long it is."""
        return text if self.shows_number else _hidden(len(text), "characters")

    def description(self, found: Description) -> Description:
        """The same without what is hidden."""
        if self.shows_number:
            return found
        return msgspec.structs.replace(
            found,
            fields=tuple(self._field(field) for field in found.fields),
            tlvs=tuple(_tlv(tlv) for tlv in found.tlvs),
            message=None if found.message is None else _message(found.message),
        )

    def hex(self, frame: bytes) -> str:
        """Octets in hexadecimal, two dots for each that is hidden."""
        shown = frame.hex(" ").split(" ")
        for position in self._hidden_in(frame):
            shown[position] = ".."
        return "".join(shown)

    def _hidden_in(self, frame: bytes) -> list[int]:
        """Where the frame differs from the one with every hidden octet changed."""
        try:
            found = decode(frame)
            same, other = (
                encode(found, is_strict=False),
                encode(self._other(found), is_strict=False),
            )
        except (PduError, ValueError):
            return list(range(_HEADER, len(frame)))
        if same != frame:  # it does not stand where we would put it
            return list(range(_HEADER, len(frame)))
        pairs = enumerate(zip(same, other, strict=True))
        return [position for position, (a, b) in pairs if a != b]

    def _other(self, found: pdu.Pdu) -> pdu.Pdu:
        names = ["password"]
        if not self.shows_number:
            names += [n for n in _ADDRESSES if self._is_hidden(getattr(found, n, b""))]
            names += ["short_message"]
        changed: dict[str, Any] = {
            n: _changed(getattr(found, n)) for n in names if hasattr(found, n)
        }
        if not self.shows_number:
            changed["tlvs"] = tuple(
                (tag, _changed(value) if tag in _SECRET_TAGS else value)
                for tag, value in found.tlvs
            )
        return msgspec.structs.replace(found, **changed)

    def _is_hidden(self, address: bytes) -> bool:
        shown = address.decode("latin-1")
        return self.number(shown) != shown

    def _field(self, field: FieldDescription) -> FieldDescription:
        if field.name == "short_message" and isinstance(field.value, str) and field.value:
            hidden = _hidden(len(field.value) // 2, "octets")
            return msgspec.structs.replace(field, value=hidden)
        if field.name.split("[")[0] in _ADDRESSES:
            return msgspec.structs.replace(field, value=self.number(str(field.value)))
        return field


def _tlv(tlv: TlvDescription) -> TlvDescription:
    if tlv.tag not in _SECRET_TAGS:
        return tlv
    hidden = _hidden(len(tlv.hex) // 2, "octets")
    return msgspec.structs.replace(tlv, value=hidden, hex=hidden)


def _message(message: MessageDescription) -> MessageDescription:
    return msgspec.structs.replace(message, text=_hidden(len(message.text), "characters"))


def _hidden(count: int, unit: str) -> str:
    return f"({count} {unit}, hidden)"


def _changed(value: bytes) -> bytes:
    """Every octet another one, none of them NUL."""
    return bytes(2 if octet == 1 else 1 for octet in value)
