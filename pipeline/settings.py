"""Settings of the worker process."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pipeline.roles import ROLES
from runtime.settings import boolean, choice, host_port, integer, setting, text


@dataclass(frozen=True, slots=True)
class WorkerSettings:
    """What `python -m pipeline` reads from the environment."""

    kafka: str = setting("SMS_KAFKA", host_port, "Kafka's host:port.")
    data: Path = setting(
        "SMS_WORKER_DATA",
        Path,
        "Folder for the state and serve.duckdb; members and their sink share one.",
    )
    role: str = setting(
        "SMS_WORKER_ROLE",
        choice(*ROLES),
        "alone: reads everything and owns the results. member: one of several that share the "
        "partitions. sink: adds up what members count, and owns the results.",
        default="alone",
    )
    health_host: str = setting(
        "SMS_WORKER_HEALTH_HOST", text, "Address of the health endpoint.", default="127.0.0.1"
    )
    health_port: int = setting(
        "SMS_WORKER_HEALTH_PORT",
        integer(0, 65535),
        "Port of the health endpoint; 0 takes a free one.",
        default=0,
    )
    flush_records: int = setting(
        "SMS_WORKER_FLUSH_RECORDS",
        integer(1, 1_000_000),
        "Commit after this many records.",
        default=100_000,  # a second of work: SIGTERM waits for it; members: pipeline.shard.GROUPS
    )
    flush_ms: int = setting(
        "SMS_WORKER_FLUSH_MS",
        integer(1, 60_000),
        "Commit this many milliseconds after the first record; members far behind wait longer.",
        default=500,
    )
    snapshot_ms: int = setting(
        "SMS_WORKER_SNAPSHOT_MS",
        integer(50, 3_600_000),
        "Milliseconds at least between two snapshots of the results; one follows a flush.",
        default=500,
    )
    watchdog_s: int = setting(
        "SMS_WORKER_WATCHDOG_S",
        integer(1, 3600),
        "End the process when records wait and none is stored for this many seconds.",
        default=30,
    )
    horizon_days: int = setting(
        "SMS_WORKER_HORIZON_DAYS",
        integer(1, 366),
        "Days a person stays in memory after the last assignment or submit, besides the "
        "attribution window; later events fetch them from the database.",
        default=7,
    )
    history_days: int = setting(
        "SMS_WORKER_HISTORY_DAYS",
        integer(30, 36_500),
        "Days a person who has left memory is remembered in the database, so that late events "
        "still count; after them such events are as of a stranger.",
        default=400,  # a year later a refund or a correction still finds the person
    )
    people_at_hand: int = setting(
        "SMS_WORKER_PEOPLE_AT_HAND",
        integer(1, 100_000_000),
        "People kept in memory with all that is known of them, 1 to 3 KB each; of the others "
        "only the name (60 bytes), the rest in files.",
        default=500_000,
    )
    keeps_facts: bool = setting(
        "SMS_WORKER_FACTS",
        boolean,
        "Whether events are also written row by row as Parquet, in the folder `facts`.",
        default=True,
    )
    facts_s: int = setting(
        "SMS_WORKER_FACTS_S",
        integer(1, 3600),
        "Seconds between two portions of Parquet files.",
        default=60,
    )
    is_kafka_in_memory: bool = setting(
        "SMS_WORKER_KAFKA_IN_MEMORY",
        boolean,
        "Whether the broker is the in-memory one, which keeps nothing and answers less.",
        default=False,
    )
