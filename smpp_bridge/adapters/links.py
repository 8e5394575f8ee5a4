"""All links of one connection: made, kept, counted, drained. What they report goes to the owner."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, Final

from runtime.process import CannotRun
from smpp_bridge.adapters.keeper import LinkKeeper
from smpp_bridge.adapters.link import Link
from smpp_bridge.adapters.tls import client_context
from smpp_bridge.configuration import ConnectionConfig
from smpp_bridge.protocol import pdu
from smpp_bridge.protocol.constants import CommandStatus
from smpp_bridge.protocol.session_events import BindRefused, SessionEvent
from smpp_bridge.protocol.states import SessionState

_BINDS: Final[dict[str, tuple[type[pdu.Bind], ...]]] = {
    "transceiver": (pdu.BindTransceiver,),
    "transmitter+receiver": (pdu.BindTransmitter, pdu.BindReceiver),
    "transmitter": (pdu.BindTransmitter,),
    "receiver": (pdu.BindReceiver,),
}
_RANKS: Final = (
    SessionState.CLOSED,
    SessionState.OPEN,
    SessionState.UNBINDING,
    SessionState.BOUND_RX,
    SessionState.BOUND_TX,
    SessionState.BOUND_TRX,
)
"""Worst first."""


class Links:
    """The links of one connection.

    `refused` is called with a sentence when the very first bind is refused for its
    credentials: a mistake of the settings, not of the network.

    Raises:
        CannotRun: If a TLS file cannot be used.
    """

    def __init__(
        self,
        config: ConnectionConfig,
        *,
        on_event: Callable[[Link, SessionEvent], None],
        on_ready: Callable[[], None],
        refused: Callable[[CannotRun], None],
    ) -> None:
        self._config = config
        self._on_event = on_event
        self.on_link_ready = on_ready
        self._refused = refused
        self._tls = None
        if config.tls is not None:
            self._tls = client_context(config.tls, f"connections.{config.name}.tls")
        self._keepers = list(self._make_keepers())

    def _make_keepers(self) -> Iterator[LinkKeeper]:
        config = self._config
        for cls in _BINDS[config.bind] * config.binds:
            bind = cls(
                system_id=config.system_id.encode(),
                password=config.password.encode(),
                system_type=config.system_type.encode(),
                interface_version=config.interface_version,
                addr_ton=config.addr_ton,
                addr_npi=config.addr_npi,
                address_range=config.address_range.encode(),
            )
            yield LinkKeeper(self, bind, config, self._tls)

    def runners(self) -> list[Coroutine[Any, Any, None]]:
        """What keeps them up, to be run until cancelled."""
        return [keeper.run() for keeper in self._keepers]

    def connected(self) -> list[Link]:
        """Those with a socket."""
        return [keeper.link for keeper in self._keepers if keeper.link is not None]

    @property
    def size(self) -> int:
        """How many there shall be."""
        return len(self._keepers)

    @property
    def bound(self) -> int:
        """How many are bound."""
        return sum(link.session.is_bound for link in self.connected())

    @property
    def can_transmit(self) -> bool:
        """Whether one of them is bound for submit_sm; a receiver alone is of no use for that."""
        return any(link.is_transmitter for link in self.connected())

    @property
    def window_in_use(self) -> int:
        """Unanswered requests of ours."""
        return sum(len(link.session.window) for link in self.connected())

    @property
    def state(self) -> SessionState:
        """The worst one's."""
        return min((keeper.state for keeper in self._keepers), key=_RANKS.index)

    @property
    def reconnects(self) -> int:
        """Binds after the first of each link."""
        return sum(max(0, keeper.binds - 1) for keeper in self._keepers)

    @property
    def refused_full(self) -> int:
        """Requests of the SMSC that were refused because too many wait."""
        return sum(keeper.refused_full for keeper in self._keepers)

    @property
    def last_error(self) -> str | None:
        """Why a link is down, if one is."""
        return next((k.last_error for k in self._keepers if k.last_error), None)

    def on_link_event(self, link: Link, event: SessionEvent) -> None:
        """Pass on what a session reports; a refused first bind is told."""
        if isinstance(event, BindRefused):
            self._check_credentials(event.command_status)
        self._on_event(link, event)

    def _check_credentials(self, status: int) -> None:
        config = self._config
        setting = {
            CommandStatus.RINVPASWD: config.password_setting,
            CommandStatus.RINVSYSID: config.system_id_setting,
        }.get(status)  # type: ignore[call-overload] # any int may come
        if setting and not any(keeper.binds for keeper in self._keepers):
            sentence = (
                f"The SMSC at {config.host}:{config.port} refused the bind of system_id "
                f"{config.system_id!r}: check {setting}."
            )
            self._refused(CannotRun(sentence))

    async def drain(self, within_s: float) -> None:
        """Wait for the answers that are due, say goodbye; nothing binds again."""
        for keeper in self._keepers:
            keeper.is_leaving = True
        loop = asyncio.get_running_loop()
        deadline = loop.time() + within_s
        # many sessions end the wait, once in a life: an event for it would cost more than it saves
        while loop.time() < deadline and self.window_in_use:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
        for link in self.connected():
            if link.session.is_bound:
                link.session.unbind()
                link.flush()
            elif link.session.state is SessionState.OPEN:
                link.abort()
        closing = [asyncio.ensure_future(link.closed.wait()) for link in self.connected()]
        if closing:
            await asyncio.wait(closing, timeout=max(0.2, deadline - loop.time()))
        for link in self.connected():
            link.abort()  # it has not answered the goodbye
