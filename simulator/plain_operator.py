"""An operator without a campaign: takes every message, reports it delivered. For first steps."""

from __future__ import annotations

import asyncio
import itertools
import time

from simulator.held import Held
from simulator.messages import receipt_sm
from simulator.smsc import Peer, Smsc
from smpp_bridge.protocol import pdu
from smpp_bridge.protocol.constants import CommandStatus


class PlainOperator:
    """Ids count up in hexadecimal; receipts name them in decimal, as many operators do."""

    def __init__(self, smsc: Smsc, *, receipt_after_s: float) -> None:
        self._smsc = smsc
        self._receipt_after_s = receipt_after_s
        self._numbers = itertools.count(1)
        self.held = Held(may_replace=True)

    async def start(self, host: str, port: int) -> int:
        """Listen; returns the real port.

        Raises:
            OSError: If the port is in use.
        """
        return await self._smsc.start(host, port, self._take, self._other)

    def _take(self, peer: Peer, request: pdu.SubmitSm | pdu.DataSm) -> None:
        number = next(self._numbers)
        message_id = b"%X" % number
        self.held.accept(message_id, request)
        peer.answer(request, CommandStatus.ROK, message_id)
        loop = asyncio.get_running_loop()
        loop.call_later(self._receipt_after_s, self._deliver, number, message_id, request)

    def _deliver(self, number: int, message_id: bytes, request: pdu.SubmitSm | pdu.DataSm) -> None:
        now_s = time.time()
        if self.held.finish(message_id, "DELIVERED", now_s) and request.registered_delivery & 1:
            receipt = receipt_sm(request, str(number), now_s=now_s, is_delivered=True, err="000")
            self._smsc.deliver(receipt, lambda: None)

    def _other(self, peer: Peer, request: pdu.Request) -> None:
        if isinstance(request, pdu.DataSm):
            self._take(peer, request)
        elif isinstance(request, (pdu.QuerySm, pdu.CancelSm, pdu.ReplaceSm)):
            status, fields = self.held.manage(request, time.time())
            peer.answer(request, status, **fields)
