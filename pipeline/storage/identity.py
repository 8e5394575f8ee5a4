"""Offsets mean nothing without the log they count: which cluster, which topic, how long.

A topic that was deleted and made again starts at 0; offsets of the old one would make the
worker skip everything without a word.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from pipeline.storage.state import State
from runtime.process import CannotRun


def claim(
    state: State,
    folder: Path,
    *,
    cluster_id: str,
    topic_ids: Mapping[str, str],
    ends: Mapping[tuple[str, int], int],
) -> None:
    """Check that the stored offsets belong to this Kafka; the first time, write down which.

    Args:
        state: The open database.
        folder: Its folder, for the sentence.
        cluster_id: The cluster's id; "" is not compared.
        topic_ids: Topic → id, as far as the broker tells.
        ends: (topic, partition) → next offset to be written.

    Raises:
        CannotRun: If they do not.
    """
    stored_cluster, stored_topics = _stored(state)
    offsets = state.offsets()
    if offsets:
        compare(state, folder, cluster_id=cluster_id, topic_ids=topic_ids)
        _refuse(folder, _shortened(offsets, ends))
    with state.transaction():
        state.connection.execute(
            "UPDATE progress SET cluster_id = ?", [cluster_id or stored_cluster]
        )
        state.connection.execute("DELETE FROM topics")
        for name, topic_id in (stored_topics | dict(topic_ids)).items():
            state.connection.execute("INSERT INTO topics VALUES (?, ?)", [name, topic_id])


def compare(state: State, folder: Path, *, cluster_id: str, topic_ids: Mapping[str, str]) -> None:
    """Check that the database was filled from this cluster and these topics.

    Raises:
        CannotRun: If it was not.
    """
    stored_cluster, stored_topics = _stored(state)
    _refuse(folder, _difference(stored_cluster, cluster_id, stored_topics, topic_ids))


def _stored(state: State) -> tuple[str, dict[str, str]]:
    ((cluster,),) = state.connection.execute("SELECT cluster_id FROM progress").fetchall()
    return cluster, dict(state.connection.execute("FROM topics").fetchall())


def _difference(
    stored_cluster: str,
    cluster_id: str,
    stored_topics: Mapping[str, str],
    topic_ids: Mapping[str, str],
) -> str | None:
    if stored_cluster and cluster_id and stored_cluster != cluster_id:
        return f"belongs to Kafka cluster {stored_cluster}, SMS_KAFKA leads to {cluster_id}"
    for name, topic_id in topic_ids.items():
        if stored_topics.get(name, topic_id) != topic_id:
            return f"was filled from topic {name} before that topic was deleted and made again"
    return None


def _shortened(
    offsets: Mapping[tuple[str, int], int], ends: Mapping[tuple[str, int], int]
) -> str | None:
    for (topic, partition), offset in offsets.items():
        end = ends.get((topic, partition), offset)
        if offset > end:
            return f"has read {topic}[{partition}] up to {offset}, but that log ends at {end}"
    return None


def _refuse(folder: Path, reason: str | None) -> None:
    if reason is not None:
        raise CannotRun(
            f"SMS_WORKER_DATA == {str(folder)!r} {reason}. "
            "Set SMS_WORKER_DATA to an empty folder (Kafka is read again) or SMS_KAFKA to the "
            "right cluster."
        )
