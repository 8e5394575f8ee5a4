"""One SMPP session on one blocking socket: for `client` and for `smslab trace`.

There is no thread: time passes and octets move only inside `serve`. The only sockets outside
the adapters are here.
"""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Callable
from typing import Final, Literal

from smpp_bridge.adapters.tls import client_context, tls_sentence
from smpp_bridge.configuration import Tls
from smpp_bridge.protocol.session import Session
from smpp_bridge.protocol.session_events import SessionEvent

__all__ = ["Tls", "Wire", "client_context", "open_socket", "secure", "tls_sentence"]

_CHUNK: Final = 65_536
Direction = Literal["sent", "received"]
Watch = Callable[[Direction, bytes], None]
"""Told of all octets, cut anywhere."""


def open_socket(host: str, port: int, timeout_s: float) -> socket.socket:
    """Connect.

    Raises:
        OSError: If the host is unknown, refuses, or stays silent.
    """
    found = socket.create_connection((host, port), timeout=timeout_s)
    found.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return found


def secure(plain: socket.socket, context: ssl.SSLContext, name: str) -> ssl.SSLSocket:
    """Shake hands; `name` is asked for (SNI) and checked. The socket is closed when it fails.

    Raises:
        OSError: If the handshake fails; `tls_sentence` says why.
    """
    try:
        return context.wrap_socket(plain, server_hostname=name)
    except OSError:
        plain.close()
        raise


class Wire:
    """Moves the octets of a session."""

    def __init__(
        self,
        session: Session,
        connected: socket.socket,
        *,
        timeout_s: float,
        watch: Watch | None = None,
    ) -> None:
        self.session = session
        self._socket = connected
        self._timeout_s = timeout_s
        self._watch = watch

    def serve(self, wait_s: float) -> list[SessionEvent]:
        """Write what is due, read what comes within `wait_s`, let time pass."""
        session = self.session
        self.flush()
        self._socket.settimeout(wait_s)
        try:
            data = self._socket.recv(_CHUNK)
        except TimeoutError:
            pass
        except OSError as error:
            session.disconnected(tls_sentence(error) or str(error))
        else:
            self._received(data)
        session.tick(time.monotonic())
        events = session.events()
        self.flush()
        return events

    def flush(self) -> None:
        """Write what the session wants to send."""
        data = self.session.data_to_send()
        if not data:
            return
        if self._watch is not None:
            self._watch("sent", data)
        self._socket.settimeout(self._timeout_s)
        try:
            self._socket.sendall(data)
        except OSError as error:  # a timeout, too: half a PDU may be out
            self.session.disconnected(tls_sentence(error) or str(error))

    def close(self) -> None:
        """Drop the connection."""
        self._socket.close()

    def _received(self, data: bytes) -> None:
        if not data:
            self.session.disconnected("the SMSC closed the connection")
            return
        if self._watch is not None:
            self._watch("received", data)
        self.session.receive_data(data, time.monotonic())
