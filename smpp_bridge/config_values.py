"""Readers of the values in `bridge.yaml`: a value, or a `ValueError` with the rule. Pure."""

from __future__ import annotations

import re
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Any, Final

from schemas import reading
from smpp_bridge.protocol.constants import CommandStatus

NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
NAME_RULE: Final = "must be 1-64 of a-z, 0-9, dot, dash, underscore."
_VERSIONS: Final = {"3.3": 0x33, "3.4": 0x34, "5.0": 0x50}
"""SMPP 3.4 §5.2.4, 5.0 §4.7.13."""


def short_name(value: Any) -> str:
    """A name of ours, for connections and their groups."""
    if not isinstance(value, str) or not NAME.fullmatch(value):
        raise ValueError(NAME_RULE)
    return value


def octets(limit: int) -> reading.Parse:
    """A text of at most `limit` octets (SMPP 3.4 §4.1)."""

    def parse(value: Any) -> str:
        result = reading.text(value)
        if len(result.encode()) > limit:
            raise ValueError(f"must be at most {limit} octets.")
        return result

    return parse


def yes_or_no(value: Any) -> bool:
    """A truth value."""
    if value is not True and value is not False:
        raise ValueError("must be true or false.")
    return bool(value)


def subset_of(*options: str) -> reading.Parse:
    """A list of some of the given words."""

    def parse(value: Any) -> tuple[str, ...]:
        if not isinstance(value, list) or not set(map(str, value)) <= set(options):
            raise ValueError(f"must be a list of some of {', '.join(options)}.")
        return tuple(dict.fromkeys(map(str, value)))

    return parse


def status(*names: str) -> reading.Parse:
    """A command_status by name."""
    word = reading.one_of(*names)
    return lambda value: CommandStatus[word(value)]


def pattern(value: Any) -> re.Pattern[str]:
    """A regular expression."""
    try:
        return re.compile(reading.text(value))
    except re.error as error:
        raise ValueError(f"must be a regular expression: {error}.") from error


def networks(value: Any) -> tuple[IPv4Network | IPv6Network, ...]:
    """A list of addresses or networks."""
    try:
        return tuple(ip_network(item) for item in reading.texts(value))
    except ValueError as error:
        raise ValueError(f"must be a list of addresses or networks: {error}.") from error


def country(value: Any) -> str:
    """A country by its two letters."""
    if not isinstance(value, str) or not re.fullmatch("[A-Z]{2}", value):
        raise ValueError("must be a country in two letters, e.g. CN.")
    return value


def interface_version(value: Any) -> int:
    """A version of SMPP; YAML reads 3.4 as a number."""
    if str(value) not in _VERSIONS:
        raise ValueError(f"must be one of {', '.join(_VERSIONS)}.")
    return _VERSIONS[str(value)]
