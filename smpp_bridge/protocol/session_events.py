"""What a session reports to its shell."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from smpp_bridge.protocol import pdu


@dataclass(frozen=True, slots=True)
class BindRequested:
    """An ESME wants to bind; answer with `Session.answer_bind`."""

    request: pdu.Bind


@dataclass(frozen=True, slots=True)
class Bound:
    """The bind was accepted."""

    response: pdu.BindResp


@dataclass(frozen=True, slots=True)
class BindRefused:
    """The SMSC refused the bind; the session is of no more use."""

    command_status: int


@dataclass(frozen=True, slots=True)
class Received:
    """A request of the peer (`pdu.Request`); answer with `Session.respond` or `refuse`."""

    request: pdu.Request


@dataclass(frozen=True, slots=True)
class Answered:
    """A request of ours was answered. `is_late`: after `Expired` was reported for it."""

    context: Any
    response: pdu.Pdu
    latency_s: float
    is_late: bool = False


@dataclass(frozen=True, slots=True)
class Expired:
    """No answer within the response timeout; a late one will still be reported."""

    context: Any


@dataclass(frozen=True, slots=True)
class Unparsed:
    """A whole frame that we cannot read; already answered where the protocol wants it."""

    frame: bytes
    reason: str


@dataclass(frozen=True, slots=True)
class Unexpected:
    """An answer that nobody asked for, or a request that was refused or has no effect here."""

    pdu: pdu.Pdu


@dataclass(frozen=True, slots=True)
class AlertReceived:
    """A phone that was away is back (§4.12); nothing to answer."""

    notification: pdu.AlertNotification


@dataclass(frozen=True, slots=True)
class OutbindReceived:
    """The SMSC has something for us and asks us to bind as receiver (§2.2.1, §4.1.7)."""

    request: pdu.Outbind


@dataclass(frozen=True, slots=True)
class Closed:
    """The session has ended; `unanswered` are the contexts whose fate is unknown."""

    reason: str
    unanswered: tuple[Any, ...]


SessionEvent = (
    BindRequested
    | Bound
    | BindRefused
    | Received
    | Answered
    | Expired
    | Unparsed
    | Unexpected
    | AlertReceived
    | OutbindReceived
    | Closed
)
