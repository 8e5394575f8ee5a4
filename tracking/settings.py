"""The settings of tracking, all from the environment."""

from __future__ import annotations

from dataclasses import dataclass

from runtime.settings import host_port, integer, secret_bytes, setting, text


def _secret_text(value: str) -> str:
    if len(value) < 16:
        raise ValueError("must have at least 16 characters.")
    return value


@dataclass(frozen=True, slots=True)
class TrackingSettings:
    """Where to listen, and what the shop must know to post conversions."""

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
    webhook_secret: str = setting(
        "SMS_TRACKING_WEBHOOK_SECRET",
        _secret_text,
        "Bearer secret of POST /v1/conversions.",
        secret=True,
    )
    host: str = setting("SMS_TRACKING_HOST", text, "Address to listen on.", default="127.0.0.1")
    port: int = setting("SMS_TRACKING_PORT", integer(0, 65535), "Port.", default=8090)
