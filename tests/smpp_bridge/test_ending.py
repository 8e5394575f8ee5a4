"""In what order a bridge ends."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, cast

from runtime.kafka import KafkaPublisher
from smpp_bridge.adapters.journal import Journal
from smpp_bridge.bridge import Bridge, Failure
from tests.support.topics import wait_until


class SlowPublisher:
    """Kafka has the last records only after a while."""

    pending = 0

    def __init__(self, part: CommittingPart) -> None:
        self._part = part

    def put_event(self, *_: object) -> None:
        """Nothing to report."""

    async def flush(self) -> None:
        """Done when the part has committed three times since it was asked."""
        wanted = self._part.commits + 3
        await wait_until(lambda: self._part.commits >= wanted)
        self._part.told.append("flushed")


class CommittingPart:
    """Commits regularly, as the requests of a connection do."""

    def __init__(self) -> None:
        self.commits = 0
        self.told: list[str] = []

    async def start(self) -> None:
        """Nothing."""

    def runners(self, _: asyncio.Event, /) -> list[Coroutine[Any, Any, None]]:
        """One that commits for ever."""
        return [self._commit_regularly()]

    def tick(self) -> None:
        """Nothing."""

    async def drain(self, _: float) -> None:
        """At once."""
        self.told.append("drained")

    async def stop(self) -> None:
        """The last commit."""
        self.told.append("stopped")

    async def _commit_regularly(self) -> None:
        while True:
            await asyncio.sleep(0.01)
            self.commits += 1


async def test_commits_go_on_until_kafka_has_everything(tmp_path: Path) -> None:
    """Else the lease ends meanwhile, nothing is committed last, and a successor sends it again."""
    part, stop = CommittingPart(), asyncio.Event()
    publisher = cast("KafkaPublisher", SlowPublisher(part))
    journal, failure = Journal(tmp_path, day=0), Failure(tmp_path)
    bridge = Bridge([], publisher=publisher, journal=journal, failure=failure, others=[part])
    stop.set()
    await bridge.run(stop)
    assert part.told == ["drained", "flushed", "stopped"]
