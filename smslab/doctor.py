"""`smslab doctor`: is everything there that the system needs? One line per question."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, Literal, NamedTuple

import click
from aiokafka.errors import KafkaError

from pipeline.snapshot import SERVE_FILE
from pipeline.storage.reader import ResultsReader, SnapshotUnreadable
from runtime.process import ExitCode
from runtime.settings import SettingsError, host_port, secret_bytes
from runtime.topics import TopicError, check_topics, is_reachable
from smslab.kafka.jars import cached_jars
from smslab.options import DATA
from smslab.screen import console

_FREE_BYTES: Final = 2 * 10**9
_STALE_S: Final = 60
Status = Literal["ok", "bad", "unasked"]
_MARKS: Final[dict[Status, tuple[str, str]]] = {
    "ok": ("✓", "green"),
    "bad": ("✕", "red"),
    "unasked": ("–", "dim"),
}


class Finding(NamedTuple):
    """An answer; `unasked`: nothing was set that could be looked at."""

    status: Status
    text: str


@click.command()
@DATA
def doctor(data: Path) -> None:
    """Check the installation and the surroundings; exit code 1 when something is wrong.

    Kafka and the key are looked at when SMS_KAFKA and SMS_SUBJECT_KEY are set.

    \b
    example:
      SMS_KAFKA=127.0.0.1:9092 smslab doctor --data /var/lib/smslab/worker
    """
    findings = {name: check(os.environ, data) for name, check in _CHECKS.items()}
    for name, finding in findings.items():
        mark, style = _MARKS[finding.status]
        console.print(f"{mark} {name:<18} {finding.text}", style=style, markup=False)
    if any(finding.status == "bad" for finding in findings.values()):
        raise SystemExit(ExitCode.ANSWER_IS_NO)


def _python(_environ: Mapping[str, str], _data: Path) -> Finding:
    version = sys.version.split()[0]
    return Finding("ok", f"Python {version}")


def _local_kafka(_environ: Mapping[str, str], _data: Path) -> Finding:
    if not cached_jars():
        return Finding("unasked", "Apache Kafka is not downloaded yet; `smslab demo` does it")
    return Finding("ok", f"Apache Kafka for `smslab demo` is here: {len(cached_jars())} jars")


def _key(environ: Mapping[str, str], _data: Path) -> Finding:
    text = environ.get("SMS_SUBJECT_KEY")
    if not text:
        return Finding("unasked", "SMS_SUBJECT_KEY is not set")
    try:
        return Finding("ok", f"SMS_SUBJECT_KEY has {len(secret_bytes(text))} bytes")
    except ValueError as error:
        return Finding("bad", f"SMS_SUBJECT_KEY {error}")


def _kafka(environ: Mapping[str, str], _data: Path) -> Finding:
    text = environ.get("SMS_KAFKA")
    if not text:
        return Finding("unasked", "SMS_KAFKA is not set")
    try:
        return asyncio.run(_ask_kafka(host_port(text)))
    except (SettingsError, ValueError) as error:
        return Finding("bad", f"SMS_KAFKA == {text!r}, {error}")


async def _ask_kafka(bootstrap: str) -> Finding:
    if not await is_reachable(bootstrap):
        return Finding("bad", f"no Kafka answers at {bootstrap}")
    try:
        await check_topics(bootstrap)
    except (TopicError, KafkaError) as error:
        return Finding("bad", f"Kafka at {bootstrap}: {error}")
    return Finding("ok", f"Kafka at {bootstrap} has all topics with the right partitions")


def _results(_environ: Mapping[str, str], data: Path) -> Finding:
    reader = ResultsReader(data / SERVE_FILE)
    try:
        info = reader.snapshot_info()
    except SnapshotUnreadable as error:
        return Finding("bad", f"{error}; restart the worker, it writes the file anew")
    finally:
        reader.close()
    if info is None:
        return Finding("unasked", f"{data} has no {SERVE_FILE} yet; the worker writes it")
    age_s = time.time() - info.snapshot_at_ms / 1000
    kind = "in memory only" if info.is_broker_in_memory else f"cluster {info.kafka_cluster_id}"
    return Finding(
        "ok",
        f"snapshot {info.snapshot}, {info.events_applied:,} events, {age_s:,.0f} s old, {kind}"
        + (" (old: is the worker running?)" if age_s > _STALE_S else ""),
    )


def _disk(_environ: Mapping[str, str], data: Path) -> Finding:
    folder = next(each for each in (data.absolute(), *data.absolute().parents) if each.exists())
    free = shutil.disk_usage(folder).free
    return Finding(
        "ok" if free > _FREE_BYTES else "bad",
        f"{free / 1e9:,.0f} GB free at {folder}; 2 GB are needed",
    )


_CHECKS: Final[dict[str, Callable[[Mapping[str, str], Path], Finding]]] = {
    "python": _python,
    "local kafka": _local_kafka,
    "subject key": _key,
    "kafka": _kafka,
    "results": _results,
    "disk": _disk,
}
