"""SMPP to Kafka and back; knows no campaign. `Connection` is a small client for scripts."""

from smpp_bridge.client import (
    BindRefused,
    Connection,
    ConnectionLost,
    Delivery,
    MessageStatus,
    NotAnswered,
    Refused,
    SmppError,
    SubmitRefused,
    WrongAnswer,
)

__all__ = [
    "BindRefused",
    "Connection",
    "ConnectionLost",
    "Delivery",
    "MessageStatus",
    "NotAnswered",
    "Refused",
    "SmppError",
    "SubmitRefused",
    "WrongAnswer",
]
