"""How much memory a PDU holds, about. Pure."""

from __future__ import annotations

from typing import Final

from smpp_bridge.protocol.fields import FIELDS, reader_of
from smpp_bridge.protocol.pdu import Pdu

TLV_OVERHEAD: Final = 100
"""Of a TLV besides its value: a tuple, a number and the head of the octets."""


def content_octets(pdu: Pdu) -> int:
    """Octets of all that a peer can make long: strings, text and optional parameters."""
    octets = sum(map(len, _STRINGS[type(pdu)](pdu)))
    for _, value in pdu.tlvs:
        octets += TLV_OVERHEAD + len(value)
    return octets


_STRINGS: Final = {
    cls: reader_of([field for field in fields if field.kind != "octet"])
    for cls, fields in FIELDS.items()
}
