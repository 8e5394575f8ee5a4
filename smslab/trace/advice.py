"""What to do about each way a trace fails, naming the option or setting. Pure."""

from __future__ import annotations

import re
import socket
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final

from smpp_bridge.protocol.constants import CommandStatus
from smpp_bridge.protocol.meanings import status_meaning, status_name
from smpp_bridge.wire import tls_sentence
from smslab.trace.model import Target

_S: Final = CommandStatus
_ASK_BIND: Final = "ask the operator what this status means for {system_id}"
_BIND_FIXES: Final[Mapping[int, str]] = MappingProxyType(
    {
        _S.RINVPASWD: "check the password in {password_setting}: is it that of {system_id}?",
        _S.RINVSYSID: "check --system-id (SMS_BRIDGE_SYSTEM_ID): the SMSC has no {system_id}",
        _S.RINVSYSTYP: "check --system-type: the operator says which one it wants",
        _S.RBINDFAIL: "check system_id and password; ask the operator whether it admits our "
        "address and --bind {bind}",
        _S.RALYBND: "the account has all its sessions already, perhaps those of the bridge: stop "
        "one, or ask the operator for more",
        _S.RINVBNDSTS: "try another --bind: the operator does not allow {bind}",
        _S.RINVCMDID: "try another --bind: the operator does not know {bind}",
        _S.RSYSERR: "the SMSC is out of order: try again later, then ask the operator",
        _S.RTHROTTLED: "too many binds in this time: wait a minute, then try again",
    }
)
_ASK_SUBMIT: Final = "ask the operator what this status means for {system_id}"
_NUMBER: Final = "check --to: the operator wants another form, or does not serve this number"
_SENDER: Final = "check --from: it must be a sender that the operator has admitted for {system_id}"
_CODING: Final = "try another --encoding, or a shorter text"
_FORBIDDEN: Final = "the account {system_id} may not send this: ask the operator"
_SUBMIT_FIXES: Final[Mapping[int, str]] = MappingProxyType(
    {
        _S.RTHROTTLED: "wait a second and try again; what the bridge sends on this account counts, "
        "too: lower rate_per_s in bridge.yaml, or ask for a higher rate",
        _S.RMSGQFUL: "wait and try again; the account's queue or window is full: a smaller "
        "--window, or window in bridge.yaml",
        **dict.fromkeys((_S.RINVDSTADR, _S.RINVDSTTON, _S.RINVDSTNPI), _NUMBER),
        **dict.fromkeys((_S.RINVSRCADR, _S.RINVSRCTON, _S.RINVSRCNPI), _SENDER),
        **dict.fromkeys((_S.RINVMSGLEN, _S.RINVDCS, _S.RINVESMCLASS), _CODING),
        **dict.fromkeys((_S.RPROHIBITED, _S.RSERTYPUNAUTH, _S.RSERTYPDENIED), _FORBIDDEN),
        _S.RINVREGDLVFLG: "try --no-receipt: the operator gives none to this account",
        _S.RINVBNDSTS: "try another --bind: this session may not send",
    }
)
_RECEIPT_FIXES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "UNDELIVERABLE": "the phone or number cannot be reached: try another --to",
        "EXPIRED": "the phone was not reachable long enough: is it switched on?",
        "REJECTED": "the network refused it: check --from and the text, or ask the operator",
        "DELETED": "the SMSC took it out: ask the operator",
    }
)


def said(command_status: int) -> str:
    """The status with its meaning."""
    meaning = status_meaning(command_status)
    return f"{status_name(command_status)}: {meaning}" if meaning else status_name(command_status)


def bind_fix(command_status: int, target: Target) -> str:
    """What to do about a refused bind."""
    return _filled(_BIND_FIXES.get(command_status, _ASK_BIND), target)


def submit_fix(command_status: int, target: Target) -> str:
    """What to do about a refused submit_sm."""
    return _filled(_SUBMIT_FIXES.get(command_status, _ASK_SUBMIT), target)


def receipt_fix(state: str) -> str:
    """What to do about a final state that is not DELIVERED."""
    return _RECEIPT_FIXES.get(state, "ask the operator, with the id of the message")


def connect_trouble(error: OSError, target: Target) -> tuple[str, str]:
    """(problem, fix) of a TCP connection that was not made."""
    where = f"{target.host}:{target.port}"
    if isinstance(error, socket.gaierror):
        return f"the name {target.host} is not known", "check --host (SMS_BRIDGE_HOST), or the DNS"
    if isinstance(error, ConnectionRefusedError):
        fix = "check --host and --port (SMS_BRIDGE_HOST, SMS_BRIDGE_PORT): does the SMSC run there?"
        return f"nothing listens at {where}", fix
    if isinstance(error, TimeoutError):
        fix = "a firewall drops us, or the host is down: does the operator admit our address?"
        return f"{where} did not answer within {target.timeout_s:g} s", fix
    return f"{where} cannot be reached: {error.strerror or error}", "check --host and the network"


def tls_trouble(error: OSError) -> tuple[str, str]:
    """(problem, fix) of a handshake that failed."""
    sentence = tls_sentence(error)
    if sentence is None:
        if isinstance(error, TimeoutError):
            return "the peer is silent", "does the port speak TLS? Else leave --tls out"
        return f"the peer hung up: {error.strerror or error}", "does the port speak TLS?"
    problem, _, fix = with_options(sentence.removeprefix("TLS: ")).partition("; ")
    return problem, fix or "ask the operator which TLS it speaks"


def with_options(sentence: str) -> str:
    """Keys of bridge.yaml → our options.

    Examples:
        >>> with_options("set tls.cert and tls.server_name")
        'set --tls-cert and --tls-server-name'
    """
    return re.sub(
        r"\btls\.([a-z_]+)", lambda found: f"--tls-{found[1].replace('_', '-')}", sentence
    )


def closed_fix(target: Target, *, is_bound: bool) -> str:
    """What to do about a connection that the peer has ended."""
    if is_bound:
        return "the SMSC ended the session: is it restarting, or is another session replacing ours?"
    if target.tls is None:
        return "does the port want TLS (--tls)? Does the operator admit our address?"
    return "does the operator admit our address and our client certificate (--tls-cert)?"


def no_receipt_fix(other_ids: Sequence[str]) -> str:
    """What to do when none came. `other_ids`: of receipts for the number that are not ours."""
    if other_ids:
        return (
            f"a receipt for this number has the id {other_ids[-1]}, which is not that of the "
            "answer in any spelling: ask the operator how its ids belong together"
        )
    return (
        "raise --timeout; is the phone on? Receipts may go to another session of the account (the "
        "bridge's), or the operator gives none to it"
    )


def _filled(fix: str, target: Target) -> str:
    return fix.format(
        system_id=target.system_id, password_setting=target.password_setting, bind=target.bind
    )
