"""What the worker shows to Prometheus."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry, Counter, Histogram, Metric
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from pipeline.flush import Flush
from pipeline.rows import Lag

FLUSH_RECORDS = (1, 10, 100, 1_000, 5_000, 10_000, 20_000, 50_000, 100_000)
COMMIT_SECONDS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
"""A commit costs 5 ms at least (streaming.md §5.2) and should stay below the 0.5 s it gathers."""


@dataclass(slots=True)
class Gauges:
    """What is true now; filled by whoever knows, read when Prometheus asks."""

    lags: list[Lag] = field(default_factory=list)
    """Empty while Kafka does not answer."""
    watermark_ms: int = 0
    snapshot_at_ms: int = 0
    """0 before the first."""
    unmatched_receipts: int = 0
    missing_records: int = 0
    people: int = 0
    shelved: int = 0
    """In memory."""


class WorkerMetrics:
    """Counts flushes as they are stored and reads the gauges when asked."""

    def __init__(self, gauges: Gauges, now_ms: Callable[[], int]) -> None:
        self.registry = CollectorRegistry(auto_describe=True)
        self._records = Histogram(
            "smslab_worker_flush_records",
            "Records per transaction.",
            buckets=FLUSH_RECORDS,
            registry=self.registry,
        )
        self._seconds = Histogram(
            "smslab_worker_commit_seconds",
            "Time from handing a flush to the database until it is stored.",
            buckets=COMMIT_SECONDS,
            registry=self.registry,
        )
        self._events = Counter(
            "smslab_worker_events", "Events stored.", ["known"], registry=self.registry
        )
        self._dead_letters = Counter(
            "smslab_worker_dead_letters",
            "Records that could not be used.",
            ["topic"],
            registry=self.registry,
        )
        self.registry.register(_GaugeCollector(gauges, now_ms))

    def stored(self, flush: Flush, seconds: float) -> None:
        """Count one stored flush."""
        self._records.observe(sum(len(batch.records) for batch in flush.ranges))
        self._seconds.observe(seconds)
        self._events.labels("no").inc(flush.deltas.applied)
        self._events.labels("yes").inc(flush.deltas.duplicates)
        for row in flush.dead_letters:
            self._dead_letters.labels(row.topic).inc()


class _GaugeCollector(Collector):
    def __init__(self, gauges: Gauges, now_ms: Callable[[], int]) -> None:
        self._gauges = gauges
        self._now_ms = now_ms

    def collect(self) -> Iterator[Metric]:
        gauges, now_ms = self._gauges, self._now_ms()
        lag = GaugeMetricFamily(
            "smslab_worker_lag_records",
            "Records that wait, by the offsets in DuckDB; absent while Kafka does not answer.",
            labels=["topic", "partition"],
        )
        for row in gauges.lags:
            lag.add_metric([row.topic, str(row.partition)], row.end_offset - row.next_offset)
        yield lag
        if gauges.watermark_ms:
            yield GaugeMetricFamily(
                "smslab_worker_event_time_delay_seconds",
                "How old the newest event is that is counted.",
                value=max(0, now_ms - gauges.watermark_ms) / 1000,
            )
        if gauges.snapshot_at_ms:
            yield GaugeMetricFamily(
                "smslab_worker_snapshot_age_seconds",
                "How long ago serve.duckdb was written or found to be current.",
                value=max(0, now_ms - gauges.snapshot_at_ms) / 1000,
            )
        for name, text, value in (
            ("unmatched_receipts", "Receipts without a submit so far.", gauges.unmatched_receipts),
            ("missing_records", "Records that Kafka no longer had.", gauges.missing_records),
            ("people", "People in memory.", gauges.people),
            ("shelved", "People of whom only the name is in memory.", gauges.shelved),
        ):
            yield GaugeMetricFamily(f"smslab_worker_{name}", text, value=value)
