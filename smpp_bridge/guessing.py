"""What a guess at a password costs: failed binds by address, and how long the next one waits. Pure.

An account that has bound from an address before is looked at apart from the rest of that
address, so that a neighbour behind the same router cannot lock it out.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Final, NamedTuple

from smpp_bridge.proxied import Recent

WINDOW_S: Final = 60.0
MAX_FAILED: Final = 20
"""In one window; above, nobody at this address is listened to until it ends. An ESME with a
wrong password that tries every 5 s stays below; a guesser gets 28,800 tries a day."""
FIRST_S: Final = 0.25
LONGEST_S: Final = 5.0
"""Below the 10 s in which a session must be bound."""
_IPV6_SITE: Final = 64
"""Bits: who has one address of IPv6 has all that share these."""
_MAX_ADDRESSES: Final = 10_000


class _Failures(NamedTuple):
    since: float
    number: int


class Guesses:
    """The failed binds of one listener. `now`: monotonic seconds."""

    def __init__(self) -> None:
        self._failures: Recent[tuple[str, bytes], _Failures] = Recent(_MAX_ADDRESSES)
        self._proved: Recent[tuple[str, bytes], bool] = Recent(_MAX_ADDRESSES)

    def is_over(self, address: str, system_id: bytes, now: float) -> bool:
        """Whether there were too many; such a bind is refused unread."""
        return self._of(self._key(address, system_id), now).number >= MAX_FAILED

    def failed(self, address: str, system_id: bytes, now: float) -> float:
        """One more; seconds until it shall be answered, twice as long each time."""
        key = self._key(address, system_id)
        before = self._of(key, now)
        self._failures.put(key, before._replace(number=before.number + 1))
        return min(LONGEST_S, FIRST_S * 2.0**before.number)

    def succeeded(self, address: str, system_id: bytes) -> None:
        """A bind with the right password."""
        self._proved.put((site_of(address), system_id), True)  # noqa: FBT003 - a set, kept short

    def _of(self, key: tuple[str, bytes], now: float) -> _Failures:
        found = self._failures.get(key)
        return found if found and now - found.since < WINDOW_S else _Failures(now, 0)

    def _key(self, address: str, system_id: bytes) -> tuple[str, bytes]:
        pair = (site_of(address), system_id)
        return pair if self._proved.get(pair) else (pair[0], b"")


def read_address(address: str) -> IPv4Address | IPv6Address:
    """An address as the socket gives it.

    Raises:
        ValueError: If it is none.
    """
    found = ip_address(address.partition("%")[0])  # an IPv6 zone is of this machine only
    return getattr(found, "ipv4_mapped", None) or found


def site_of(address: str) -> str:
    """What belongs to one owner: an address of IPv4, 64 bits of IPv6.

    Examples:
        >>> site_of("2001:db8::1:2"), site_of("::ffff:10.0.0.1"), site_of("")
        ('2001:db8::/64', '10.0.0.1', '')
    """
    try:
        found = read_address(address)
    except ValueError:
        return address
    if isinstance(found, IPv4Address):
        return str(found)
    return str(ip_network((found, _IPV6_SITE), strict=False))
