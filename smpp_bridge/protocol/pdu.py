"""PDUs as values: raw octets as they stood on the wire; TLVs kept raw and in order.

Field names are the specification's (SMPP 3.4 §4). Addresses and ids are `bytes`: operators
send Latin-1, spaces and worse, and a replay needs the octets.
"""

from __future__ import annotations

from typing import ClassVar, Final

import msgspec

from smpp_bridge.protocol.constants import INTERFACE_VERSION, CommandId

Tlvs = tuple[tuple[int, bytes], ...]


class Pdu(msgspec.Struct, frozen=True, gc=False):
    """The header fields of every PDU, less its length."""

    command_id: ClassVar[CommandId]
    command_status: int = 0
    sequence_number: int = 0
    tlvs: Tlvs = ()

    def tlv(self, tag: int) -> bytes | None:
        """The first value of a tag."""
        return next((value for found, value in self.tlvs if found == tag), None)


class Bind(Pdu, frozen=True, gc=False):
    """What the three bind requests share (§4.1)."""

    system_id: bytes = b""
    password: bytes = b""
    system_type: bytes = b""
    interface_version: int = INTERFACE_VERSION
    addr_ton: int = 0
    addr_npi: int = 0
    address_range: bytes = b""

    def __repr__(self) -> str:
        return f"{type(self).__name__}(system_id={self.system_id!r}, password=…)"


class BindReceiver(Bind, frozen=True, gc=False):
    """§4.1.3."""

    command_id: ClassVar[CommandId] = CommandId.BIND_RECEIVER


class BindTransmitter(Bind, frozen=True, gc=False):
    """§4.1.1."""

    command_id: ClassVar[CommandId] = CommandId.BIND_TRANSMITTER


class BindTransceiver(Bind, frozen=True, gc=False):
    """§4.1.5."""

    command_id: ClassVar[CommandId] = CommandId.BIND_TRANSCEIVER


class BindResp(Pdu, frozen=True, gc=False):
    """What the three bind responses share."""

    system_id: bytes = b""


class BindReceiverResp(BindResp, frozen=True, gc=False):
    """§4.1.4."""

    command_id: ClassVar[CommandId] = CommandId.BIND_RECEIVER_RESP


class BindTransmitterResp(BindResp, frozen=True, gc=False):
    """§4.1.2."""

    command_id: ClassVar[CommandId] = CommandId.BIND_TRANSMITTER_RESP


class BindTransceiverResp(BindResp, frozen=True, gc=False):
    """§4.1.6."""

    command_id: ClassVar[CommandId] = CommandId.BIND_TRANSCEIVER_RESP


class Outbind(Pdu, frozen=True, gc=False):
    """§4.1.7."""

    command_id: ClassVar[CommandId] = CommandId.OUTBIND
    system_id: bytes = b""
    password: bytes = b""

    def __repr__(self) -> str:
        return f"Outbind(system_id={self.system_id!r}, password=…)"


class Message(Pdu, frozen=True, gc=False):
    """What submit_sm and deliver_sm share (§4.4.1, §4.6.1)."""

    service_type: bytes = b""
    source_addr_ton: int = 0
    source_addr_npi: int = 0
    source_addr: bytes = b""
    dest_addr_ton: int = 0
    dest_addr_npi: int = 0
    destination_addr: bytes = b""
    esm_class: int = 0
    protocol_id: int = 0
    priority_flag: int = 0
    schedule_delivery_time: bytes = b""
    validity_period: bytes = b""
    registered_delivery: int = 0
    replace_if_present_flag: int = 0
    data_coding: int = 0
    sm_default_msg_id: int = 0
    short_message: bytes = b""


class SubmitSm(Message, frozen=True, gc=False):
    """§4.4.1."""

    command_id: ClassVar[CommandId] = CommandId.SUBMIT_SM


class DeliverSm(Message, frozen=True, gc=False):
    """§4.6.1."""

    command_id: ClassVar[CommandId] = CommandId.DELIVER_SM


class DataSm(Pdu, frozen=True, gc=False):
    """§4.7.1; the body is in the TLV message_payload."""

    command_id: ClassVar[CommandId] = CommandId.DATA_SM
    service_type: bytes = b""
    source_addr_ton: int = 0
    source_addr_npi: int = 0
    source_addr: bytes = b""
    dest_addr_ton: int = 0
    dest_addr_npi: int = 0
    destination_addr: bytes = b""
    esm_class: int = 0
    registered_delivery: int = 0
    data_coding: int = 0


