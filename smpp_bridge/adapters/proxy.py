"""What the relays of a proxy share: the listener, and the transit log with its recovery."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

import msgspec

from smpp_bridge.adapters.desk import Desk
from smpp_bridge.adapters.recorder import Recorder
from smpp_bridge.adapters.transit_log import TransitLog


class Proxy:
    """Starts before ESMEs may bind, ends after their last answer."""

    def __init__(
        self,
        desk: Desk,
        *,
        recorder: Recorder,
        transit_log: TransitLog,
        fail: Callable[[BaseException], None],
    ) -> None:
        self._desk = desk
        self._recorder = recorder
        self._log = transit_log
        self._fail = fail

    async def start(self) -> None:
        """Report what a crash has cut off, then listen.

        Raises:
            CannotRun: If the port is in use.
        """
        for event in list(self._log.pending.values()):
            # its real result may be in Kafka already: that is the other fact, and beats this one
            cut = msgspec.structs.replace(event, event_id=f"{event.event_id}/cut")
            self._recorder.put_event(cut, partial(self._recovered, event.event_id))
        await self._desk.start()

    def runners(self, _stop: asyncio.Event) -> list[Coroutine[Any, Any, None]]:
        """What runs until cancelled."""
        return [self._desk.tick_regularly()]

    def tick(self) -> None:
        """Nothing."""

    async def drain(self, within_s: float) -> None:
        """Answer what is due, say goodbye to the ESMEs."""
        await self._desk.drain(within_s)

    async def stop(self) -> None:
        """Close the log."""
        self._log.close()

    def _recovered(self, event_id: str, error: BaseException | None) -> None:
        if error is None:
            self._log.done(event_id)
        else:
            self._fail(error)
