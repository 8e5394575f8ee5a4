"""The SMSC process of `bridge`: takes every submit_sm at once, delivers receipts as they are taken.

Prints its port as JSON, then does what its standard input says: `deliver N` makes N receipts of
messages nobody sent, `count` prints how many submit_sm came and how many receipts were taken.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from typing import Final

from simulator.messages import receipt_sm
from simulator.smsc import Peer, Smsc
from smpp_bridge.protocol import pdu
from smpp_bridge.protocol.constants import CommandStatus

SYSTEM_ID: Final = "bench"
PASSWORD: Final = "bench"  # noqa: S105 - of this process, for one run
_WAITING: Final = 4000
"""Receipts made ahead: four sessions take at most 800 without an answer."""


class Operator:
    """Answers, counts, delivers."""

    def __init__(self, *, gives_receipts: bool) -> None:
        self._gives_receipts = gives_receipts
        self.smsc = Smsc(system_id=SYSTEM_ID, password=PASSWORD)
        self.submits = 0
        self._room = asyncio.Event()

    def on_submit(self, peer: Peer, request: pdu.SubmitSm) -> None:
        """Accept, and deliver the receipt if this operator gives some."""
        self.submits += 1
        message_id = f"{self.submits:016X}"
        peer.answer(request, CommandStatus.ROK, message_id.encode())
        if self._gives_receipts:
            self._deliver(request, message_id)

    async def deliver(self, count: int) -> None:
        """Deliver that many receipts, always with some waiting."""
        for number in range(count):
            if self.smsc.undelivered >= _WAITING:
                self._room.clear()
                await self._room.wait()
            destination = b"86138%08d" % number
            request = pdu.SubmitSm(source_addr=b"10690001", destination_addr=destination)
            self._deliver(request, f"{number:016X}")

    def _deliver(self, request: pdu.SubmitSm, message_id: str) -> None:
        receipt = receipt_sm(request, message_id, now_s=time.time(), is_delivered=True, err="000")
        self.smsc.deliver(receipt, self._room.set)


async def main(*, gives_receipts: bool) -> None:
    """Serve until standard input ends."""
    operator = Operator(gives_receipts=gives_receipts)
    port = await operator.smsc.start("127.0.0.1", 0, operator.on_submit)
    _say(port=port)
    lines = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    delivering = None
    while line := await lines.readline():
        word, _, number = line.decode().strip().partition(" ")
        if word == "deliver":
            delivering = asyncio.ensure_future(operator.deliver(int(number)))
        else:
            _say(submits=operator.submits, taken=operator.smsc.taken)
    if delivering is not None:
        delivering.cancel()
    await operator.smsc.stop()


def _say(**fields: int) -> None:
    print(json.dumps(fields), flush=True)


if __name__ == "__main__":
    asyncio.run(main(gives_receipts=sys.argv[1:] == ["receipts"]))
