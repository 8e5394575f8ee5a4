"""How the system is doing, in words and figures. Pure; `now_ms` is the clock of the page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from dashboards.facts import Operations
from dashboards.format import count, decimal
from dashboards.texts import Words
from dashboards.verdict_words import Banner
from pipeline.rows import Activity, ConnectionState, Partition
from schemas.topics import JOINED_TOPICS

STALE_MS: Final = 10_000
"""A connection reports once a second."""
BEHIND: Final = 10_000
"""About what the worker counts in one commit; more than that and it does not keep up."""
BUCKET_S: Final = 10
RATE_S: Final = 60
CHART_S: Final = 600
_JOINED: Final = frozenset(topic.name for topic in JOINED_TOPICS)


@dataclass(frozen=True, slots=True)
class Figure:
    """One number of the strip; `tone` colours what needs a person."""

    value: str
    label: str
    tone: str = "plain"


def is_stale(connection: ConnectionState, now_ms: int) -> bool:
    """Whether a connection has gone silent."""
    return now_ms - connection.reported_at_ms > STALE_MS


def is_up(connection: ConnectionState) -> bool:
    """Whether all binds of a connection are bound."""
    return 0 < connection.binds <= connection.bound


def status(words: Words, operations: Operations, now_ms: int) -> Banner:
    """The worst thing first."""
    all_of_them = operations.connections
    if not all_of_them:
        return Banner("wait", words("ops.idle"), words("ops.idle.why"))
    total = len(all_of_them)
    silent = sum(is_stale(c, now_ms) for c in all_of_them)
    if silent:
        limit = words.duration(STALE_MS / 1000)
        say = words("ops.stale", n=silent, total=total)
        return Banner("bad", say, words("ops.stale.why", limit=limit))
    down = [c.connection for c in all_of_them if not is_up(c)]
    if down:
        say = words("ops.down", n=len(down), total=total)
        tone = "warn" if all(c.bound for c in all_of_them) else "bad"
        why = words("ops.down.why", names=words("list").join(down))
        return Banner(tone, say, why, mark="!")
    lag = lag_of(operations)
    if lag > BEHIND:
        say = words("ops.behind", n=count(lag))
        return Banner("warn", say, words("ops.behind.why"), mark="!")
    return Banner("good", words("ops.good"), words("ops.good.why", n=total))


def figures(words: Words, operations: Operations, now_ms: int) -> list[Figure]:
    """The strip of numbers."""
    info, lag = operations.info, lag_of(operations)
    unmatched, dead = len(operations.unmatched), len(operations.dead_letters)
    lost = sum(gap.missing for gap in operations.gaps)
    age_s = max(0, now_ms - info.snapshot_at_ms) / 1000
    return [
        Figure(decimal(rate(operations.activity, info.snapshot_at_ms)), words("ops.rate")),
        Figure(count(lag), words("ops.lag"), "warn" if lag > BEHIND else "plain"),
        Figure(count(unmatched), words("ops.unmatched"), "warn" if unmatched else "plain"),
        Figure(count(dead), words("ops.dead"), "bad" if dead else "plain"),
        Figure(count(lost), words("ops.lost"), "bad" if lost else "plain"),
        Figure(count(info.duplicates_ignored), words("ops.duplicates")),
        Figure(words.duration(age_s), words("ops.age")),
    ]


def lag_of(operations: Operations) -> int:
    """Events that Kafka has and the worker has not counted."""
    return sum(max(0, lag.end_offset - lag.next_offset) for lag in operations.lags)


def lag_by_topic(operations: Operations) -> list[tuple[str, int, int]]:
    """(topic, events behind, most in one partition), the worst first."""
    total: Counter[str] = Counter()
    worst: Counter[str] = Counter()
    for lag in operations.lags:
        behind = max(0, lag.end_offset - lag.next_offset)
        total[lag.topic] += behind
        worst[lag.topic] = max(worst[lag.topic], behind)
    return sorted(
        ((topic, behind, worst[topic]) for topic, behind in total.items()),
        key=lambda row: (-row[1], row[0]),
    )


def behind_by_worker(operations: Operations) -> list[tuple[str, str, int, int]]:
    """(worker, its partitions, events behind in them, last counted), by name."""
    behind: Counter[int] = Counter()
    for lag in operations.lags:
        if lag.topic in _JOINED:
            behind[lag.partition] += max(0, lag.waiting)
    found: dict[str, list[Partition]] = {}
    for row in operations.partitions:
        found.setdefault(row.worker, []).append(row)
    return [
        (
            worker,
            ", ".join(str(row.partition) for row in rows),
            sum(behind[row.partition] for row in rows),
            max(row.counted_at_ms for row in rows),
        )
        for worker, rows in sorted(found.items())
    ]


def rate(activity: Sequence[Activity], now_ms: int) -> float:
    """Events a second over the last full minute."""
    end = now_ms // (BUCKET_S * 1000) * BUCKET_S * 1000
    start = end - RATE_S * 1000
    return sum(row.events for row in activity if start <= row.bucket_start_ms < end) / RATE_S


def dead_by_reason(operations: Operations) -> list[tuple[str, str, int, int]]:
    """(topic, reason, records, last seen), most first."""
    counted: Counter[tuple[str, str]] = Counter()
    last: dict[tuple[str, str], int] = {}
    for row in operations.dead_letters:
        key = row.topic, row.reason
        counted[key] += 1
        last[key] = max(last.get(key, 0), row.seen_at_ms)
    return [(*key, n, last[key]) for key, n in counted.most_common()]


def lost_by_topic(operations: Operations) -> list[tuple[str, int, int]]:
    """(topic, records that nobody has read, when that was last met), most first."""
    counted: Counter[str] = Counter()
    last: dict[str, int] = {}
    for gap in operations.gaps:
        counted[gap.topic] += gap.missing
        last[gap.topic] = max(last.get(gap.topic, 0), gap.seen_at_ms)
    return [(topic, n, last[topic]) for topic, n in counted.most_common()]


def unmatched_by_reason(operations: Operations) -> list[tuple[str, str, str, int]]:
    """(connection, state, reason, receipts), most first."""
    counted = Counter((r.connection, r.state, r.reason) for r in operations.unmatched)
    return [(*key, n) for key, n in counted.most_common()]


def receipts_by_state(operations: Operations) -> list[tuple[str, str, str, int]]:
    """(connection, state, err, receipts) over all hours, most first."""
    counted: Counter[tuple[str, str, str]] = Counter()
    for row in operations.deliverability:
        counted[row.connection, row.state, row.err] += row.receipts
    return [(*key, n) for key, n in counted.most_common()]
