"""Reads `bridge.yaml` (docs/bridge.md): every problem at once, each with its path. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeVar, get_args

import yaml
from msgspec import UNSET

from schemas import reading
from schemas.reading import Key, Problems, read_keys
from smpp_bridge.config_values import (
    NAME,
    NAME_RULE,
    country,
    interface_version,
    networks,
    octets,
    pattern,
    short_name,
    status,
    subset_of,
    yes_or_no,
)
from smpp_bridge.configuration import (
    MAX_PENDING,
    MAX_PENDING_BYTES,
    MAX_UNACKNOWLEDGED,
    MAX_UNACKNOWLEDGED_BYTES,
    RESENT,
    Account,
    Addressing,
    BridgeConfig,
    ConnectionConfig,
    ContentTag,
    ProxyConfig,
    Tls,
)
from smpp_bridge.protocol.constants import INTERFACE_VERSION, CommandStatus
from smpp_bridge.protocol.receipts import ReceiptRules
from smpp_bridge.protocol.text import AnyEncoding

T = TypeVar("T")
PASSWORD: Final = 8
LONG_PASSWORD: Final = 64
"""Octets: SMPP 3.4 §5.2.2, and what operators take who do not keep to it."""
_PURPOSES: Final = ("promotional", "transactional", "service", "otp")
_BIND_MODES: Final = ("transceiver", "transmitter", "receiver")


class ConfigError(ValueError):
    """The file cannot be used; `problems` are sentences with path and fix."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(f"- {problem}" for problem in problems))
        self.problems = problems


@dataclass(frozen=True, slots=True)
class ConfigFile:
    """The configuration and the names of the variables that hold its passwords."""

    config: BridgeConfig
    secrets: frozenset[str]


def parse_config(source: str, environ: Mapping[str, str]) -> ConfigFile:
    """Read the file's text.

    Args:
        source: YAML.
        environ: Where the passwords are.

    Raises:
        ConfigError: With every problem that was found.
    """
    loader = _Loader(source)
    try:
        data = loader.get_single_data()
    except yaml.YAMLError as error:
        raise ConfigError([f"the file is not YAML: {' '.join(str(error).split())}"]) from error
    reader = _Reader(environ)
    reader.problems.sentences += loader.duplicates
    config = reader.read(data)
    if reader.problems.sentences:
        raise ConfigError(reader.problems.sentences)
    assert config is not None
    return ConfigFile(config, frozenset(reader.secrets))


class _Loader(yaml.SafeLoader):
    """Notices names that stand twice in one mapping, of which YAML keeps the last in silence."""

    def __init__(self, source: str) -> None:
        super().__init__(source)
        self.duplicates: list[str] = []

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        """As PyYAML does it, with a look at the names before merge keys add theirs."""
        node: yaml.MappingNode = super().compose_mapping_node(anchor)
        lines: dict[str, int] = {}
        for key, _ in node.value:
            line, name = key.start_mark.line + 1, str(key.value)
            if name in lines:
                sentence = f"stands twice, in lines {lines[name]} and {line}; take one out."
                self.duplicates.append(f"{name}: {sentence}")
            lines[name] = line
        return node


