"""From nothing to a bound session: TCP, TLS, bind; each failure with what to do."""

from __future__ import annotations

import socket
import ssl
import time

from smpp_bridge.protocol.session import Session
from smpp_bridge.protocol.timers import Timeouts
from smpp_bridge.wire import Wire, open_socket, secure
from smslab.trace import advice
from smslab.trace.model import Outcome, Target
from smslab.trace.recorder import Recorder


class Ended(Exception):  # noqa: N818 - it says what happened
    """The trace cannot go on; the step that failed has been told."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome)
        self.outcome = outcome


def open_wire(target: Target, tls: ssl.SSLContext | None, recorder: Recorder) -> Wire:
    """Connect, shake hands, and have a session that is not bound yet.

    Raises:
        Ended: If there is no connection.
    """
    link = _connected(target, recorder)
    if tls is not None:
        link = _secured(link, target, tls, recorder)
    timeouts = Timeouts(response_s=target.timeout_s, session_init_s=2 * target.timeout_s)
    session = Session("esme", now=time.monotonic(), window=target.window, timeouts=timeouts)
    return Wire(session, link, timeout_s=target.timeout_s, watch=recorder.watch)


def _connected(target: Target, recorder: Recorder) -> socket.socket:
    try:
        link = open_socket(target.host, target.port, target.timeout_s)
    except OSError as error:
        recorder.ended("connect", *advice.connect_trouble(error, target))
        raise Ended("unreachable") from error
    host, port, *_ = link.getpeername()
    recorder.ended("connect", address=f"{host}:{port}")
    return link


def _secured(
    plain: socket.socket, target: Target, tls: ssl.SSLContext, recorder: Recorder
) -> ssl.SSLSocket:
    assert target.tls is not None
    name = target.tls.server_name or target.host
    try:
        link = secure(plain, tls, name)
    except OSError as error:
        recorder.ended("tls", *advice.tls_trouble(error))
        raise Ended("unreachable") from error
    certificate = link.getpeercert() or {}
    recorder.ended(
        "tls",
        version=link.version(),
        cipher=(link.cipher() or ("",))[0],
        server_name=name,
        valid_until=str(certificate.get("notAfter", "")),
    )
    return link
