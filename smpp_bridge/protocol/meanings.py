"""What the numbers mean, in words and with the clause that says so; for people who read PDUs.

Clauses are those of SMPP 3.4; what only 5.0 has names 5.0.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from smpp_bridge.protocol.constants import CommandId, CommandStatus, Tag

_S: Final = CommandStatus
STATUS_MEANINGS: Final[Mapping[CommandStatus, str]] = MappingProxyType(
    {
        _S.ROK: "no error",
        _S.RINVMSGLEN: "message length is invalid",
        _S.RINVCMDLEN: "command length is invalid",
        _S.RINVCMDID: "invalid command id",
        _S.RINVBNDSTS: "wrong bind state for this command",
        _S.RALYBND: "already bound",
        _S.RINVPRTFLG: "invalid priority flag",
        _S.RINVREGDLVFLG: "invalid registered delivery flag",
        _S.RSYSERR: "system error",
        _S.RINVSRCADR: "invalid source address",
        _S.RINVDSTADR: "invalid destination address",
        _S.RINVMSGID: "message id is invalid",
        _S.RBINDFAIL: "bind failed",
        _S.RINVPASWD: "invalid password",
        _S.RINVSYSID: "invalid system id",
        _S.RCANCELFAIL: "cancel_sm failed",
        _S.RREPLACEFAIL: "replace_sm failed",
        _S.RMSGQFUL: "message queue is full",
        _S.RINVSERTYP: "invalid service type",
        _S.RINVNUMDESTS: "invalid number of destinations",
        _S.RINVDLNAME: "invalid distribution list name",
        _S.RINVDESTFLAG: "destination flag is invalid",
        _S.RINVSUBREP: "submit with replace is not supported here",
        _S.RINVESMCLASS: "invalid esm_class",
        _S.RCNTSUBDL: "cannot submit to a distribution list",
        _S.RSUBMITFAIL: "submit_sm or submit_multi failed",
        _S.RINVSRCTON: "invalid source address TON",
        _S.RINVSRCNPI: "invalid source address NPI",
        _S.RINVDSTTON: "invalid destination address TON",
        _S.RINVDSTNPI: "invalid destination address NPI",
        _S.RINVSYSTYP: "invalid system type",
        _S.RINVREPFLAG: "invalid replace_if_present flag",
        _S.RINVNUMMSGS: "invalid number of messages",
        _S.RTHROTTLED: "throttled: too many messages in this time",
        _S.RINVSCHED: "invalid scheduled delivery time",
        _S.RINVEXPIRY: "invalid validity period",
        _S.RINVDFTMSGID: "predefined message is invalid or unknown",
        _S.RX_T_APPN: "receiver: temporary error, send it again",
        _S.RX_P_APPN: "receiver: permanent error",
        _S.RX_R_APPN: "receiver: message rejected",
        _S.RQUERYFAIL: "query_sm failed",
        _S.RINVOPTPARSTREAM: "error in the optional parameters",
        _S.ROPTPARNOTALLWD: "optional parameter is not allowed",
        _S.RINVPARLEN: "invalid parameter length",
        _S.RMISSINGOPTPARAM: "expected optional parameter is missing",
        _S.RINVOPTPARAMVAL: "invalid value of an optional parameter",
        _S.RDELIVERYFAILURE: "delivery failed (data_sm_resp)",
        _S.RUNKNOWNERR: "unknown error",
        _S.RSERTYPUNAUTH: "not authorised for this service type",
        _S.RPROHIBITED: "not authorised for this operation",
        _S.RSERTYPUNAVAIL: "service type is unavailable",
        _S.RSERTYPDENIED: "service type is denied",
        _S.RINVDCS: "invalid data_coding",
        _S.RINVSRCADDRSUBUNIT: "invalid source address subunit",
        _S.RINVDSTADDRSUBUNIT: "invalid destination address subunit",
        _S.RINVBCASTFREQINT: "invalid broadcast frequency interval",
        _S.RINVBCASTALIAS_NAME: "invalid broadcast alias name",
        _S.RINVBCASTAREAFMT: "invalid broadcast area format",
        _S.RINVNUMBCAST_AREAS: "invalid number of broadcast areas",
        _S.RINVBCASTCNTTYPE: "invalid broadcast content type",
        _S.RINVBCASTMSGCLASS: "invalid broadcast message class",
        _S.RBCASTFAIL: "broadcast_sm failed",
        _S.RBCASTQUERYFAIL: "query_broadcast_sm failed",
        _S.RBCASTCANCELFAIL: "cancel_broadcast_sm failed",
        _S.RINVBCAST_REP: "invalid number of repeated broadcasts",
        _S.RINVBCASTSRVGRP: "invalid broadcast service group",
        _S.RINVBCASTCHANIND: "invalid broadcast channel indicator",
    }
)
"""command_status → what it says (SMPP 3.4 §5.1.3; 5.0 §4.7.6)."""

_C: Final = CommandId
COMMAND_CLAUSES: Final[Mapping[CommandId, str]] = MappingProxyType(
    {
        _C.BIND_TRANSMITTER: "4.1.1",
        _C.BIND_TRANSMITTER_RESP: "4.1.2",
        _C.BIND_RECEIVER: "4.1.3",
        _C.BIND_RECEIVER_RESP: "4.1.4",
        _C.BIND_TRANSCEIVER: "4.1.5",
        _C.BIND_TRANSCEIVER_RESP: "4.1.6",
        _C.OUTBIND: "4.1.7",
        _C.UNBIND: "4.2.1",
        _C.UNBIND_RESP: "4.2.2",
        _C.GENERIC_NACK: "4.3.1",
        _C.SUBMIT_SM: "4.4.1",
        _C.SUBMIT_SM_RESP: "4.4.2",
        _C.SUBMIT_MULTI: "4.5.1",
        _C.SUBMIT_MULTI_RESP: "4.5.2",
        _C.DELIVER_SM: "4.6.1",
        _C.DELIVER_SM_RESP: "4.6.2",
        _C.DATA_SM: "4.7.1",
        _C.DATA_SM_RESP: "4.7.2",
        _C.QUERY_SM: "4.8.1",
        _C.QUERY_SM_RESP: "4.8.2",
        _C.CANCEL_SM: "4.9.1",
        _C.CANCEL_SM_RESP: "4.9.2",
        _C.REPLACE_SM: "4.10.1",
        _C.REPLACE_SM_RESP: "4.10.2",
        _C.ENQUIRE_LINK: "4.11.1",
        _C.ENQUIRE_LINK_RESP: "4.11.2",
        _C.ALERT_NOTIFICATION: "4.12.1",
    }
)
"""command_id → the clause that defines its PDU."""

FIELD_CLAUSES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "command_length": "5.1.1",
        "command_id": "5.1.2",
        "command_status": "5.1.3",
        "sequence_number": "5.1.4",
        "system_id": "5.2.1",
        "password": "5.2.2",
        "system_type": "5.2.3",
        "interface_version": "5.2.4",
        "addr_ton": "5.2.5",
        "source_addr_ton": "5.2.5",
        "dest_addr_ton": "5.2.5",
        "esme_addr_ton": "5.2.5",
        "addr_npi": "5.2.6",
        "source_addr_npi": "5.2.6",
        "dest_addr_npi": "5.2.6",
        "esme_addr_npi": "5.2.6",
        "address_range": "5.2.7",
        "source_addr": "5.2.8",
        "destination_addr": "5.2.9",
        "esme_addr": "5.2.10",
        "service_type": "5.2.11",
        "esm_class": "5.2.12",
        "protocol_id": "5.2.13",
        "priority_flag": "5.2.14",
        "schedule_delivery_time": "5.2.15",
        "validity_period": "5.2.16",
        "registered_delivery": "5.2.17",
        "replace_if_present_flag": "5.2.18",
        "data_coding": "5.2.19",
        "sm_default_msg_id": "5.2.20",
        "sm_length": "5.2.21",
        "short_message": "5.2.22",
        "message_id": "5.2.23",
        "number_of_dests": "5.2.24",
        "dest_flag": "5.2.25",
        "no_unsuccess": "5.2.26",
        "dl_name": "5.2.27",
        "message_state": "5.2.28",
        "final_date": "7.1.1",
        "error_code": "4.8.2",
        "error_status_code": "5.1.3",
    }
)
"""Mandatory field → the clause that defines it."""

_T: Final = Tag
TAG_CLAUSES: Final[Mapping[Tag, str]] = MappingProxyType(
    {
        _T.DEST_ADDR_SUBUNIT: "5.3.2.1",
        _T.DEST_NETWORK_TYPE: "5.3.2.3",
        _T.DEST_BEARER_TYPE: "5.3.2.5",
        _T.DEST_TELEMATICS_ID: "5.3.2.7",
        _T.SOURCE_ADDR_SUBUNIT: "5.3.2.2",
        _T.SOURCE_NETWORK_TYPE: "5.3.2.4",
        _T.SOURCE_BEARER_TYPE: "5.3.2.6",
        _T.SOURCE_TELEMATICS_ID: "5.3.2.8",
        _T.QOS_TIME_TO_LIVE: "5.3.2.9",
        _T.PAYLOAD_TYPE: "5.3.2.10",
        _T.ADDITIONAL_STATUS_INFO_TEXT: "5.3.2.11",
        _T.RECEIPTED_MESSAGE_ID: "5.3.2.12",
        _T.MS_MSG_WAIT_FACILITIES: "5.3.2.13",
        _T.PRIVACY_INDICATOR: "5.3.2.14",
        _T.SOURCE_SUBADDRESS: "5.3.2.15",
        _T.DEST_SUBADDRESS: "5.3.2.16",
        _T.USER_MESSAGE_REFERENCE: "5.3.2.17",
        _T.USER_RESPONSE_CODE: "5.3.2.18",
        _T.SOURCE_PORT: "5.3.2.20",
        _T.DESTINATION_PORT: "5.3.2.21",
        _T.SAR_MSG_REF_NUM: "5.3.2.22",
        _T.LANGUAGE_INDICATOR: "5.3.2.19",
        _T.SAR_TOTAL_SEGMENTS: "5.3.2.23",
        _T.SAR_SEGMENT_SEQNUM: "5.3.2.24",
        _T.SC_INTERFACE_VERSION: "5.3.2.25",
        _T.CALLBACK_NUM_PRES_IND: "5.3.2.37",
        _T.CALLBACK_NUM_ATAG: "5.3.2.38",
        _T.NUMBER_OF_MESSAGES: "5.3.2.39",
        _T.CALLBACK_NUM: "5.3.2.36",
        _T.DPF_RESULT: "5.3.2.28",
        _T.SET_DPF: "5.3.2.29",
        _T.MS_AVAILABILITY_STATUS: "5.3.2.30",
        _T.NETWORK_ERROR_CODE: "5.3.2.31",
        _T.MESSAGE_PAYLOAD: "5.3.2.32",
        _T.DELIVERY_FAILURE_REASON: "5.3.2.33",
        _T.MORE_MESSAGES_TO_SEND: "5.3.2.34",
        _T.MESSAGE_STATE: "5.3.2.35",
        _T.CONGESTION_STATE: "5.0 4.8.4.18",
        _T.USSD_SERVICE_OP: "5.3.2.44",
        _T.DISPLAY_TIME: "5.3.2.26",
        _T.SMS_SIGNAL: "5.3.2.40",
        _T.MS_VALIDITY: "5.3.2.27",
        _T.ALERT_ON_MESSAGE_DELIVERY: "5.3.2.41",
        _T.ITS_REPLY_TYPE: "5.3.2.42",
        _T.ITS_SESSION_INFO: "5.3.2.43",
    }
)
"""TLV tag → the clause that defines it."""


def command_name(command_id: int) -> str:
    """The specification's spelling, or `unknown`.

    Examples:
        >>> command_name(0x80000004), command_name(0x777)
        ('submit_sm_resp', 'unknown')
    """
    return CommandId(command_id).name.lower() if command_id in COMMAND_CLAUSES else "unknown"


def command_clause(command_id: int) -> str:
    """The clause that defines a PDU, "" for an unknown one."""
    return COMMAND_CLAUSES[CommandId(command_id)] if command_id in COMMAND_CLAUSES else ""


def tag_clause(tag: int) -> str:
    """The clause that defines a TLV, "" for an unknown one."""
    return TAG_CLAUSES[Tag(tag)] if tag in TAG_CLAUSES else ""


def status_meaning(command_status: int) -> str:
    """What a command_status says in words, "" when the specification has none."""
    known = command_status in STATUS_MEANINGS
    return STATUS_MEANINGS[CommandStatus(command_status)] if known else ""


def status_name(command_status: int) -> str:
    """`ESME_…` of a command_status; numbers without a name keep their number.

    Examples:
        >>> status_name(0x58), status_name(0x400), status_name(0x999)
        ('ESME_RTHROTTLED', 'vendor-specific 0x00000400', 'reserved 0x00000999')
    """
    if command_status in STATUS_MEANINGS:
        return f"ESME_{CommandStatus(command_status).name}"
    # §5.1.3: 0x400-0x4FF belong to the SMSC's vendor
    kind = "vendor-specific" if 0x400 <= command_status <= 0x4FF else "reserved"
    return f"{kind} 0x{command_status:08x}"


def tag_name(tag: int) -> str:
    """The specification's spelling of a TLV tag.

    Examples:
        >>> tag_name(0x1E), tag_name(0x1403), tag_name(0x4333)
        ('receipted_message_id', 'vendor-specific 0x1403', 'unknown 0x4333')
    """
    if tag in TAG_CLAUSES:
        return Tag(tag).name.lower()
    # §5.3.1: 0x1400-0x3FFF belong to vendors
    return f"{'vendor-specific' if 0x1400 <= tag <= 0x3FFF else 'unknown'} 0x{tag:04x}"
