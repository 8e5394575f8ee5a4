"""What an SMSC has delivered and nobody has read: receipts, and messages joined from parts."""

from __future__ import annotations

import time
from collections import deque

from smpp_bridge.client.results import Delivery, delivery_of
from smpp_bridge.protocol import pdu
from smpp_bridge.protocol.long_messages import Joined, Joiner
from smpp_bridge.protocol.receipts import parse_receipt


class Inbox:
    """In the order in which it came; each with the request whose answer is due, if one is."""

    def __init__(self) -> None:
        self._entries: deque[tuple[Delivery, pdu.Request | None]] = deque()
        self._joiner = Joiner()

    def __len__(self) -> int:
        return len(self._entries)

    def take(self) -> tuple[Delivery, pdu.Request | None]:
        """The oldest."""
        return self._entries.popleft()

    def clear(self) -> None:
        """Forget what came on a connection that is gone: the SMSC sends it again."""
        self._entries.clear()

    def put(self, request: pdu.DeliverSm | pdu.DataSm) -> bool:
        """Keep a request; whether it is a part, to be answered at once.

        A peer that waits for each answer would never send the next part.
        """
        receipt = parse_receipt(request)
        if receipt is not None:
            self._entries.append((delivery_of(Joined((request,), 1, ""), receipt), request))
            return False
        now = time.monotonic()
        joined = self._joiner.add(request, now)
        is_part = joined is None or joined.total > 1
        for lost in self._joiner.expire(now):
            self._entries.append((delivery_of(lost), None))
        if joined is not None:
            self._entries.append((delivery_of(joined), None if is_part else request))
        return is_part
