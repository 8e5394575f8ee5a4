"""Row-level events as Parquet, by kind and day, each event in exactly one listed file.

A flush stores the bytes of its events (`event_log`, bodies in the folder `log`). From time to time
those that wait are written as files, and one transaction lists the files and lets the bytes go. A
crash in between leaves files that are not listed; they are removed before the next are written.
A file is named by the positions it covers: sums of the topic's offsets over its partitions. With
several workers each partition has files of its own, and they travel to the sink's list as a delta.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, get_args, get_type_hints

import duckdb
import msgspec
import pyarrow as pa

from pipeline.rows import FactFile
from pipeline.storage.log_files import LogFiles
from pipeline.storage.log_rows import EVENTS_CODEC
from pipeline.storage.state import State
from pipeline.storage.statements import named
from schemas.codec import decoder_for, encode
from schemas.events import Event
from schemas.topics import JOINED_TOPICS, Topic

FOLDER = "facts"
MAX_EVENTS = 500_000
"""Written at once: some 130 MB of JSON in memory."""
_SQL = named("facts")
_TYPES: Final[dict[object, str]] = {
    str: "VARCHAR",
    int: "BIGINT",
    float: "DOUBLE",
    bool: "BOOLEAN",
    tuple[str, ...]: "VARCHAR[]",
    dict[str, str]: "MAP(VARCHAR, VARCHAR)",
}


@dataclass(frozen=True, slots=True)
class Portion:
    """What is written in one go."""

    last_sequence: int
    events: int
    waiting: int
    """Events that wait, in this portion and after it."""


def kind_of(topic: Topic) -> str:
    """Folder and view of a topic's events: the tag of their type."""
    tag = topic.event.__struct_config__.tag
    assert isinstance(tag, str)
    return tag


def columns_of(event: type[Event]) -> dict[str, str]:
    """Field → SQL type of an event."""
    hints = get_type_hints(event)
    return {name: _sql_type(hints[name]) for name in event.__struct_fields__}


def next_portion(state: State) -> Portion | None:
    """What waits, whole flushes up to `MAX_EVENTS`; `None` when nothing does."""
    ((last, *events),) = state.connection.execute(_SQL["portion"], [MAX_EVENTS]).fetchall()
    return None if last is None else Portion(last, *events)


def write_facts(
    cursor: duckdb.DuckDBPyConnection,
    log: LogFiles,
    folder: Path,
    portion: Portion,
    now_ms: int,
    partition: int | None = None,
) -> list[FactFile]:
    """Write a portion; the files count only after `list_files`.

    Args:
        cursor: One of its own: flushes may be stored meanwhile.
        log: Where the bodies of the database's rows are.
        folder: The worker's folder.
        portion: What to write.
        now_ms: When.
        partition: Of which the database holds the events; `None`: of all.

    Raises:
        duckdb.Error, OSError: If the disk is full or gone; nothing is lost.
    """
    prefix = "" if partition is None else f"p{partition:02d}-"
    _remove_unlisted(cursor, folder, prefix)
    written = (
        (topic, each)
        for topic in JOINED_TOPICS
        for each in _write_topic(cursor, log, folder / FOLDER, topic, portion, prefix)
    )
    return [
        FactFile(topic=topic.name, written_at_ms=now_ms, partition=partition, **each)
        for topic, each in written
    ]


def list_files(state: State, portion: Portion, files: Sequence[FactFile]) -> None:
    """Let the files count; their bytes wait no longer. One transaction."""
    with state.transaction():
        state.connection.execute(_SQL["positions"], [portion.last_sequence])
        for file in files:
            state.connection.execute(_SQL["list"], list(msgspec.structs.astuple(file)))
        state.connection.execute(_SQL["drop"], [portion.last_sequence])
        state.connection.execute(_SQL["keep"], [portion.last_sequence])
        state.connection.execute(_SQL["changed"])
        state.tell_files(files, max((file.written_at_ms for file in files), default=0))
    state.log.tidy()


def _write_topic(
    cursor: duckdb.DuckDBPyConnection,
    log: LogFiles,
    folder: Path,
    topic: Topic,
    portion: Portion,
    prefix: str,
) -> Iterator[dict[str, Any]]:
    covers = [topic.name, portion.last_sequence]
    ((first, following),) = cursor.execute(_SQL["covered"], [*covers, topic.name]).fetchall()
    kind = kind_of(topic)
    bodies = [
        pa.decompress(log.body(inline, extent), size, codec=EVENTS_CODEC, asbytes=True)
        for size, inline, *extent in cursor.execute(_SQL["bodies"], covers).fetchall()
    ]
    try:
        _parse(cursor, topic, bodies)
    except duckdb.Error:  # a field that we do not know holds what DuckDB's JSON does not accept
        _parse(cursor, topic, [_our_own(topic, body) for body in bodies])
    for day, events in cursor.execute(_SQL["days"]).fetchall():
        name = f"{kind}/day={day}/{prefix}{first:012d}-{following:012d}.parquet"
        _write(cursor, folder / name, day)
        yield {
            "file": name,
            "day": day,
            "events": events,
            "first_position": first,
            "next_position": following,
        }


def _parse(cursor: duckdb.DuckDBPyConnection, topic: Topic, bodies: list[bytes]) -> None:
    cursor.register("bodies", pa.table({"body": pa.array(bodies, type=pa.large_binary())}))
    try:
        cursor.execute(_parsing(topic))
    finally:
        cursor.unregister("bodies")


def _parsing(topic: Topic) -> str:
    columns = columns_of(topic.event)
    shape = ", ".join(f'"{name}": "{kind}"' for name, kind in columns.items())
    defaults = {
        name: value
        for name, value in zip(
            topic.event.__struct_fields__[::-1], topic.event.__struct_defaults__[::-1], strict=False
        )
        if isinstance(value, bool | int | str)
    }
    body = ", ".join(
        f"coalesce(e.{name}, {_literal(defaults[name])}) AS {name}"
        if name in defaults
        else f"e.{name}"
        for name in columns
    )
    return _SQL["parse"].format(shape="{" + shape + "}", columns=body)


def _literal(value: bool | int | str) -> str:  # noqa: FBT001 - a default as it is
    return "'" + value.replace("'", "''") + "'" if isinstance(value, str) else str(value)


def _our_own(topic: Topic, body: bytes) -> bytes:
    """The same events in our own bytes: fields that we do not know are left out."""
    decoder = decoder_for(topic.name)
    return b"\n".join(encode(decoder.decode(line)) for line in body.split(b"\n"))


def _write(cursor: duckdb.DuckDBPyConnection, path: Path, day: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}")
    target = str(fresh).replace("'", "''")
    cursor.execute(_SQL["copy"].format(day=day, target=target))
    with fresh.open("rb+") as file:
        os.fsync(file.fileno())  # listed in a durable transaction, so it must be durable before
    fresh.replace(path)


def _remove_unlisted(cursor: duckdb.DuckDBPyConnection, folder: Path, prefix: str) -> None:
    listed = {file for (file,) in cursor.execute("SELECT file FROM fact_files").fetchall()}
    root = folder / FOLDER
    for path in root.rglob(f"*{prefix}*.parquet" if prefix else "*.parquet"):
        if path.relative_to(root).as_posix() not in listed:
            path.unlink()


def _sql_type(hint: Any) -> str:
    options = [hint, *get_args(hint)]
    return next((_TYPES[each] for each in options if _is_key(each)), "VARCHAR")


def _is_key(hint: Any) -> bool:
    return isinstance(hint, type | type(tuple[str, ...])) and hint in _TYPES
