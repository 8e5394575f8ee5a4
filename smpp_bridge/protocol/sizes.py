"""How much memory a PDU holds, about. Pure."""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter
from typing import Any, Final

from smpp_bridge.protocol.fields import FIELDS, Field
from smpp_bridge.protocol.pdu import Pdu

_TLV: Final = 100
"""Of a TLV besides its value: a tuple, a number and the head of the octets."""


def octets_of(pdu: Pdu) -> int:
    """Octets of all that a peer can make long: strings, text and optional parameters."""
    octets = sum(map(len, _STRINGS[type(pdu)](pdu)))
    for _, value in pdu.tlvs:
        octets += _TLV + len(value)
    return octets


def _strings(fields: tuple[Field, ...]) -> Callable[[Any], tuple[bytes, ...]]:
    names = [field.name for field in fields if field.kind != "octet"]
    if len(names) > 1:
        return attrgetter(*names)
    return lambda pdu: tuple(getattr(pdu, name) for name in names)


_STRINGS: Final = {cls: _strings(fields) for cls, fields in FIELDS.items()}
