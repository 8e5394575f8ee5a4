"""Who may bind to the proxy: account, password, address, kind and number of binds. Pure."""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final

from smpp_bridge.configuration import Account, BindMode
from smpp_bridge.protocol import pdu
from smpp_bridge.protocol.constants import CommandStatus

_MODES: Final[dict[type[pdu.Bind], BindMode]] = {
    pdu.BindTransceiver: "transceiver",
    pdu.BindTransmitter: "transmitter",
    pdu.BindReceiver: "receiver",
}
_NOBODY: Final = b"\0" * 9
"""Compared when the account is unknown, so that the time tells nothing; no PDU can carry it."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer to a bind; `account` exactly with ROK."""

    status: CommandStatus
    account: Account | None = None


class Admission:
    """The accounts of one listener."""

    def __init__(self, accounts: Iterable[Account]) -> None:
        self._accounts = {account.system_id.encode(): account for account in accounts}

    def judge(self, request: pdu.Bind, *, address: str, bound: Mapping[str, int]) -> Verdict:
        """Decide about a bind.

        Args:
            request: The bind PDU.
            address: Where it comes from.
            bound: system_id → sessions that are bound already.

        Returns:
            RINVSYSID for an unknown account, RBINDFAIL for an address or a kind of bind that is
            not allowed, RINVPASWD for a wrong password, RALYBND for one session too many.
        """
        account = self._accounts.get(request.system_id)
        password = _NOBODY if account is None else account.password.encode()
        is_right = hmac.compare_digest(request.password, password)
        if account is None:
            return Verdict(CommandStatus.RINVSYSID)
        if not _is_allowed(account, address):
            return Verdict(CommandStatus.RBINDFAIL)
        if not is_right:
            return Verdict(CommandStatus.RINVPASWD)
        if _MODES[type(request)] not in account.binds:
            return Verdict(CommandStatus.RBINDFAIL)
        if bound.get(account.system_id, 0) >= account.max_binds:
            return Verdict(CommandStatus.RALYBND)
        return Verdict(CommandStatus.ROK, account)


def _is_allowed(account: Account, address: str) -> bool:
    if not account.allow:
        return True
    found = ip_address(address.partition("%")[0])  # an IPv6 zone is of this machine only
    mapped = getattr(found, "ipv4_mapped", None) or found
    return any(mapped in network for network in account.allow)
