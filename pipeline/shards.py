"""The partitions of one member: opened and closed as the consumer group deals them out."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol

from pipeline.batch import Delivery
from pipeline.definitions import DefinitionReader
from pipeline.opening import Log
from pipeline.shard import Shard, Tools
from pipeline.storage.shard import ShardState, open_shard
from pipeline.storage.state import LockedError

LOOK_S = 0.1
LAST_FACTS_S = 1.5
"""A part of the time that SIGTERM leaves; what is not written then the next owner writes."""
WARN_S = 10.0
"""How long a partition may wait for its last owner before it is said."""
_log = logging.getLogger(__name__)


class Source(Protocol):
    """The part of `pipeline.app.BatchSource` that says what is ours."""

    def assigned(self) -> set[tuple[str, int]] | None:
        """(topic, partition) that are ours; `None` while the group is joining."""


class Shards:
    """Opens what the group gives us, closes what it takes.

    Not the group but the lock on a partition's database decides who counts: a partition that its
    last owner still holds stays closed, and is not read, until that has let it go.
    """

    def __init__(
        self,
        tools: Tools,
        definitions: DefinitionReader,
        ask: Callable[[], Awaitable[Log | None]],
    ) -> None:
        self._tools = tools
        self._definitions = definitions
        self._ask = ask
        self._open: dict[int, Shard] = {}
        self._runs: dict[int, asyncio.Task[None]] = {}
        self._locked_s: dict[int, float] = {}
        self._assigned: set[int] | None = None

    @property
    def is_ready(self) -> bool:
        """Whether everything that is ours is open."""
        return self._assigned is not None and self._assigned <= self._open.keys()

    @property
    def people(self) -> int:
        """In memory."""
        return sum(shard.people for shard in self._open.values())

    @property
    def shelved(self) -> int:
        """Of whom only the name is in memory."""
        return sum(shard.shelved for shard in self._open.values())

    @property
    def steps(self) -> dict[int, int]:
        """Open partition → flushes stored and portions of long work done."""
        return {partition: shard.steps for partition, shard in self._open.items()}

    @property
    def partitions(self) -> list[int]:
        """Which are open."""
        return sorted(self._open)

    def is_open(self, partition: int) -> bool:
        """Whether its records may be read."""
        return partition in self._open

    def offsets(self) -> Mapping[tuple[str, int], int]:
        """Next offsets of everything that is open."""
        return {place: end for shard in self._open.values() for place, end in shard.offsets.items()}

    async def put(self, delivery: Delivery) -> None:
        """Hand a batch to its partition; one that is closed reads it again when it opens."""
        shard = self._open.get(delivery.batch.partition)
        if shard is not None:
            await shard.put(delivery)

    def define(self, delivery: Delivery) -> None:
        """Hand new definitions to all."""
        for shard in self._open.values():
            shard.define(delivery)

    async def follow(self, source: Source) -> None:
        """Open and close, for ever.

        Raises:
            Exception: Whatever ended the counting of a partition.
        """
        while True:
            has_opened = False
            assigned = source.assigned()
            if assigned is not None:
                self._assigned = {partition for _, partition in assigned}
                await self._close(self._open.keys() - self._assigned)
                has_opened = await self._open_next(self._assigned - self._open.keys())
            for run in self._runs.values():
                if run.done():
                    run.result()
            await asyncio.sleep(0 if has_opened else LOOK_S)

    async def close(self) -> None:
        """Finish what is being counted, write what facts there is time for, let everything go."""
        await self._close(set(self._open), facts_until_s=time.monotonic() + LAST_FACTS_S)

    async def _close(self, partitions: set[int], *, facts_until_s: float = 0.0) -> None:
        """Close some, at the same time."""
        for partition in partitions:
            self._open[partition].end()
        for partition in partitions:
            if (run := self._runs.pop(partition, None)) is not None:
                await run
        for partition in partitions:
            if time.monotonic() < facts_until_s:
                await self._open[partition].finish_facts()
            await asyncio.to_thread(self._open.pop(partition).close)
        self._share()

    def _share(self) -> None:
        for shard in self._open.values():
            shard.share(len(self._open))

    async def _open_next(self, partitions: set[int]) -> bool:
        """Open one of them. Returns whether; then the group is asked again: it may be another's.

        First the lock, then the question to Kafka (`Shard.open` says why).
        """
        for partition in sorted(partitions):
            state = await asyncio.to_thread(self._lock, partition)
            if state is None:
                continue
            try:
                log = await self._ask()
            except BaseException:
                state.close()
                raise
            if log is not None:
                await self._open_one(partition, state, log)
                return True
            state.close()  # no answer: asked again at the next look
            return False
        return False

    def _lock(self, partition: int) -> ShardState | None:
        """The database of a partition, unless its last owner still has it."""
        try:
            return open_shard(self._tools.settings.data, partition, self._tools.worker)
        except LockedError:
            self._say_locked(partition)
            return None

    async def _open_one(self, partition: int, state: ShardState, log: Log) -> None:
        shard = await asyncio.to_thread(Shard.open, partition, state, self._tools, log)
        self._locked_s.pop(partition, None)
        for delivery in self._definitions.everything:
            shard.define(delivery)
        self._open[partition] = shard
        self._share()
        self._runs[partition] = asyncio.create_task(shard.run(), name=f"shard {partition}")

    def _say_locked(self, partition: int) -> None:
        now_s = time.monotonic()
        since_s = self._locked_s.setdefault(partition, now_s)
        if now_s - since_s > WARN_S:
            self._locked_s[partition] = now_s
            _log.warning(
                "a partition waits for its last owner, which still holds its state",
                extra={"fields": {"partition": partition}},
            )
