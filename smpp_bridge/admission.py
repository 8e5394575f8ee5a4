"""Who may bind to the proxy: account, password, address, kind and number of binds. Pure."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network
from itertools import chain
from typing import Final, Literal

from smpp_bridge.configuration import Account, BindMode
from smpp_bridge.guessing import LONGEST_S, Guesses, read_address
from smpp_bridge.protocol import pdu
from smpp_bridge.protocol.constants import CommandStatus

_MODES: Final[dict[type[pdu.Bind], BindMode]] = {
    pdu.BindTransceiver: "transceiver",
    pdu.BindTransmitter: "transmitter",
    pdu.BindReceiver: "receiver",
}
_NOBODY: Final = b"\0" * hashlib.blake2b.MAX_DIGEST_SIZE
"""Compared when the account is unknown, so that the time tells nothing; no digest is like that."""
Refusal = Literal["credentials", "guessing", "address", "bind"]
"""guessing: too many wrong ones, refused unread; bind: its kind or their number."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer to a bind after `wait_s`; `account` exactly with ROK, else a `reason`."""

    status: CommandStatus
    reason: Refusal | None = None
    wait_s: float = 0.0
    account: Account | None = None


class Addresses:
    """From where some account may bind."""

    def __init__(self, accounts: Iterable[Account]) -> None:
        self._allowed = [account.allow for account in accounts]
        self._networks = frozenset(chain.from_iterable(self._allowed))

    def __contains__(self, address: str) -> bool:
        return not all(self._allowed) or _is_in(self._networks, address)


class Admission:
    """The accounts of one listener."""

    def __init__(self, accounts: Iterable[Account]) -> None:
        self._accounts = {account.system_id.encode(): account for account in accounts}
        self._digests = {
            name: _digest(account.password.encode()) for name, account in self._accounts.items()
        }
        self._guesses = Guesses()

    def judge(
        self, request: pdu.Bind, *, address: str, bound: Mapping[str, int], now: float
    ) -> Verdict:
        """Decide about a bind.

        Args:
            request: The bind PDU.
            address: Where it comes from.
            bound: system_id → sessions that are bound already.
            now: Monotonic seconds.

        Returns:
            RINVPASWD for an unknown account, a wrong password, or an address with too many of
            these: which of them is not told. With the right password: RBINDFAIL for an address
            or a kind of bind that is not allowed, RALYBND for one session too many.
        """
        name = request.system_id
        if self._guesses.is_over(address, name, now):
            return Verdict(CommandStatus.RINVPASWD, "guessing", LONGEST_S)
        is_right = hmac.compare_digest(_digest(request.password), self._digests.get(name, _NOBODY))
        account = self._accounts.get(name)
        if account is None or not is_right:
            wait_s = self._guesses.failed(address, name, now)
            return Verdict(CommandStatus.RINVPASWD, "credentials", wait_s)
        if not _is_allowed(account, address):
            return Verdict(CommandStatus.RBINDFAIL, "address")
        self._guesses.succeeded(address, name)
        if _MODES[type(request)] not in account.binds:
            return Verdict(CommandStatus.RBINDFAIL, "bind")
        if bound.get(account.system_id, 0) >= account.max_binds:
            return Verdict(CommandStatus.RALYBND, "bind")
        return Verdict(CommandStatus.ROK, account=account)


def _digest(password: bytes) -> bytes:
    """All of one length: comparing passwords themselves would tell how long they are."""
    return hashlib.blake2b(password).digest()


def _is_allowed(account: Account, address: str) -> bool:
    return not account.allow or _is_in(account.allow, address)


def _is_in(networks: Iterable[IPv4Network | IPv6Network], address: str) -> bool:
    try:
        found = read_address(address)
    except ValueError:  # it left before we could see it
        return False
    return any(found in network for network in networks)
