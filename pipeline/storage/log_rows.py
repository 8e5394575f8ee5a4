"""Rows of the log that a restart replays: written by a flush, read back."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

import pyarrow as pa

from pipeline.flush import Flush
from pipeline.join.facts import News, decode_news, encode_news, fact_of
from pipeline.storage.arrow import INT, TEXT, table_of_rows
from pipeline.storage.log_files import LogRows
from schemas.codec import decoder_for
from schemas.events import Event
from schemas.topics import JOINED_TOPICS

EVENTS_CODEC = "zstd"
_EVENTS_LEVEL = -3
"""JSON shrinks to a quarter at 1.5 GB/s; at the usual level to a sixth, at 0.9 GB/s."""
SMALL = 30
"""Events per row. A row of one takes 500 bytes and 16 µs at a restart; of so many, some 35 when
that was measured with zstd's usual level, as much as their facts."""
NEWS_CODEC = "zstd"
"""A third of the size for a tenth of the time that writing the rest would take."""
_events_codec = pa.Codec(EVENTS_CODEC, compression_level=_EVENTS_LEVEL)
_JOINED = frozenset(topic.name for topic in JOINED_TOPICS)


def logs_of(flush: Flush, sequence: int, *, keeps_facts: bool) -> dict[str, LogRows]:
    """Name of a log → its rows of a flush."""
    return {
        "state_log": state_log_rows(flush),
        "event_log": event_log_rows(flush, sequence, waits=keeps_facts),
    }


def state_log_rows(flush: Flush) -> LogRows:
    """Rows of `state_log`: the news of a flush, of a small one also the facts of its events."""
    learned: list[News] = []
    if _is_small(flush):
        events = chain.from_iterable(batch.subject_events for batch in flush.batches)
        learned = [(event.subject, *fact_of(event)) for event in events]
    return news_rows(learned + flush.deltas.news, flush.deltas.round)


def _is_small(flush: Flush) -> bool:
    """Whether the facts of all events in one row are smaller than the events of each topic."""
    sizes = [len(batch.subject_events) for batch in flush.batches if batch.subject_events]
    return sum(sizes) < SMALL * len(sizes)


def news_rows(news: Sequence[News], round_: int) -> LogRows:
    """Rows of `state_log`: one for all, none for nothing."""
    columns = {"sequence": INT, "facts": INT, "size": INT}
    if not news:
        return LogRows(table_of_rows(columns, ()), ())
    body = encode_news(news)
    packed = pa.compress(body, codec=NEWS_CODEC, asbytes=True)
    return LogRows(table_of_rows(columns, [(round_, len(news), len(body))]), [packed])


def news_of(size: int, body: bytes) -> list[News]:
    """What a row of `state_log` tells."""
    return decode_news(pa.decompress(body, size, codec=NEWS_CODEC, asbytes=True))


def event_log_rows(flush: Flush, sequence: int, *, waits: bool) -> LogRows:
    """Rows of `event_log`: one per batch of a joined topic.

    Of a small flush only those that wait for Parquet: the state log has its facts.
    """
    is_small = _is_small(flush)
    columns = {
        "sequence": INT,
        "round": INT,
        "waits": pa.bool_(),
        "topic": TEXT,
        "partition": INT,
        "first_offset": INT,
        "next_offset": INT,
        "events": INT,
        "size": INT,
    }
    logged = [
        each
        for each in flush.batches
        if each.delivery.batch.topic in _JOINED and (waits or (each.lines and not is_small))
    ]
    rows = (
        (
            sequence,
            None if is_small else flush.deltas.round,
            waits,
            batch.topic,
            batch.partition,
            batch.first_offset,
            batch.next_offset,
            len(each.subject_events),
            len(each.lines),
        )
        for each in logged
        for batch in (each.delivery.batch,)
    )
    bodies = [_events_codec.compress(each.lines, asbytes=True) for each in logged]
    return LogRows(table_of_rows(columns, rows), bodies)


def events_of(topic: str, size: int, body: bytes) -> list[Event]:
    """The events in a row of `event_log`.

    Raises:
        SchemaError: If the row was not written by us.
    """
    lines = pa.decompress(body, size, codec=EVENTS_CODEC, asbytes=True)
    return decoder_for(topic).decode_all(lines.split(b"\n"))
