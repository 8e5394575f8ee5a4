"""The body of every PDU as a table: field name, kind, largest length (SMPP 3.4 §4, §5.2).

Decoding and encoding are interpreters of this table. Lengths bind what we send; what we
receive is taken as it comes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import Any, Final, Literal, NamedTuple

from smpp_bridge.protocol import pdu

Kind = Literal["octet", "c_string", "short_message"]


class Field(NamedTuple):
    """One mandatory field. `limit` counts octets without the terminating NUL."""

    name: str
    kind: Kind
    limit: int = 255


def _octets(*names: str) -> tuple[Field, ...]:
    return tuple(Field(name, "octet") for name in names)


def _address(prefix: str, name: str, limit: int = 20) -> tuple[Field, ...]:
    return (*_octets(f"{prefix}_ton", f"{prefix}_npi"), Field(name, "c_string", limit))


_BIND: Final = (
    Field("system_id", "c_string", 15),
    Field("password", "c_string", 8),
    Field("system_type", "c_string", 12),
    *_octets("interface_version"),
    *_address("addr", "address_range", 40),
)
_BIND_RESP: Final = (Field("system_id", "c_string", 15),)
_MESSAGE: Final = (
    Field("service_type", "c_string", 5),
    *_address("source_addr", "source_addr"),
    *_address("dest_addr", "destination_addr"),
    *_octets("esm_class", "protocol_id", "priority_flag"),
    Field("schedule_delivery_time", "c_string", 16),
    Field("validity_period", "c_string", 16),
    *_octets("registered_delivery", "replace_if_present_flag", "data_coding", "sm_default_msg_id"),
    Field("short_message", "short_message", 254),
)
_DATA: Final = (
    Field("service_type", "c_string", 5),
    *_address("source_addr", "source_addr", 64),
    *_address("dest_addr", "destination_addr", 64),
    *_octets("esm_class", "registered_delivery", "data_coding"),
)
_SOURCE: Final = _address("source_addr", "source_addr")
_MESSAGE_RESP: Final = (Field("message_id", "c_string", 64),)

FIELDS: Final[dict[type[pdu.Pdu], tuple[Field, ...]]] = {
    pdu.BindReceiver: _BIND,
    pdu.BindTransmitter: _BIND,
    pdu.BindTransceiver: _BIND,
    pdu.BindReceiverResp: _BIND_RESP,
    pdu.BindTransmitterResp: _BIND_RESP,
    pdu.BindTransceiverResp: _BIND_RESP,
    pdu.Outbind: _BIND[:2],
    pdu.SubmitSm: _MESSAGE,
    pdu.SubmitSmResp: _MESSAGE_RESP,
    pdu.DeliverSm: _MESSAGE,
    pdu.DeliverSmResp: _MESSAGE_RESP,
    pdu.DataSm: _DATA,
    pdu.DataSmResp: _MESSAGE_RESP,
    pdu.QuerySm: (*_MESSAGE_RESP, *_SOURCE),
    pdu.QuerySmResp: (
        *_MESSAGE_RESP,
        Field("final_date", "c_string", 16),
        *_octets("message_state", "error_code"),
    ),
    pdu.CancelSm: (
        Field("service_type", "c_string", 5),
        *_MESSAGE_RESP,
        *_SOURCE,
        *_address("dest_addr", "destination_addr"),
    ),
    pdu.CancelSmResp: (),
    pdu.ReplaceSm: (
        *_MESSAGE_RESP,
        *_SOURCE,
        Field("schedule_delivery_time", "c_string", 16),
        Field("validity_period", "c_string", 16),
        *_octets("registered_delivery", "sm_default_msg_id"),
        Field("short_message", "short_message", 254),
    ),
    pdu.ReplaceSmResp: (),
    pdu.AlertNotification: (
        *_address("source_addr", "source_addr", 64),
        *_address("esme_addr", "esme_addr", 64),
    ),
    pdu.Unbind: (),
    pdu.UnbindResp: (),
    pdu.EnquireLink: (),
    pdu.EnquireLinkResp: (),
    pdu.GenericNack: (),
}
"""Every PDU that we know. submit_multi is not among them: its sender gets RINVCMDID (§4.3)."""


def reader_of(fields: Sequence[Field]) -> Callable[[pdu.Pdu], tuple[Any, ...]]:
    """Reads the values of some fields, in their order."""
    names = [field.name for field in fields]
    if len(names) > 1:
        return attrgetter(*names)
    return lambda message: tuple(getattr(message, name) for name in names)
