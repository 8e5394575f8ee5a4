"""SMPP to Kafka and back; knows no campaign. `Connection` is a small client for scripts."""

from smpp_bridge.client import (
    BindRefused,
    Connection,
    ConnectionLost,
    Delivery,
    NotAnswered,
    SmppError,
    SubmitRefused,
)

__all__ = [
    "BindRefused",
    "Connection",
    "ConnectionLost",
    "Delivery",
    "NotAnswered",
    "SmppError",
    "SubmitRefused",
]
