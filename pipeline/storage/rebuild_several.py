"""Counting everything again where several workers share the partitions.

As `pipeline.storage.rebuild`, for all partitions and the sink at once, while nobody works in the
folder. Every partition gets a new chain with a first delta, and the sink knows the chains: what the
delta topic holds of the old ones is never counted.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Mapping
from pathlib import Path

from pipeline.flush import Flush
from pipeline.join.engine import JoinEngine
from pipeline.storage.identity import compare
from pipeline.storage.rebuild import Offsets, set_goal, take_over
from pipeline.storage.shard import open_shard
from pipeline.storage.sink import FOLDER, SinkState, open_sink
from pipeline.storage.state import FILE
from pipeline.storage.swap import BESIDE, begin_swap, swap
from schemas.topics import COHORT_DELTA, SUBJECT_PARTITIONS

_WORKER = "rebuild"
"""Who counted, until a member has."""
_log = logging.getLogger(__name__)


def begin_rebuild_of_several(
    data: Path,
    beginnings: Offsets,
    ends: Offsets,
    *,
    cluster_id: str,
    topic_ids: Mapping[str, str],
    now_ms: int,
) -> None:
    """Put all databases beside and leave empty ones that are to read from the beginning.

    Args:
        data: The folder that all share; nobody works in it (`swap.FolderLock`).
        beginnings: (topic, partition) → oldest offset that Kafka still has.
        ends: (topic, partition) → next offset to be written: the goal.
        cluster_id: The cluster's id; "" is not compared.
        topic_ids: Topic → id, as far as the broker tells.
        now_ms: When.

    Raises:
        CannotRun: If this is another Kafka, or it no longer has records that the sink has
            counted. Everything is as it was then.
    """
    fresh = begin_swap(data)
    with contextlib.closing(open_sink(fresh)) as sink:
        old = data / FOLDER
        if (old / FILE).exists():
            take_over(sink, old, beginnings)
            compare(sink, data, cluster_id=cluster_id, topic_ids=topic_ids)
        set_goal(sink, beginnings, ends)
        for partition in range(SUBJECT_PARTITIONS):
            chain = _begin_chain(fresh, partition, now_ms)
            end = ends.get((COHORT_DELTA.name, partition), 0)
            _expect(sink, partition, chain, end, now_ms)
    swap(data)
    _log.info("rebuild begins", extra={"fields": {"old state": str(data / BESIDE)}})


def _begin_chain(fresh: Path, partition: int, now_ms: int) -> str:
    """A partition that has been begun: its owner must not take it for one of another folder."""
    with contextlib.closing(open_shard(fresh, partition, _WORKER)) as state:
        state.commit(Flush([], JoinEngine().take()), now_ms)
        return state.chain


def _expect(sink: SinkState, partition: int, chain: str, end: int, now_ms: int) -> None:
    shard = [partition, chain, 0, _WORKER, now_ms, 0, 0]
    sink.connection.execute("INSERT INTO shards VALUES (?, ?, ?, ?, ?, ?, ?)", shard)
    offset = [COHORT_DELTA.name, partition, end]
    sink.connection.execute("INSERT INTO offsets VALUES (?, ?, ?)", offset)
