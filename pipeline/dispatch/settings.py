"""Settings of the dispatcher, which runs inside `smslab campaign apply`."""

from __future__ import annotations

from dataclasses import dataclass

from runtime.settings import host_port, secret_bytes, setting, text


@dataclass(frozen=True, slots=True)
class DispatchSettings:
    """Where to publish, the key of tokens, and the address in front of short links."""

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
    tracking_url: str = setting(
        "SMS_DISPATCH_TRACKING_URL",
        text,
        "Address of tracking in front of every short link, e.g. https://go.example.",
        default="http://127.0.0.1:8090",
    )
