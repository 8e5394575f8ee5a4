"""A small blocking SMPP client for scripts."""

from smpp_bridge.client.connection import (
    Connection,
)
from smpp_bridge.client.errors import (
    BindRefused,
    ConnectionLost,
    NotAnswered,
    Refused,
    SmppError,
    SubmitRefused,
    WrongAnswer,
)
from smpp_bridge.client.results import Delivery, MessageStatus, addressed

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
    "addressed",
]
