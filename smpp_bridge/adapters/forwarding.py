"""From the SMSC to the ESMEs of a connection: whose a deliver_sm is, and how many wait for them."""

from __future__ import annotations

import logging
from functools import partial
from typing import Final

from smpp_bridge.adapters.deliveries import Delivery
from smpp_bridge.adapters.desk import Desk
from smpp_bridge.adapters.seldom import SeldomLog
from smpp_bridge.configuration import ConnectionConfig, Unrouted
from smpp_bridge.owners import Owners
from smpp_bridge.protocol.constants import CommandStatus
from smpp_bridge.protocol.session import octets_of
from smpp_bridge.shares import Shares

_HELD_BY_ESMES: Final = 4
"""A quarter of `max_unacknowledged` may wait for ESMEs, all together; beyond, the SMSC keeps it.
Slow ones must not make the link rest, which others share."""
_UNROUTED: Final[dict[Unrouted, CommandStatus]] = {
    "refuse": CommandStatus.RX_T_APPN,
    "drop": CommandStatus.ROK,
}

log = SeldomLog(logging.getLogger(__name__))


class Forwarding:
    """One connection. `then`: what happens to a deliver_sm that belongs to no account."""

    def __init__(
        self, config: ConnectionConfig, *, desk: Desk, owners: Owners, then: Unrouted
    ) -> None:
        self._name = config.name
        self._desk = desk
        self._owners = owners
        self._then: Unrouted = then
        self._held = Shares(
            owners.accounts,
            messages=config.max_unacknowledged // _HELD_BY_ESMES,
            octets=config.max_unacknowledged_bytes // _HELD_BY_ESMES,
        )
        self.unrouted = 0
        """deliver_sm that belong to no account: recorded, then what the policy says."""

    def forward(self, delivery: Delivery) -> None:
        """Bring it to its account, which answers, or answer it."""
        owner = self._owners.owner_of(delivery.request)
        if owner is None:
            self.unrouted += 1
            log.warning("deliver_sm of no account", connection=self._name, then=self._then)
            delivery.answer(_UNROUTED[self._then])
            return
        octets = octets_of(delivery.request)
        if self._held.take(owner, octets):
            delivery.on_answer = partial(self._held.give, owner, octets)
            self._desk.deliver(delivery, owner)
        else:
            delivery.answer(CommandStatus.RX_T_APPN)
