"""The simulator's settings, all from the environment."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from runtime.settings import integer, secret_bytes, setting, text


@dataclass(frozen=True, slots=True)
class SimulatorSettings:
    """An operator and an audience."""

    subject_key: bytes = setting(
        "SMS_SUBJECT_KEY",
        secret_bytes,
        "The secret that turns phone numbers into tokens, in hexadecimal.",
        secret=True,
    )
    subject_key_id: str = setting(
        "SMS_SUBJECT_KEY_ID", text, "Short name of the key, in front of every token.", default="k1"
    )
    campaign: Path = setting("SMS_SIMULATOR_CAMPAIGN", Path, "The campaign file.")
    effects: Path = setting("SMS_SIMULATOR_EFFECTS", Path, "The file of true effects.")
    audience: Path = setting("SMS_SIMULATOR_AUDIENCE", Path, "The audience file (CSV).")
    ledger: Path = setting("SMS_SIMULATOR_LEDGER", Path, "Where to write what happened.")
    tracking_url: str = setting("SMS_SIMULATOR_TRACKING_URL", text, "Where tracking listens.")
    webhook_secret: str = setting(
        "SMS_SIMULATOR_WEBHOOK_SECRET",
        text,
        "Bearer secret of the conversion webhook.",
        secret=True,
    )
    host: str = setting("SMS_SIMULATOR_HOST", text, "Address of the SMSC.", default="127.0.0.1")
    port: int = setting("SMS_SIMULATOR_PORT", integer(0, 65535), "Port of the SMSC.", default=2775)
    system_id: str = setting("SMS_SIMULATOR_SYSTEM_ID", text, "Account name.", default="smslab")
    password: str = setting("SMS_SIMULATOR_PASSWORD", text, "Password of the account.", secret=True)
    health_host: str = setting(
        "SMS_SIMULATOR_HEALTH_HOST", text, "Address of the health endpoint.", default="127.0.0.1"
    )
    health_port: int = setting(
        "SMS_SIMULATOR_HEALTH_PORT",
        integer(0, 65535),
        "Its port; 0 takes a free one.",
        default=8083,
    )
    seed: int = setting("SMS_SIMULATOR_SEED", integer(0, 2**31), "Seed of all draws.", default=11)
