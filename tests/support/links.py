"""One kept link in the test's own process, with an owner that notes what it reports."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from smpp_bridge.adapters.keeper import LinkKeeper
from smpp_bridge.adapters.link import Link
from smpp_bridge.configuration import ConnectionConfig
from smpp_bridge.protocol import pdu
from smpp_bridge.protocol.session_events import Received, SessionEvent


@dataclass
class Owner:
    """Notes events; answers nothing by itself."""

    events: list[SessionEvent] = field(default_factory=list)
    received: list[pdu.Pdu] = field(default_factory=list)
    answers_with: int | None = None

    def on_link_event(self, link: Link, event: SessionEvent) -> None:
        """Note it."""
        self.events.append(event)
        if isinstance(event, Received):
            self.received.append(event.request)
            if self.answers_with is not None:
                link.respond(event.request, self.answers_with)

    def on_link_ready(self) -> None:
        """Nothing waits here."""


def config_for(port: int, **keys: Any) -> ConnectionConfig:
    """A connection to a local SMSC."""
    return ConnectionConfig(name="c", system_id="shop", password="secret", port=port, **keys)


@asynccontextmanager
async def kept_link(
    config: ConnectionConfig, owner: Owner, tls: ssl.SSLContext | None = None
) -> AsyncIterator[LinkKeeper]:
    """A keeper at work while the block runs."""
    bind = pdu.BindTransceiver(
        system_id=config.system_id.encode(), password=config.password.encode()
    )
    keeper = LinkKeeper(owner, bind, config, tls)
    task = asyncio.ensure_future(keeper.run())
    try:
        yield keeper
    finally:
        task.cancel()
        if keeper.link is not None and keeper.link._transport is not None:
            keeper.link._transport.abort()
        await asyncio.gather(task, return_exceptions=True)
