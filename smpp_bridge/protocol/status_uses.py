"""Which command_status is sent or treated where, and why; for docs/smpp.md. Pure.

`states.BUSY`, `states.NOT_SERVED`, `constants.THROTTLED` and `constants.REFUSED_BINDS` are
tables of their own. A test holds the others against the code: no use without a row here.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from smpp_bridge.protocol.constants import CommandStatus

_S: Final = CommandStatus


class Use(NamedTuple):
    """One use. `module` is below `smpp_bridge`; rows with the same words are told once."""

    status: CommandStatus
    module: str
    words: str


USES: Final = (
    Use(_S.RINVCMDLEN, "protocol.session", "sent as generic_nack when framing is lost; closes"),
    Use(_S.RINVCMDID, "protocol.codec", "sent as generic_nack for an unknown command"),
    Use(_S.RINVCMDID, "protocol.session", "sent for any other request that is not served"),
    Use(_S.RINVMSGLEN, "protocol.codec", "sent for mandatory fields that do not fit"),
    *(
        Use(status, "protocol.codec", "sent to an ESME for a field of 65 octets or more")
        for status in (
            _S.RINVSERTYP,
            _S.RINVSRCADR,
            _S.RINVDSTADR,
            _S.RINVSCHED,
            _S.RINVEXPIRY,
            _S.RINVMSGID,
        )
    ),
    Use(_S.RINVPARLEN, "protocol.codec", "sent to an ESME for a TLV longer than its PDU"),
    Use(_S.RINVOPTPARSTREAM, "protocol.codec", "sent to an ESME for octets that are no TLV"),
    Use(_S.RINVBNDSTS, "protocol.states", "sent for a request that the state forbids"),
    Use(_S.RALYBND, "protocol.states", "sent for a second bind"),
    Use(_S.RALYBND, "protocol.session", "sent for a second bind"),
    Use(_S.RINVPASWD, "adapters.links", "received for the very first bind: the process ends"),
    Use(_S.RINVSYSID, "adapters.links", "received for the very first bind: the process ends"),
    Use(_S.RX_T_APPN, "configuration", "sent for deliver_sm that Kafka has not taken"),
    Use(_S.RX_T_APPN, "config_file", "sent for deliver_sm that Kafka has not taken"),
    Use(_S.RSYSERR, "config_file", "can be sent instead of RX_T_APPN or RTHROTTLED"),
    Use(_S.RMSGQFUL, "config_file", "can be sent instead of RX_T_APPN or RTHROTTLED"),
    Use(_S.RTHROTTLED, "config_file", "can be sent instead of RX_T_APPN"),
    Use(_S.RMSGQFUL, "adapters.link", "sent for deliver_sm over the bounds (`when_full: refuse`)"),
    Use(_S.RINVPASWD, "admission", "proxy, sent: no such account, wrong password, too many tries"),
    Use(_S.RBINDFAIL, "admission", "proxy, sent: address or kind of bind not allowed"),
    Use(_S.RALYBND, "admission", "proxy, sent: one session too many"),
    Use(_S.RTHROTTLED, "configuration", "proxy, sent for submit_sm while Kafka is away"),
    Use(_S.RTHROTTLED, "adapters.desk", "proxy, sent for submit_sm over the account's rate"),
    Use(_S.RMSGQFUL, "adapters.desk", "proxy, sent for submit_sm over the window, or stopping"),
    Use(_S.RX_T_APPN, "adapters.deliveries", "proxy, sent: no session of the account takes it now"),
    Use(_S.RX_P_APPN, "adapters.deliveries", "proxy, sent: the ESME speaks 3.3 and cannot read it"),
    Use(_S.RSYSERR, "adapters.receiver", "sent for a PDU on which the bridge failed"),
    Use(_S.RSYSERR, "adapters.deliveries", "sent for a PDU on which the bridge failed"),
    Use(_S.RSYSERR, "adapters.desk", "sent for a PDU on which the bridge failed"),
    Use(_S.RSYSERR, "adapters.relay", "sent for a PDU on which the bridge failed"),
    Use(_S.RX_T_APPN, "adapters.forwarding", "proxy, sent for deliver_sm of no account"),
    Use(_S.RX_T_APPN, "adapters.forwarding", "proxy, sent: too many wait for slow ESMEs"),
    Use(_S.RMSGQFUL, "adapters.relay", "proxy, sent for submit_sm: no transmitter, too many"),
    Use(_S.RINVDSTADR, "adapters.relay", "proxy, sent: the destination is no phone number"),
    Use(_S.RINVMSGLEN, "adapters.relay", "proxy, sent: the SMSC speaks 3.3 and cannot read it"),
    Use(_S.RUNKNOWNERR, "adapters.relay", "proxy, sent: the SMSC's answer was cut off"),
    Use(_S.RX_T_APPN, "client.connection", "client, sent: not read, or the callback failed"),
)
