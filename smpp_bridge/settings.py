"""The bridge's settings, all from the environment."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from runtime.settings import choice, host_port, integer, number, secret_bytes, setting, text


@dataclass(frozen=True, slots=True)
class BridgeSettings:
    """One SMPP account at one operator: `connection` is its name in every event."""

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
    data: Path = setting(
        "SMS_BRIDGE_DATA", Path, "Folder of the journal.", default=Path("data/bridge")
    )
    health_host: str = setting(
        "SMS_BRIDGE_HEALTH_HOST", text, "Address of the health endpoint.", default="127.0.0.1"
    )
    health_port: int = setting(
        "SMS_BRIDGE_HEALTH_PORT", integer(0, 65535), "Its port; 0 takes a free one.", default=8081
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
