"""The proxy's port: takes connections, bounds them, shakes hands, counts whom it refuses.

A handshake of TLS takes a place like a session does, and as long as a bind may take.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections import Counter
from collections.abc import Callable
from typing import Final, Literal, Protocol, get_args

from runtime.process import CannotRun, ExitCode
from smpp_bridge.adapters.closing import CLOSE_WITHIN_S
from smpp_bridge.adapters.seldom import SeldomLog
from smpp_bridge.adapters.tls import server_context
from smpp_bridge.admission import Addresses, Refusal
from smpp_bridge.configuration import ProxyConfig

Reason = (
    Literal["connections", "tls", "timeout", "not_bind", "garbage", "flood", "unexpected"] | Refusal
)
"""connections: over max_connections, or not bound when a later one needed the place; tls: no
handshake; timeout: handshake or bind not in time; not_bind: something else came first; garbage: no
SMPP; flood: too much before the bind; address: not allowed for this account, or for any;
unexpected: a fault of ours."""
REASONS: Final[tuple[Reason, ...]] = tuple(
    word for part in get_args(Reason) for word in (get_args(part) or (part,))
)
HANDSHAKE_S: Final = 10.0
"""As long as a bind may take; asyncio's 60 s would be a cheap way to hold sockets."""

log = logging.getLogger(__name__)
_seldom: Final = SeldomLog(log)


class Newcomer(Protocol):
    """A connection that is not bound."""

    def give_way(self) -> None:
        """Leave: it holds a place that a later one needs."""


class Listener:
    """Calls `make` for a protocol per connection that may stay.

    `others`: how many connections are in use already, past their handshake.

    Raises:
        CannotRun: If a TLS file cannot be used.
    """

    def __init__(
        self,
        config: ProxyConfig,
        make: Callable[[], asyncio.Protocol],
        others: Callable[[], int],
        *,
        path: str = "listen",
    ) -> None:
        self._config = config
        self._others = others
        self._server: asyncio.Server | None = None
        self._arrivals: set[_Arrival] = set()
        self._unbound: dict[Newcomer, None] = {}
        """The oldest first."""
        self._addresses = Addresses(config.accounts)
        self._is_open = True
        self.make = make
        self.tls = None if config.tls is None else server_context(config.tls, f"{path}.tls")
        self.refused: Counter[Reason] = Counter()
        self.port = 0

    @property
    def connections(self) -> int:
        """Sockets in use, in their handshake or past it."""
        return len(self._arrivals) + self._others()

    async def start(self) -> None:
        """Listen.

        Raises:
            CannotRun: If the port is in use.
        """
        host, port = self._config.host, self._config.port
        try:
            self._server = await asyncio.get_running_loop().create_server(
                lambda: _Arrival(self), host, port
            )
        except OSError as error:
            raise CannotRun(
                f"listen.port == {port}: cannot listen on {host}: {error.strerror}. "
                "Stop the other program or set another port.",
                ExitCode.DEPENDENCY_UNREACHABLE,
            ) from error
        self.port = self._server.sockets[0].getsockname()[1]
        log.info("listening for ESMEs", extra={"fields": {"port": self.port}})

    def close(self) -> None:
        """Take no more; who has not shaken hands yet is dropped."""
        self._is_open = False
        if self._server is not None:
            self._server.close()
        for arrival in list(self._arrivals):
            arrival.abort()

    def refuse(self, reason: Reason, address: str) -> None:
        """Count and, now and then, log whom we do not serve."""
        self.refused[reason] += 1
        _seldom.warning(f"refused at the listener: {reason}", address=address)

    def admits(self, arrival: _Arrival) -> bool:
        """Whether a new connection may stay."""
        if not self._is_open:
            return False
        if arrival.address not in self._addresses:
            self.refuse("address", arrival.address)
            return False
        if self.connections >= self._config.max_connections and not self._has_made_room():
            self.refuse("connections", arrival.address)
            return False
        return True

    def came(self, newcomer: Newcomer) -> None:
        """It has a place until `bound_or_gone`, or until a later one needs it."""
        self._unbound[newcomer] = None

    def bound_or_gone(self, newcomer: Newcomer) -> None:
        """It keeps its place, or has left it."""
        self._unbound.pop(newcomer, None)

    def arrived(self, arrival: _Arrival) -> None:
        """It shakes hands."""
        self._arrivals.add(arrival)
        self.came(arrival)

    def left(self, arrival: _Arrival) -> None:
        """It has shaken hands, or failed to."""
        self._arrivals.discard(arrival)
        self.bound_or_gone(arrival)

    def _has_made_room(self) -> bool:
        """Who binds at once is not kept out by those who never do."""
        oldest = next(iter(self._unbound), None)
        if oldest is not None:
            oldest.give_way()
        return oldest is not None


class _Arrival(asyncio.Protocol):
    """A connection until it may speak SMPP."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self._early = b""
        self._is_lost = False
        self._shaking: asyncio.Task[None] | None = None
        self.address = ""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Somebody connected."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self.address = address_of(transport)
        if not self._listener.admits(self):
            transport.abort()
        elif self._listener.tls is None:
            self._go_on(transport)
        else:
            self._listener.arrived(self)
            self._shaking = asyncio.ensure_future(self._shake_hands(self._listener.tls))

    def data_received(self, data: bytes) -> None:
        """What came in the same segment as the end of the handshake."""
        self._early += data

    def connection_lost(self, _error: Exception | None) -> None:
        """It has gone, perhaps right after the handshake."""
        self._is_lost = True

    def abort(self) -> None:
        """Drop it."""
        self._transport.abort()

    def give_way(self) -> None:
        """Its handshake takes too long for others."""
        self._listener.refuse("connections", self.address)
        self._listener.left(self)
        self.abort()

    async def _shake_hands(self, context: ssl.SSLContext) -> None:
        try:
            secured = await asyncio.get_running_loop().start_tls(
                self._transport,
                self,
                context,
                server_side=True,
                ssl_handshake_timeout=HANDSHAKE_S,
                ssl_shutdown_timeout=CLOSE_WITHIN_S,
            )
        except ConnectionAbortedError:  # asyncio's word for HANDSHAKE_S being over
            self._listener.refuse("timeout", self.address)
            return
        except OSError:  # SSLError is one, and so is the end of the connection
            self._listener.refuse("tls", self.address)
            return
        finally:
            self._listener.left(self)
        if secured is not None and not self._is_lost:
            self._go_on(secured)

    def _go_on(self, transport: asyncio.Transport) -> None:
        protocol = self._listener.make()
        transport.set_protocol(protocol)
        protocol.connection_made(transport)
        if self._early:
            protocol.data_received(self._early)


def address_of(transport: asyncio.BaseTransport) -> str:
    """The peer's, without its port."""
    peer = transport.get_extra_info("peername")
    return str(peer[0]) if peer else ""
