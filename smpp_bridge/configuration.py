"""What a bridge connects to, as values: connections, and in proxy mode accounts. Pure.

Made from the environment (`settings`, one connection) or from a file (`config_file`, many).
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network
from typing import Final, Literal

from msgspec import UNSET, UnsetType

from schemas.events import URGENT, Purpose
from smpp_bridge.protocol.constants import INTERFACE_VERSION, CommandStatus
from smpp_bridge.protocol.receipts import ReceiptRules
from smpp_bridge.protocol.text import AnyEncoding

BindMode = Literal["transceiver", "transmitter+receiver", "transmitter", "receiver"]
Mode = Literal["gateway", "proxy"]
WhenFull = Literal["pause", "refuse"]
Unbound = Literal["refuse", "queue", "drop"]
Unrouted = Literal["refuse", "drop"]

RESENT: Final = URGENT
"""Better twice than never; everything else is reported as unknown and left alone."""
MAX_UNACKNOWLEDGED: Final = 4000
"""deliver_sm that wait for Kafka, per link; about 0.8 KB each. Above, the link is not read."""
MAX_UNACKNOWLEDGED_BYTES: Final = 8 * 2**20
"""The same in octets: 120 PDUs of 64 KiB."""
MAX_PENDING: Final = 10_000
"""submit_sm of all ESMEs that one connection of a proxy holds; about 1.5 KB each."""
MAX_PENDING_BYTES: Final = 64 * 2**20
"""The same in octets: 1000 PDUs of 64 KiB."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tls:
    """TLS to an SMSC, or of our listener. Paths of PEM files; `ca` None is the system's store."""

    ca: str | None = None
    cert: str | None = None
    key: str | None = None
    server_name: str | None = None
    """Name to ask for and to check (SNI); the host when None."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Addressing:
    """How this SMSC wants submit_sm of gateway mode. `None`: by the kind of the address.

    Senders of letters are TON 5, NPI 0, whatever is set for numbers.
    """

    source_addr_ton: int | None = None
    source_addr_npi: int | None = None
    dest_addr_ton: int | None = None
    dest_addr_npi: int | None = None
    service_type: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionConfig:
    """One account at one operator, or a part of it; `name` is its name in every event."""

    name: str
    group: str | UnsetType = UNSET
    """Shared by the connections of one account: receipts of one may come over another."""
    host: str = "127.0.0.1"
    port: int = 2775
    system_id: str
    password: str = field(repr=False)
    system_type: str = ""
    bind: BindMode = "transceiver"
    binds: int = 1
    window: int = 64
    rate_per_s: float | None = None
    response_timeout_s: float = 60.0
    enquire_link_s: float = 30.0
    inactivity_s: float = math.inf
    """Without a message for this time the session unbinds, and binds again (SMPP 3.4 §7.2)."""
    interface_version: int = INTERFACE_VERSION
    """Of the bind; some SMSCs insist on 0x33."""
    addr_ton: int = 0
    addr_npi: int = 0
    address_range: str = ""
    """Of the bind: which destinations of deliver_sm are ours (§5.2.7)."""
    tls: Tls | None = None
    receipts: ReceiptRules = field(default_factory=ReceiptRules)
    default_region: str = ""
    """Country of numbers that come in national form."""
    default_encoding: AnyEncoding = "gsm7"
    """What data_coding 0 means at this SMSC, both ways (§5.2.19: the SMSC's default)."""
    addressing: Addressing = field(default_factory=Addressing)
    resend: frozenset[Purpose] = RESENT
    failed_publish_status: CommandStatus = CommandStatus.RX_T_APPN
    """Answer to a deliver_sm that Kafka has not taken; never ROK."""
    when_full: WhenFull = "pause"
    max_unacknowledged: int = MAX_UNACKNOWLEDGED
    max_unacknowledged_bytes: int = MAX_UNACKNOWLEDGED_BYTES
    max_pending: int = MAX_PENDING
    """Proxy: submit_sm of all its ESMEs without a durable result; beyond, RMSGQFUL."""
    max_pending_bytes: int = MAX_PENDING_BYTES
    max_wait_s: float = 10.0
    """Proxy: so long a submit_sm waits for a slot or for `rate_per_s`; then RMSGQFUL."""
    system_id_setting: str = "SMS_BRIDGE_SYSTEM_ID"
    password_setting: str = "SMS_BRIDGE_PASSWORD"  # noqa: S105 - the name of a setting
    """Where the credentials come from, for the sentence when they are refused."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """One ESME that may bind to the proxy."""

    system_id: str
    password: str = field(repr=False)
    connection: str
    """Where its messages go."""
    binds: tuple[BindMode, ...] = ("transceiver", "transmitter", "receiver")
    max_binds: int = 4
    rate_per_s: float | None = None
    window: int = 100
    """Unanswered submit_sm of one session; one more is answered with RMSGQFUL."""
    allow: tuple[IPv4Network | IPv6Network, ...] = ()
    """Addresses it may come from; empty: any."""
    senders: tuple[str, ...] = ()
    """source_addr patterns (`1069*`) whose replies and receipts belong to this account."""
    when_unbound: Unbound = "refuse"
    """What happens to a deliver_sm while no receiving session of the account is there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ContentTag:
    """Names a submit_sm whose text and source_addr match; the text itself never leaves."""

    tag: str
    text: re.Pattern[str] | None = None
    source_addr: re.Pattern[str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ProxyConfig:
    """The listener and its accounts."""

    host: str = "0.0.0.0"  # noqa: S104 - ESMEs are other machines; `allow` narrows it per account
    port: int = 2776
    tls: Tls | None = None
    system_id: str = "smslab"
    accounts: tuple[Account, ...]
    content_tags: tuple[ContentTag, ...] = ()
    kafka_away_status: CommandStatus = CommandStatus.RTHROTTLED
    """Answer to a submit_sm while Kafka does not confirm."""
    kafka_patience_s: float = 5.0
    """Age of the oldest unconfirmed record from which on Kafka counts as away."""
    unrouted: Unrouted = "refuse"
    """What happens to a deliver_sm that belongs to no account."""
    max_connections: int = 1000
    response_timeout_s: float = 60.0
    enquire_link_s: float = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class BridgeConfig:
    """Everything a bridge process does. `proxy` exactly in proxy mode."""

    connections: tuple[ConnectionConfig, ...]
    proxy: ProxyConfig | None = None

    @property
    def mode(self) -> Mode:
        """What the process is for."""
        return "gateway" if self.proxy is None else "proxy"
