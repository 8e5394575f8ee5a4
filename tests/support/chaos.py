"""A badly behaved SMSC: the scripted one, with its octets cut, joined, held back or forged."""

from __future__ import annotations

import asyncio
import socket
from dataclasses import dataclass

from smpp_bridge.protocol import pdu
from smpp_bridge.protocol.codec import encode
from tests.support.smsc import Peer, Smsc


@dataclass
class Chaos(Smsc):
    """How it misbehaves; may be changed while it runs."""

    is_silent: bool = False
    """Says nothing after the answer to the bind."""
    is_bytewise: bool = False
    """Every octet is a TCP segment of its own."""
    with_bind_answer: tuple[pdu.Pdu, ...] = ()
    """Sent in one segment with the answer to the bind."""

    def forge(self, octets: bytes) -> None:
        """Write raw octets on the newest link."""
        self.peers[-1]._transport.write(octets)


class ChaosPeer(Peer):
    """Writes as the chaos wants."""

    _smsc: Chaos

    def __init__(self, smsc: Chaos) -> None:
        super().__init__(smsc)
        self._was_bound = False
        self._outbox = bytearray()
        self._is_dripping = False

    def flush(self) -> None:
        """Write, drip, add or swallow what the session wants to send."""
        data = self.session.data_to_send()
        if self.session.is_bound and not self._was_bound:
            self._was_bound = True
            data += b"".join(
                encode(each, 100 + n) for n, each in enumerate(self._smsc.with_bind_answer)
            )
        elif self._smsc.is_silent:
            return
        if self._smsc.is_bytewise:
            self._drip(data)
        elif data and not self._transport.is_closing():
            self._transport.write(data)
        if self.session.is_closed:
            self._transport.close()

    def _drip(self, data: bytes) -> None:
        self._outbox += data
        if self._outbox and not self._is_dripping:
            self._is_dripping = True
            connection = self._transport.get_extra_info("socket")
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._drop_falls()

    def _drop_falls(self) -> None:
        if not self._outbox or self._transport.is_closing():
            self._is_dripping = False
            return
        self._transport.write(bytes(self._outbox[:1]))
        del self._outbox[:1]
        asyncio.get_running_loop().call_soon(self._drop_falls)
