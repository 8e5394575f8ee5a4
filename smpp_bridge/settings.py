"""The bridge's settings: all from the environment, or with connections from a file. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast, get_args

from runtime.settings import (
    choice,
    host_port,
    integer,
    number,
    read_settings,
    secret_bytes,
    setting,
    text,
)
from smpp_bridge.configuration import BindMode, BridgeConfig, ConnectionConfig
from smpp_bridge.protocol.text import AnyEncoding

CONFIG_VARIABLE = "SMS_BRIDGE_CONFIG"


@dataclass(frozen=True, slots=True)
class ProcessSettings:
    """What every bridge process needs, whatever it connects to."""

    kafka: str = setting("SMS_KAFKA", host_port, "Kafka's host:port.")
    subject_key: bytes = setting(
        "SMS_SUBJECT_KEY",
        secret_bytes,
        "The secret that turns phone numbers into tokens, in hexadecimal.",
        secret=True,
    )
    subject_key_id: str = setting(
        "SMS_SUBJECT_KEY_ID", text, "Short name of the key, in front of every token.", default="k1"
    )
    data: Path = setting(
        "SMS_BRIDGE_DATA", Path, "Folder of the journal.", default=Path("data/bridge")
    )
    health_host: str = setting(
        "SMS_BRIDGE_HEALTH_HOST", text, "Address of the health endpoint.", default="127.0.0.1"
    )
    health_port: int = setting(
        "SMS_BRIDGE_HEALTH_PORT", integer(0, 65535), "Its port; 0 takes a free one.", default=8081
    )


@dataclass(frozen=True, slots=True)
class FileSettings(ProcessSettings):
    """A process whose connections stand in a file; SMS_BRIDGE_HOST and the like then do not."""

    config: Path = setting(CONFIG_VARIABLE, Path, "File with the connections (docs/bridge.md).")


@dataclass(frozen=True, slots=True)
class BridgeSettings(ProcessSettings):
    """One SMPP account at one operator: `connection` is its name in every event."""

    connection: str = setting("SMS_BRIDGE_CONNECTION", text, "Name of this connection in events.")
    host: str = setting("SMS_BRIDGE_HOST", text, "Host of the SMSC.", default="127.0.0.1")
    port: int = setting("SMS_BRIDGE_PORT", integer(1, 65535), "Port of the SMSC.", default=2775)
    system_id: str = setting("SMS_BRIDGE_SYSTEM_ID", text, "Account name at the SMSC.")
    password: str = setting(
        "SMS_BRIDGE_PASSWORD", text, "Password at the SMSC, at most 8 characters.", secret=True
    )
    system_type: str = setting(
        "SMS_BRIDGE_SYSTEM_TYPE",
        text,
        "system_type of the bind, if the SMSC wants one.",
        default="",
    )
    bind: str = setting(
        "SMS_BRIDGE_BIND",
        choice("transceiver", "transmitter+receiver"),
        "One session for both directions, or one for each.",
        default="transceiver",
    )
    binds: int = setting(
        "SMS_BRIDGE_BINDS", integer(1, 32), "Parallel sessions (pairs of them).", default=1
    )
    window: int = setting(
        "SMS_BRIDGE_WINDOW", integer(1, 10_000), "Unanswered submit_sm per session.", default=64
    )
    response_timeout_s: float = setting(
        "SMS_BRIDGE_RESPONSE_TIMEOUT_S",
        number(1, 3600),
        "Seconds until an unanswered submit_sm counts as unknown.",
        default=60.0,
    )
    enquire_link_s: float = setting(
        "SMS_BRIDGE_ENQUIRE_LINK_S",
        number(1, 3600),
        "Seconds of silence after which the link is checked.",
        default=30.0,
    )
    default_region: str = setting(
        "SMS_BRIDGE_DEFAULT_REGION",
        text,
        "Country (CN, DE, …) of numbers that the SMSC sends in national form.",
        default="",
    )
    default_encoding: str = setting(
        "SMS_BRIDGE_DEFAULT_ENCODING",
        choice(*get_args(AnyEncoding)),
        "What data_coding 0 means at the SMSC.",
        default="gsm7",
    )

    def __post_init__(self) -> None:
        """Limits that the bind PDU has (SMPP 3.4 §4.1)."""
        limits = (
            ("SMS_BRIDGE_SYSTEM_ID", self.system_id, 15),
            ("SMS_BRIDGE_PASSWORD", self.password, 8),
            ("SMS_BRIDGE_SYSTEM_TYPE", self.system_type, 12),
        )
        for name, value, limit in limits:
            if len(value.encode()) > limit:
                raise ValueError(f"{name} is too long, must be at most {limit} octets.")

    def bridge_config(self) -> BridgeConfig:
        """Gateway mode with this one connection."""
        return BridgeConfig(
            connections=(
                ConnectionConfig(
                    name=self.connection,
                    host=self.host,
                    port=self.port,
                    system_id=self.system_id,
                    password=self.password,
                    system_type=self.system_type,
                    bind=cast("BindMode", self.bind),
                    binds=self.binds,
                    window=self.window,
                    response_timeout_s=self.response_timeout_s,
                    enquire_link_s=self.enquire_link_s,
                    default_region=self.default_region,
                    default_encoding=cast("AnyEncoding", self.default_encoding),
                ),
            )
        )


def read_file_settings(environ: Mapping[str, str], secrets: frozenset[str]) -> FileSettings:
    """The settings beside a configuration file.

    Args:
        environ: The environment.
        secrets: Variables that the file names as `password_env`: known, read elsewhere.

    Raises:
        SettingsError: If a variable is missing, unknown, or breaks its rule.
    """
    ours = {name: value for name, value in environ.items() if name not in secrets}
    return read_settings(FileSettings, ours)
