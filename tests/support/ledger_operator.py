"""The simulator's plain SMSC in a thread of its own, for callers that block."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from simulator.plain_operator import PlainOperator
from simulator.smsc import Smsc

SYSTEM_ID, PASSWORD = "smslab", "secret"


@contextmanager
def run_operator(receipt_after_s: float = 3600) -> Iterator[int]:
    """Serve while the block runs; its port."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    async def begin() -> tuple[Smsc, int]:
        smsc = Smsc(system_id=SYSTEM_ID, password=PASSWORD)
        operator = PlainOperator(smsc, receipt_after_s=receipt_after_s)
        return smsc, await operator.start("127.0.0.1", 0)

    smsc, port = asyncio.run_coroutine_threadsafe(begin(), loop).result(10)
    try:
        yield port
    finally:
        asyncio.run_coroutine_threadsafe(smsc.stop(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