class MessageResp(Pdu, frozen=True, gc=False):
    """What the responses with an id share."""

    message_id: bytes = b""


class SubmitSmResp(MessageResp, frozen=True, gc=False):
    """§4.4.2."""

    command_id: ClassVar[CommandId] = CommandId.SUBMIT_SM_RESP


class DeliverSmResp(MessageResp, frozen=True, gc=False):
    """§4.6.2; message_id is unused and must be empty."""

    command_id: ClassVar[CommandId] = CommandId.DELIVER_SM_RESP


class DataSmResp(MessageResp, frozen=True, gc=False):
    """§4.7.2."""

    command_id: ClassVar[CommandId] = CommandId.DATA_SM_RESP


class QuerySm(Pdu, frozen=True, gc=False):
    """§4.8.1."""

    command_id: ClassVar[CommandId] = CommandId.QUERY_SM
    message_id: bytes = b""
    source_addr_ton: int = 0
    source_addr_npi: int = 0
    source_addr: bytes = b""


class QuerySmResp(MessageResp, frozen=True, gc=False):
    """§4.8.2; `final_date` is empty until the message has its final state."""

    command_id: ClassVar[CommandId] = CommandId.QUERY_SM_RESP
    final_date: bytes = b""
    message_state: int = 0
    error_code: int = 0


class CancelSm(Pdu, frozen=True, gc=False):
    """§4.9.1; an empty message_id cancels all from this source to this destination."""

    command_id: ClassVar[CommandId] = CommandId.CANCEL_SM
    service_type: bytes = b""
    message_id: bytes = b""
    source_addr_ton: int = 0
    source_addr_npi: int = 0
    source_addr: bytes = b""
    dest_addr_ton: int = 0
    dest_addr_npi: int = 0
    destination_addr: bytes = b""


class CancelSmResp(Pdu, frozen=True, gc=False):
    """§4.9.2."""

    command_id: ClassVar[CommandId] = CommandId.CANCEL_SM_RESP


class ReplaceSm(Pdu, frozen=True, gc=False):
    """§4.10.1; has no data_coding: the new text is in the coding of the old one."""

    command_id: ClassVar[CommandId] = CommandId.REPLACE_SM
    message_id: bytes = b""
    source_addr_ton: int = 0
    source_addr_npi: int = 0
    source_addr: bytes = b""
    schedule_delivery_time: bytes = b""
    validity_period: bytes = b""
    registered_delivery: int = 0
    sm_default_msg_id: int = 0
    short_message: bytes = b""


class ReplaceSmResp(Pdu, frozen=True, gc=False):
    """§4.10.2."""

    command_id: ClassVar[CommandId] = CommandId.REPLACE_SM_RESP


class AlertNotification(Pdu, frozen=True, gc=False):
    """§4.12.1; has no response."""

    command_id: ClassVar[CommandId] = CommandId.ALERT_NOTIFICATION
    source_addr_ton: int = 0
    source_addr_npi: int = 0
    source_addr: bytes = b""
    esme_addr_ton: int = 0
    esme_addr_npi: int = 0
    esme_addr: bytes = b""


class Unbind(Pdu, frozen=True, gc=False):
    """§4.2.1."""

    command_id: ClassVar[CommandId] = CommandId.UNBIND


class UnbindResp(Pdu, frozen=True, gc=False):
    """§4.2.2."""

    command_id: ClassVar[CommandId] = CommandId.UNBIND_RESP


class EnquireLink(Pdu, frozen=True, gc=False):
    """§4.11.1."""

    command_id: ClassVar[CommandId] = CommandId.ENQUIRE_LINK


class EnquireLinkResp(Pdu, frozen=True, gc=False):
    """§4.11.2."""

    command_id: ClassVar[CommandId] = CommandId.ENQUIRE_LINK_RESP


class GenericNack(Pdu, frozen=True, gc=False):
    """§4.3.1; a response, though its id has only the response bit."""

    command_id: ClassVar[CommandId] = CommandId.GENERIC_NACK


Request = Message | DataSm | QuerySm | CancelSm | ReplaceSm
"""What travels within the window and is answered by the shell."""
REQUESTS: Final = (Message, DataSm, QuerySm, CancelSm, ReplaceSm)