_TLS: Final = {
    "ca": Key(reading.text, None),
    "cert": Key(reading.text, None),
    "key": Key(reading.text, None),
    "server_name": Key(reading.text, None),
}
_RECEIPTS: Final = {
    "receipts_without_esm_class": Key(yes_or_no, default=True),
    "accepted_is_final": Key(yes_or_no, None),
    "unknown_is_final": Key(yes_or_no, None),
}
_OCTET: Final = reading.whole(0, 255)
_ADDRESSING: Final = {
    "source_addr_ton": Key(_OCTET, None),
    "source_addr_npi": Key(_OCTET, None),
    "dest_addr_ton": Key(_OCTET, None),
    "dest_addr_npi": Key(_OCTET, None),
    "service_type": Key(octets(5), ""),
}
_PASSWORD: Final = {
    "password_env": Key(reading.text),
    "allow_long_password": Key(yes_or_no, default=False),
}
_CONNECTION: Final = {
    "group": Key(short_name, UNSET),
    "host": Key(reading.text),
    "port": Key(reading.whole(1, 65535), 2775),
    "system_id": Key(octets(15)),
    **_PASSWORD,
    "system_type": Key(octets(12), ""),
    "bind": Key(reading.one_of(*_BIND_MODES, "transmitter+receiver"), "transceiver"),
    "binds": Key(reading.whole(1, 32), 1),
    "window": Key(reading.whole(1, 10_000), 64),
    "rate_per_s": Key(reading.number(0.01, 1e6), None),
    "response_timeout_s": Key(reading.number(1, 3600), 60.0),
    "enquire_link_s": Key(reading.number(1, 3600), 30.0),
    "inactivity_s": Key(reading.number(1, 604_800), math.inf),
    "interface_version": Key(interface_version, INTERFACE_VERSION),
    "addr_ton": Key(_OCTET, 0),
    "addr_npi": Key(_OCTET, 0),
    "address_range": Key(octets(40), ""),
    "tls": Key(reading.anything, None),
    "resend": Key(subset_of(*_PURPOSES), tuple(sorted(RESENT))),
    "failed_publish_status": Key(
        status("RX_T_APPN", "RSYSERR", "RMSGQFUL", "RTHROTTLED"), CommandStatus.RX_T_APPN
    ),
    "when_full": Key(reading.one_of("pause", "refuse"), "pause"),
    "max_unacknowledged": Key(reading.whole(1, 1_000_000), MAX_UNACKNOWLEDGED),
    "max_unacknowledged_bytes": Key(reading.whole(1, 2**32), MAX_UNACKNOWLEDGED_BYTES),
    "max_pending": Key(reading.whole(1, 1_000_000), MAX_PENDING),
    "max_pending_bytes": Key(reading.whole(1, 2**32), MAX_PENDING_BYTES),
    "max_wait_s": Key(reading.number(0.1, 3600), 10.0),
    "default_region": Key(country, ""),
    "default_encoding": Key(reading.one_of(*get_args(AnyEncoding)), "gsm7"),
    **_ADDRESSING,
    **_RECEIPTS,
}
_ACCOUNT: Final = {
    **_PASSWORD,
    "connection": Key(reading.text),
    "binds": Key(subset_of(*_BIND_MODES), _BIND_MODES),
    "max_binds": Key(reading.whole(1, 1000), 4),
    "rate_per_s": Key(reading.number(0.01, 1e6), None),
    "window": Key(reading.whole(1, 10_000), 100),
    "allow": Key(networks, ()),
    "senders": Key(reading.texts, ()),
    "when_unbound": Key(reading.one_of("refuse", "queue", "drop"), "refuse"),
}
_CONTENT_TAG: Final = {
    "tag": Key(reading.text),
    "text": Key(pattern, None),
    "source_addr": Key(pattern, None),
}
_LISTEN: Final = {
    "host": Key(reading.text, "0.0.0.0"),  # noqa: S104 - see ProxyConfig.host
    "port": Key(reading.whole(0, 65535), 2776),
    "tls": Key(reading.anything, None),
    "system_id": Key(octets(15), "smslab"),
    "unrouted": Key(reading.one_of("refuse", "drop"), "refuse"),
    "max_connections": Key(reading.whole(1, 100_000), 1000),
    "response_timeout_s": Key(reading.number(1, 3600), 60.0),
    "enquire_link_s": Key(reading.number(1, 3600), 60.0),
    "kafka_away_status": Key(status("RTHROTTLED", "RMSGQFUL", "RSYSERR"), CommandStatus.RTHROTTLED),
    "kafka_patience_s": Key(reading.number(0.1, 3600), 5.0),
}
_FILE: Final = {
    "mode": Key(reading.one_of("gateway", "proxy"), "gateway"),
    "connections": Key(reading.anything),
    "listen": Key(reading.anything, None),
    "accounts": Key(reading.anything, None),
    "content_tags": Key(reading.anything, None),
}
_PROXY_ONLY: Final = ("listen", "accounts", "content_tags")


