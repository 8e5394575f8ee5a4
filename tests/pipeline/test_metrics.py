"""Every figure that a night shift needs is shown with its true value."""

from __future__ import annotations

from prometheus_client import CollectorRegistry

from pipeline.flush import RejectedRecord
from pipeline.metrics import Gauges, WorkerMetrics
from pipeline.rows import DeadLetter, Lag
from tests.pipeline.storage.test_state import TOPIC, flush


def value(registry: CollectorRegistry, name: str, **labels: str) -> float | None:
    """One sample."""
    return registry.get_sample_value(f"smslab_worker_{name}", labels)


def test_flushes_are_counted() -> None:
    """Batch size, commit time, events and dead letters by topic."""
    metrics = WorkerMetrics(Gauges(), lambda: 0)
    row = DeadLetter(topic=TOPIC, partition=0, record_offset=3, reason="r", seen_at_ms=9)
    metrics.stored(flush(0, 10, rejected=(RejectedRecord(row, b"x"),), duplicates=2), 0.03)
    metrics.stored(flush(10, 30), 0.4)
    registry = metrics.registry
    assert value(registry, "flush_records_sum") == 30
    assert value(registry, "flush_records_bucket", le="10.0") == 1
    assert value(registry, "commit_seconds_bucket", le="0.05") == 1
    assert value(registry, "commit_seconds_count") == 2
    assert value(registry, "events_total", known="no") == 30
    assert value(registry, "events_total", known="yes") == 2
    assert value(registry, "dead_letters_total", topic=TOPIC) == 1


def test_gauges_say_what_is_true_now() -> None:
    """Lag by partition, delay, age, unmatched, missing, people; nothing is claimed too early."""
    gauges, clock = Gauges(), [100_000]
    registry = WorkerMetrics(gauges, lambda: clock[0]).registry
    assert value(registry, "snapshot_age_seconds") is None
    assert value(registry, "event_time_delay_seconds") is None
    gauges.lags = [Lag(topic=TOPIC, partition=3, next_offset=5, end_offset=12)]
    gauges.watermark_ms, gauges.snapshot_at_ms = 90_000, 99_000
    gauges.unmatched_receipts, gauges.missing_records, gauges.people = 4, 7, 9
    assert value(registry, "lag_records", topic=TOPIC, partition="3") == 7
    assert value(registry, "event_time_delay_seconds") == 10
    assert value(registry, "snapshot_age_seconds") == 1
    assert value(registry, "unmatched_receipts") == 4
    assert value(registry, "missing_records") == 7
    assert value(registry, "people") == 9
    clock[0] += 5_000
    assert value(registry, "snapshot_age_seconds") == 6
