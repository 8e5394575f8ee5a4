"""SMPP numbers by name (SMPP 3.4 §5.1.2.1, §5.1.3, §5.2.12, §5.3.2; 5.0 adds command_status)."""

from __future__ import annotations

from enum import IntEnum
from typing import Final

RESPONSE_BIT: Final = 0x8000_0000
MAX_SEQUENCE: Final = 0x7FFF_FFFF


class CommandId(IntEnum):
    """SMPP 3.4 §5.1.2.1."""

    BIND_RECEIVER = 0x0000_0001
    BIND_TRANSMITTER = 0x0000_0002
    QUERY_SM = 0x0000_0003
    SUBMIT_SM = 0x0000_0004
    DELIVER_SM = 0x0000_0005
    UNBIND = 0x0000_0006
    BIND_TRANSCEIVER = 0x0000_0009
    OUTBIND = 0x0000_000B
    ENQUIRE_LINK = 0x0000_0015
    ALERT_NOTIFICATION = 0x0000_0102
    DATA_SM = 0x0000_0103
    GENERIC_NACK = 0x8000_0000
    BIND_RECEIVER_RESP = 0x8000_0001
    BIND_TRANSMITTER_RESP = 0x8000_0002
    SUBMIT_SM_RESP = 0x8000_0004
    DELIVER_SM_RESP = 0x8000_0005
    UNBIND_RESP = 0x8000_0006
    BIND_TRANSCEIVER_RESP = 0x8000_0009
    ENQUIRE_LINK_RESP = 0x8000_0015
    DATA_SM_RESP = 0x8000_0103


class CommandStatus(IntEnum):
    """SMPP 3.4 §5.1.3, those we send or treat specially; any other number passes as int."""

    ROK = 0x00
    RINVMSGLEN = 0x01
    RINVCMDLEN = 0x02
    RINVCMDID = 0x03
    RINVBNDSTS = 0x04
    RALYBND = 0x05
    RSYSERR = 0x08
    RINVDSTADR = 0x0B
    RBINDFAIL = 0x0D
    RINVPASWD = 0x0E
    RINVSYSID = 0x0F
    RMSGQFUL = 0x14
    RSUBMITFAIL = 0x45
    RTHROTTLED = 0x58
    RX_T_APPN = 0x64
    RX_P_APPN = 0x65
    RUNKNOWNERR = 0xFF


THROTTLED: Final = frozenset({CommandStatus.RTHROTTLED, CommandStatus.RMSGQFUL})
"""Slow down and send again; the message has not failed."""
REFUSED_BINDS: Final = frozenset(
    {CommandStatus.RINVPASWD, CommandStatus.RINVSYSID, CommandStatus.RALYBND}
)
"""Credentials or a leftover session: retrying fast only locks the account."""


class Tag(IntEnum):
    """TLV tags that are read or written by name (SMPP 3.4 §5.3.2)."""

    RECEIPTED_MESSAGE_ID = 0x001E
    SC_INTERFACE_VERSION = 0x0210
    NETWORK_ERROR_CODE = 0x0423
    MESSAGE_PAYLOAD = 0x0424
    MESSAGE_STATE = 0x0427


ESM_TYPE_MASK: Final = 0x3C
"""SMPP 3.4 §5.2.12: message type bits; test these, never `esm_class != 0`."""
ESM_DEFAULT: Final = 0x00
ESM_RECEIPT: Final = 0x04
ESM_INTERMEDIATE: Final = 0x20
ESM_UDHI: Final = 0x40

TON_UNKNOWN: Final = 0
TON_INTERNATIONAL: Final = 1
TON_ALPHANUMERIC: Final = 5
NPI_UNKNOWN: Final = 0
NPI_ISDN: Final = 1
INTERFACE_VERSION: Final = 0x34
