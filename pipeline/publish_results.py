"""Publishes the results after a flush, about twice a second, and when time may change them."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Final

from pipeline.metrics import Gauges
from pipeline.rows import Lag, Verdict
from pipeline.snapshot import SERVE_FILE, Picture, draw, read, verdict_event, write
from pipeline.storage.rebuild import goal_of, reach_goal
from pipeline.storage.results import progress, record_caught_up, record_snapshot, verdicts
from pipeline.storage.state import State
from runtime.kafka import PublishError
from schemas.events import VerdictReached

Offsets = Mapping[tuple[str, int], int]
Ends = Callable[[], Awaitable[Offsets | None]]
Tell = Callable[[VerdictReached], Awaitable[None]]

BEHIND_RECORDS: Final = 25_000
"""More waits than comes in between two flushes: a picture is old when it is drawn."""
BEHIND_MS: Final = 5_000
"""Between two pictures meanwhile, each of which costs as much as 10,000 events."""
NOTE_MS: Final = 3_600_000
"""Between two notes, in silence, that everything is stored."""
_log = logging.getLogger(__name__)


def now_ms() -> int:
    """Wall clock, milliseconds since the Unix epoch."""
    return time.time_ns() // 1_000_000


class ResultsPublisher:
    """Draws and publishes snapshots; also knows the lag, for which it asks Kafka each time."""

    def __init__(
        self,
        state: State,
        folder: Path,
        *,
        database: asyncio.Lock,
        stored: Offsets,
        ends: Ends,
        tell: Tell,
        is_broker_in_memory: bool,
        gauges: Gauges | None = None,
    ) -> None:
        self._state = state
        self._gauges = gauges or Gauges()
        self._folder = folder
        self._database = database
        self._stored = stored
        self._ends = ends
        self._tell = tell
        self._is_broker_in_memory = is_broker_in_memory
        self._sequence: int | None = None
        self._next_maturity_ms: int | None = None
        self._goal = goal_of(state)
        self._known_ends: Offsets | None = None
        self._asked_ends: tuple[int, Offsets] | None = None
        self._caught_up_ms: int | None = None
        self._noted_ms: int | None = None
        self._drawn_ms = 0
        self._flushed = asyncio.Event()
        self._seen_ms = max((v.decided_at_ms for v in verdicts(state)), default=0)

    def lag_of(self, topics: Collection[str]) -> int | None:
        """`lag` of some topics."""
        if self._known_ends is None:
            return None
        lags = lags_of(self._stored, self._known_ends)
        return sum(lag.waiting for lag in lags if lag.topic in topics)

    @property
    def lag(self) -> int | None:
        """Records that Kafka had when it was last asked and that are not stored by now.

        Counted anew at every look: a snapshot may be an hour away, and what has been stored
        since the last one must not look like waiting. `None` without an answer.
        """
        if self._known_ends is None:
            return None
        lags = lags_of(self._stored, self._known_ends)
        return sum(lag.waiting for lag in lags)

    async def run(self, interval_ms: int, stop: asyncio.Event) -> None:
        """`look` when a flush was stored, until `stop` is set, and publish once more then.

        Pictures are begun `interval_ms` apart at least; so is a look when nothing is stored, for
        time matures cohorts. A clock of its own would let every flush wait for half an interval.

        Do not cancel it: a thread may be using the database.
        """
        interval_s = interval_ms / 1000
        while not stop.is_set():
            begun_s = time.monotonic()
            self._flushed.clear()
            if await self.look():
                await _first_of(begun_s + interval_s - time.monotonic(), stop)
            await _first_of(interval_s, stop, self._flushed)
        await self.publish_if_changed()

    def flushed(self) -> None:
        """Say that a flush was stored."""
        self._flushed.set()

    async def look(self) -> bool:
        """Ask for the lag, and publish; while much waits, only when the last picture is old.

        Returns: Whether it published.
        """
        asked_ms = now_ms()
        await self._ask(asked_ms)
        lag = self.lag
        if lag is not None and lag > BEHIND_RECORDS and asked_ms - self._drawn_ms < BEHIND_MS:
            return False
        return await self._publish(asked_ms)

    async def publish_if_changed(self) -> bool:
        """Publish a snapshot unless it would show the same. Returns whether it did.

        Raises:
            duckdb.Error: If a file cannot be written.
        """
        asked_ms = now_ms()
        await self._ask(asked_ms)
        return await self._publish(asked_ms)

    async def _ask(self, asked_ms: int) -> None:
        self._known_ends = await self._ends()
        self._gauges.lags = lags_of(self._stored, self._known_ends or {})
        self._catch_up(asked_ms)

    def _catch_up(self, asked_ms: int) -> None:
        """See whether all is stored that Kafka had at some question, if not at this one.

        Under steady traffic something always waits: the ends of one look are reached by the next.
        """
        if self._asked_ends is None and self._known_ends is not None:
            self._asked_ends = asked_ms, self._known_ends
        if self._asked_ends is not None:
            at_ms, ends = self._asked_ends
            if all(self._stored.get(place, 0) >= end for place, end in ends.items()):
                self._caught_up_ms, self._asked_ends = at_ms, None

    async def _note_silence(self) -> None:
        """Without a picture, say now and then that nothing was missed."""
        if self._caught_up_ms is not None and self._caught_up_ms - (self._noted_ms or 0) >= NOTE_MS:
            self._noted_ms = self._caught_up_ms
            await asyncio.to_thread(record_caught_up, self._state, self._caught_up_ms)

    async def _publish(self, asked_ms: int) -> bool:
        async with self._database:
            read_ms = await self._read_until(asked_ms)
            if read_ms is None:
                return False
            watermark = await self._watermark(read_ms, asked_ms)
            if watermark is None:
                self._gauges.snapshot_at_ms = asked_ms
                await self._note_silence()
                return False
            stored = await asyncio.to_thread(read, self._state)
            # of the same moment: what was stored since Kafka was asked is in the counts
            lags = lags_of(await asyncio.to_thread(self._state.offsets), self._known_ends or {})
        picture = await asyncio.to_thread(draw, stored, watermark)
        if not await self._tell_all(picture.reached):
            return False
        async with self._database:
            caught_up_ms = self._noted_ms = self._caught_up_ms
            await asyncio.to_thread(record_snapshot, self._state, picture.reached, caught_up_ms)
        await asyncio.to_thread(self._write, picture, lags)
        self._sequence, self._drawn_ms = picture.progress.sequence, asked_ms
        self._next_maturity_ms = picture.next_maturity_ms
        self._show(picture, asked_ms)
        return True

    def _show(self, picture: Picture, at_ms: int) -> None:
        gauges = self._gauges
        gauges.snapshot_at_ms = at_ms
        gauges.watermark_ms = picture.progress.watermark_ms
        gauges.unmatched_receipts = picture.unmatched_receipts
        gauges.missing_records = picture.missing_records

    async def _read_until(self, asked_ms: int) -> int | None:
        """Event time up to which everything is known; `None` while the totals are no picture."""
        if not await self._is_goal_reached():
            return None
        ends = self._known_ends
        lags = None if ends is None else lags_of(self._stored, ends)
        return await asyncio.to_thread(self._state.watermark_ms, lags, asked_ms)

    async def _is_goal_reached(self) -> bool:
        """Whether a rebuild, if there is one, has read everything it set out to read."""
        if any(self._stored.get(place, 0) < offset for place, offset in self._goal.items()):
            return False
        if self._goal:
            await asyncio.to_thread(reach_goal, self._state)
            self._goal = {}
        return True

    async def _watermark(self, read_ms: int, asked_ms: int) -> int | None:
        """The moment to evaluate at; `None` when nothing can have changed.

        It never lies in the future, whatever an event claims, and never goes back, by itself or by
        a restart: new records, or a Kafka that does not answer, would take people out of the
        mature ones and with them a verdict that was told.
        """
        known = await asyncio.to_thread(progress, self._state)
        self._seen_ms = watermark = min(max(read_ms, self._seen_ms), asked_ms)
        is_due = self._next_maturity_ms is not None and watermark >= self._next_maturity_ms
        is_same = known.sequence == self._sequence and (self._folder / SERVE_FILE).exists()
        return None if is_same and not is_due else watermark

    async def _tell_all(self, reached: Sequence[Verdict]) -> bool:
        """Told first, recorded after: a crash between tells the same verdict again.

        So does a broker that does not confirm, perhaps because it is starting: nothing is
        published now, and the next look tries again.
        """
        for verdict in reached:
            try:
                await self._tell(verdict_event(verdict))
            except PublishError as error:
                _log.warning("verdict not confirmed", extra={"fields": {"error": str(error)}})
                return False
            fields = {"campaign": verdict.campaign_id, "verdict": verdict.verdict}
            _log.info("verdict", extra={"fields": fields})
        return True

    def _write(self, picture: Picture, lags: Sequence[Lag]) -> None:
        write(
            self._folder,
            picture,
            lags,
            now_ms=now_ms(),
            is_broker_in_memory=self._is_broker_in_memory,
        )


async def _first_of(timeout_s: float, *events: asyncio.Event) -> None:
    """Wait until one of them is set, or for so long."""
    waiting = [asyncio.ensure_future(event.wait()) for event in events]
    try:
        await asyncio.wait(
            waiting, timeout=max(0.0, timeout_s), return_when=asyncio.FIRST_COMPLETED
        )
    finally:
        for each in waiting:
            each.cancel()


def lags_of(stored: Offsets, ends: Offsets) -> list[Lag]:
    """One row per partition, in order; a partition nobody read yet counts from 0."""
    return [
        Lag(topic=topic, partition=partition, next_offset=read, end_offset=max(end, read))
        for (topic, partition), end in sorted(ends.items())
        for read in (stored.get((topic, partition), 0),)
    ]
