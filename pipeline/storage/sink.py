"""The database of the sink: the aggregates of all, from the deltas of several workers.

A delta changes aggregates, source offsets and its own number in the transaction that moves the
offset of the delta topic; what is no continuation is skipped or stops (`pipeline.delta_log`).
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path

from pipeline.delta_log import Applied, Decision, advance, judge
from pipeline.flush import Flush
from pipeline.rows import Lag, Partition
from pipeline.storage.change import Change, unpack
from pipeline.storage.state import State, open_state
from pipeline.storage.statements import more_tables, named
from pipeline.storage.unite import unite
from schemas.events import CohortDelta
from schemas.topics import CAMPAIGN_DEFINITION, JOINED_TOPICS, SUBJECT_PARTITIONS

FOLDER = "sink"
TOGETHER = 256
"""Deltas unpacked at the same time."""
_JOINED = frozenset(topic.name for topic in JOINED_TOPICS)
_SQL = named("sink")
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Shard:
    """What the sink knows of one partition."""

    partition: int
    chain: str
    sequence: int
    worker: str
    counted_at_ms: int
    definitions_offset: int
    """How many offsets of the definitions' topic are in force there."""
    watermark_ms: int
    """Newest event time that was counted there."""


class SinkState(State):
    """The open database of the sink. Make it with `open_sink`."""

    def __init__(self, opened: State) -> None:
        super().__init__(opened.connection, opened.shelf, opened.log)
        self._strangers: set[str] = set()
        self.foreign = 0
        """Deltas of other chains, not counted, since the start."""

    def shards(self) -> list[Shard]:
        """Every partition that has ever been counted."""
        return [Shard(*row) for row in self.connection.execute(_SQL["shards"]).fetchall()]

    def watermark_ms(self, lags: Sequence[Lag] | None, asked_ms: int) -> int | None:
        """The slowest partition decides; `None` while one counts under older definitions.

        A picture of new definitions with cohorts of the old ones would be of nothing.
        """
        shards = {shard.partition: shard for shard in self.shards()}
        defined = self.offsets().get((CAMPAIGN_DEFINITION.name, 0), 0)
        in_force = [shard.definitions_offset for shard in shards.values()]
        if defined and (len(shards) < SUBJECT_PARTITIONS or min(in_force) < defined):
            return None
        if lags is None:
            return min((shard.watermark_ms for shard in shards.values()), default=0)
        behind = {lag.partition for lag in lags if lag.topic in _JOINED and lag.waiting}
        counted = (shards[place].watermark_ms if place in shards else 0 for place in behind)
        return min(counted, default=asked_ms)

    def partitions(self) -> list[Partition]:
        """Who counts what."""
        return [
            Partition(
                partition=shard.partition,
                worker=shard.worker,
                deltas=shard.sequence,
                counted_at_ms=shard.counted_at_ms,
            )
            for shard in self.shards()
        ]

    def _put(self, flush: Flush, now_ms: int) -> None:
        super()._put(flush, now_ms)
        arrived = [delta for batch in flush.batches for delta in batch.deltas]
        if arrived:
            self._apply_all(arrived, now_ms)

    def _apply_all(self, arrived: Sequence[CohortDelta], now_ms: int) -> None:
        known = {shard.partition: shard for shard in self.shards()}
        stored = self.offsets()
        positions = _positions(known, stored)
        watermarks = {place: shard.watermark_ms for place, shard in known.items()}
        told: dict[int, CohortDelta] = {}
        changes: list[Change] = []
        for delta in arrived:
            place = delta.partition
            decision = judge(positions.get(place), delta)
            if decision is Decision.FOREIGN:
                self._refuse(delta)
            body = self._whole(delta) if decision is Decision.APPLY else None
            if body is not None:
                changes.append(change := unpack(body))
                positions[place] = advance(delta, positions.get(place))
                watermarks[place] = max(change.watermark_ms, watermarks.get(place, 0))
                told[place] = delta
            if len(changes) == TOGETHER:
                self._change(changes, now_ms)
                changes = []
        if changes:
            self._change(changes, now_ms)
        if told:
            self._note([_shard(d, positions[p], watermarks[p]) for p, d in told.items()])
            self._advance(_offsets({place: positions[place] for place in told}), stored)

    def _refuse(self, delta: CohortDelta) -> None:
        self.foreign += 1
        if delta.chain not in self._strangers:
            self._strangers.add(delta.chain)
            fields = {"partition": delta.partition, "chain": delta.chain, "worker": delta.worker}
            _log.error("deltas of another chain are not counted", extra={"fields": fields})

    def _whole(self, delta: CohortDelta) -> bytes | None:
        """The body, when all of its pieces are here."""
        if delta.pieces <= 1:
            return delta.body
        place = delta.partition
        execute = self.connection.execute
        execute(_SQL["piece_gone"], [place, delta.sequence, delta.piece])
        execute(_SQL["piece"], [place, delta.sequence, delta.piece, delta.body])
        bodies = execute(_SQL["pieces"], [place]).fetchall()
        if len(bodies) < delta.pieces:
            return None
        execute(_SQL["pieces_gone"], [place])
        return b"".join(body for (body,) in bodies)

    def _change(self, changes: Sequence[Change], now_ms: int) -> None:
        for name, table in unite(changes).items():
            self.run(name, table)
        self._drop_old_activity(max(change.newest_activity_ms for change in changes), now_ms)
        self._add_progress(
            sum(change.applied for change in changes),
            sum(change.duplicates for change in changes),
            max(change.watermark_ms for change in changes),
        )

    def _note(self, shards: Sequence[Shard]) -> None:
        columns = [list(values) for values in zip(*map(astuple, shards), strict=True)]
        self.connection.execute(_SQL["shards_gone"], columns[:1])
        self.connection.execute(_SQL["shards_new"], columns)


def open_sink(data: Path) -> SinkState:
    """Open or make the database of the sink.

    Raises:
        CannotRun: If another sink has it, or the file is of another version or broken.
    """
    opened = open_state(data / FOLDER)
    opened.connection.execute(more_tables("sink_tables"))
    return SinkState(opened)


def _shard(delta: CohortDelta, applied: Applied, watermark_ms: int) -> Shard:
    return Shard(
        delta.partition,
        delta.chain,
        delta.sequence,
        delta.worker,
        delta.occurred_at_ms,
        applied.offsets.get(CAMPAIGN_DEFINITION.name, 0),
        watermark_ms,
    )


def _offsets(positions: Mapping[int, Applied]) -> dict[tuple[str, int], int]:
    """How far partitions were counted; not of the definitions, which are read here, too."""
    return {
        (topic, place): end
        for place, applied in positions.items()
        for topic, end in applied.offsets.items()
        if topic != CAMPAIGN_DEFINITION.name
    }


def _positions(shards: dict[int, Shard], offsets: dict[tuple[str, int], int]) -> dict[int, Applied]:
    positions = {}
    for place, shard in shards.items():
        ends = {
            topic: end
            for (topic, partition), end in offsets.items()
            if partition == place and topic in _JOINED
        }
        ends[CAMPAIGN_DEFINITION.name] = shard.definitions_offset
        positions[place] = Applied(shard.chain, shard.sequence, ends)
    return positions