class _Reader:
    """One pass over the file."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self.problems = Problems()
        self.secrets: set[str] = set()

    def read(self, data: Any) -> BridgeConfig | None:
        """The whole file; `None` when there are problems."""
        found = read_keys(data, "", _FILE, self.problems)
        connections = self._named(found.get("connections"), "connections", self._connection)
        is_proxy = found.get("mode") == "proxy"
        if not is_proxy:
            for name in (name for name in _PROXY_ONLY if found.get(name) is not None):
                self.problems.add(name, "is for mode: proxy; add that, or take this out.")
            proxy = None
        else:
            proxy = self._proxy(found, connections)
        if self.problems.sentences:
            return None
        return BridgeConfig(connections=tuple(connections.values()), proxy=proxy)

    def _named(self, value: Any, path: str, read: Callable[[str, Any], T | None]) -> dict[str, T]:
        if not isinstance(value, Mapping) or not value:
            self.problems.add(path, "must be a mapping of names, with at least one.")
            return {}
        found: dict[str, T] = {}
        for name, each in value.items():
            one = read(str(name), each)
            if one is not None:
                found[str(name)] = one
        return found

    def _connection(self, name: str, value: Any) -> ConnectionConfig | None:
        path = f"connections.{name}"
        if not NAME.fullmatch(name):
            self.problems.add(path, NAME_RULE)
        found = self._section(value, path, _CONNECTION)
        if found is None:
            return None
        rules = ReceiptRules(
            detects_unmarked=found.pop("receipts_without_esm_class"),
            is_accepted_final=found.pop("accepted_is_final"),
            is_unknown_final=found.pop("unknown_is_final"),
        )
        addressing = Addressing(**{key: found.pop(key) for key in _ADDRESSING})
        variable = found.pop("password_env")
        if found["group"] == name:
            found["group"] = UNSET
        return ConnectionConfig(
            name=name,
            **(found | {"resend": frozenset(found["resend"])}),
            receipts=rules,
            addressing=addressing,
            system_id_setting=f"{path}.system_id",
            password_setting=f"{variable} ({path}.password_env)",
        )

    def _account(self, name: str, value: Any) -> Account | None:
        path = f"accounts.{name}"
        if len(name.encode()) > 15:
            self.problems.add(path, "is a system_id, must be at most 15 octets.")
        found = self._section(value, path, _ACCOUNT)
        if found is None:
            return None
        del found["password_env"]
        return Account(system_id=name, **found)

    def _section(self, value: Any, path: str, keys: Mapping[str, Key]) -> dict[str, Any] | None:
        """A connection or an account: its keys, with password and TLS; `None` at a problem."""
        before = len(self.problems.sentences)
        found = read_keys(value, path, keys, self.problems)
        limit = LONG_PASSWORD if found.pop("allow_long_password", False) else PASSWORD
        if "password_env" in found:
            variable = found["password_env"]
            found["password"] = self._password(variable, f"{path}.password_env", limit)
        if found.get("tls") is not None:
            found["tls"] = self._tls(found["tls"], f"{path}.tls")
        return found if len(self.problems.sentences) == before else None

    def _password(self, variable: str, path: str, limit: int) -> str:
        self.secrets.add(variable)
        password = self._environ.get(variable, "")
        if not password:
            self.problems.add(path, f"the environment variable {variable} is not set; set it.")
        elif len(password.encode()) > limit:
            hint = "" if limit == LONG_PASSWORD else "; if the peer takes it, allow_long_password"
            sentence = f"the password in {variable} must be at most {limit} octets{hint}."
            self.problems.add(path, sentence)
        return password

    def _tls(self, value: Any, path: str) -> Tls:
        found = read_keys({} if value is True else value, path, _TLS, self.problems)
        if (found.get("cert") is None) != (found.get("key") is None):
            self.problems.add(path, "needs cert and key together; add the other one.")
        return Tls(**found)

    def _proxy(
        self, found: Mapping[str, Any], connections: Mapping[str, ConnectionConfig]
    ) -> ProxyConfig | None:
        listen = read_keys(found.get("listen") or {}, "listen", _LISTEN, self.problems)
        if listen.get("tls") is not None:
            listen["tls"] = self._tls(listen["tls"], "listen.tls")
            if listen["tls"].cert is None:
                self.problems.add("listen.tls", "a listener needs cert and key; add them.")
        accounts = self._named(found.get("accounts"), "accounts", self._account)
        for name, account in accounts.items():
            if connections and account.connection not in connections:
                known = ", ".join(connections)
                sentence = f"{account.connection!r} is not among connections; known: {known}."
                self.problems.add(f"accounts.{name}.connection", sentence)
            elif connections and connections[account.connection].bind == "receiver":
                self._receiving(f"accounts.{name}.binds", account)
        tags = self._content_tags(found.get("content_tags"))
        if self.problems.sentences:
            return None
        return ProxyConfig(accounts=tuple(accounts.values()), content_tags=tags, **listen)

    def _receiving(self, path: str, account: Account) -> None:
        if set(account.binds) != {"receiver"}:
            sentence = (
                f"connection {account.connection!r} binds as receiver, so nothing can be submitted "
                "through it; set [receiver], or bind the connection as transceiver."
            )
            self.problems.add(path, sentence)

    def _content_tags(self, value: Any) -> tuple[ContentTag, ...]:
        if not isinstance(value or [], list):
            self.problems.add("content_tags", "must be a list of rules.")
            return ()
        tags = []
        for number, rule in enumerate(value or []):
            path = f"content_tags.{number}"
            found = read_keys(rule, path, _CONTENT_TAG, self.problems)
            if found and found.get("text") is None and found.get("source_addr") is None:
                self.problems.add(path, "needs text or source_addr to match; add one.")
            elif "tag" in found:
                tags.append(ContentTag(**found))
        return tuple(tags)
