"""The link table, kept up to date from the compacted topic; in memory, complete before we serve."""

from __future__ import annotations

import asyncio
import logging
from typing import Any, Final

from aiokafka import AIOKafkaConsumer
from aiokafka.structs import TopicPartition

from schemas.codec import SchemaError, decoder_for
from schemas.events import LinkIssued
from schemas.topics import LINK_ISSUED

APPEARS_WITHIN_S: Final = 2.0
"""A person may be faster than the consumer; a link unknown for longer does not exist."""

log = logging.getLogger(__name__)


class LinkTable:
    """token → link, from `sms.link.issued.v1`."""

    def __init__(self, bootstrap: str) -> None:
        self._links: dict[str, LinkIssued] = {}
        self._decoder = decoder_for(LINK_ISSUED.name)
        self._arrived = asyncio.Condition()
        self._consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False)
        self.undecodable = 0
        self.is_complete = False

    def __len__(self) -> int:
        return len(self._links)

    async def start(self) -> None:
        """Connect and read everything that is there."""
        await self._consumer.start()
        partitions = [TopicPartition(LINK_ISSUED.name, p) for p in range(LINK_ISSUED.partitions)]
        self._consumer.assign(partitions)
        await self._consumer.seek_to_beginning(*partitions)
        ends = await self._consumer.end_offsets(partitions)
        while any([await self._consumer.position(tp) < end for tp, end in ends.items()]):
            await self._read_once()
        self.is_complete = True

    async def follow(self) -> None:
        """Until cancelled."""
        while True:
            await self._read_once()

    async def stop(self) -> None:
        """Disconnect."""
        await self._consumer.stop()

    async def find(self, token: str) -> LinkIssued | None:
        """The link of a token; waits a moment for one that is on its way."""
        if token in self._links:
            return self._links[token]
        try:
            async with asyncio.timeout(APPEARS_WITHIN_S), self._arrived:
                await self._arrived.wait_for(lambda: token in self._links)
        except TimeoutError:
            return None
        return self._links[token]

    async def _read_once(self) -> None:
        batches = await self._consumer.getmany(timeout_ms=200, max_records=5000)
        if not batches:
            return
        for records in batches.values():
            for record in records:
                self._take(record)
        async with self._arrived:
            self._arrived.notify_all()

    def _take(self, record: Any) -> None:
        if record.value is None:  # a tombstone: the link was withdrawn
            self._links.pop((record.key or b"").decode("utf-8", "replace"), None)
            return
        try:
            link = self._decoder.decode(record.value)
        except SchemaError:
            self.undecodable += 1
            log.warning("link cannot be read", extra={"fields": {"offset": record.offset}})
            return
        assert isinstance(link, LinkIssued)
        self._links[link.token] = link
