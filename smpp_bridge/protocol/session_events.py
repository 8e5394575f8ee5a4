"""What a session reports to its shell."""

from __future__ import annotations

from typing import Any

import msgspec

from smpp_bridge.protocol import pdu


class BindRequested(msgspec.Struct, frozen=True):
    """An ESME wants to bind; answer with `Session.answer_bind`."""

    request: pdu.Bind


class Bound(msgspec.Struct, frozen=True):
    """The bind was accepted."""

    response: pdu.BindResp


class BindRefused(msgspec.Struct, frozen=True):
    """The SMSC refused the bind; the session is of no more use."""

    command_status: int


class Received(msgspec.Struct, frozen=True):
    """A request of the peer (`pdu.Request`); answer with `Session.respond` or `refuse`."""

    request: pdu.Request


class Answered(msgspec.Struct, frozen=True):
    """A request of ours was answered. `is_late`: after `Expired` was reported for it."""

    context: Any
    response: pdu.Pdu
    latency_s: float
    is_late: bool = False


class Expired(msgspec.Struct, frozen=True):
    """No answer within the response timeout; a late one will still be reported."""

    context: Any


class Unparsed(msgspec.Struct, frozen=True):
    """A whole frame that we cannot read; already answered where the protocol wants it."""

    frame: bytes
    reason: str
    command_status: int
    """That it was answered with, unless it was an answer itself."""


class Unexpected(msgspec.Struct, frozen=True):
    """An answer that nobody asked for, or a request that was refused or has no effect here."""

    pdu: pdu.Pdu


class AlertReceived(msgspec.Struct, frozen=True):
    """A phone that was away is back (§4.12); nothing to answer."""

    notification: pdu.AlertNotification


class OutbindReceived(msgspec.Struct, frozen=True):
    """The SMSC has something for us and asks us to bind as receiver (§2.2.1, §4.1.7)."""

    request: pdu.Outbind


class Closed(msgspec.Struct, frozen=True):
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
