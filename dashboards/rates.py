"""The chart of event rates as a Vega-Lite specification. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, tzinfo
from typing import Any, Final

from dashboards.operations_words import BUCKET_S, CHART_S
from dashboards.texts import TEXTS, Words
from pipeline.rows import Activity

BUCKET_MS: Final = BUCKET_S * 1000
PREFIX: Final = "topic."
TOPICS: Final = tuple(key.removeprefix(PREFIX) for key in TEXTS["en"] if key.startswith(PREFIX))
"""Topics with a name, in the order of a message's way."""
COLOURS: Final = ("#2a9d74", "#5b7fd6", "#c98a1b", "#b565b8", "#d1605a", "#4aa3b5", "#8d9690")
"""Told apart on light and dark ground."""


def rate_lines(words: Words, activity: Sequence[Activity]) -> list[tuple[str, str, str]]:
    """(topic, name, colour) of the lines, in the order of a message's way."""
    present = {row.topic for row in activity}
    found = [topic for topic in TOPICS if topic in present]
    return [
        (topic, words(PREFIX + topic), COLOURS[i % len(COLOURS)]) for i, topic in enumerate(found)
    ]


def rates_chart(
    words: Words, activity: Sequence[Activity], now_ms: int, zone: tzinfo
) -> dict[str, Any] | None:
    """Lines of events a second, one per topic that has a name; `None` without events."""
    end = now_ms // BUCKET_MS * BUCKET_MS
    start = end - CHART_S * 1000
    rows = [row for row in activity if start <= row.bucket_start_ms < end and row.topic in TOPICS]
    if not rows:
        return None
    lines = rate_lines(words, activity)
    first = min(row.bucket_start_ms for row in rows)
    known = {(row.bucket_start_ms, row.topic): row.events for row in rows}
    values = [
        {
            "at": _shown_at(bucket, zone),
            "kind": name,
            "rate": known.get((bucket, topic), 0) / BUCKET_S,
        }
        for topic, name, _ in lines
        for bucket in range(first, end, BUCKET_MS)
    ]
    return _spec(words, values, lines)


def _spec(
    words: Words, values: list[dict[str, Any]], lines: list[tuple[str, str, str]]
) -> dict[str, Any]:
    names, colours = [line[1] for line in lines], [line[2] for line in lines]
    return {
        "data": {"values": values},
        "height": 220,
        "background": "transparent",
        "mark": {"type": "line", "strokeWidth": 2},
        "encoding": {
            "x": {
                "field": "at",
                "type": "temporal",
                "scale": {"type": "utc"},
                "title": None,
                "axis": {"format": "%H:%M", "tickCount": 6, "labelOverlap": True},
            },
            "y": {"field": "rate", "type": "quantitative", "title": None, "axis": {"tickCount": 4}},
            "color": {
                "field": "kind",
                "type": "nominal",
                "scale": {"domain": names, "range": colours},
                "legend": None,
            },
            "tooltip": [
                {
                    "field": "at",
                    "type": "temporal",
                    "format": "%H:%M:%S",
                    "title": words("rates.time"),
                    "scale": {"type": "utc"},
                },
                {"field": "kind", "title": words("rates.title")},
                {"field": "rate", "type": "quantitative", "format": ",.1f", "title": "1/s"},
            ],
        },
    }


def _shown_at(at_ms: int, zone: tzinfo) -> int:
    """The moment whose UTC clock shows what the clock of `zone` shows: Vega knows only UTC."""
    offset = datetime.fromtimestamp(at_ms / 1000, tz=UTC).astimezone(zone).utcoffset()
    assert offset is not None, "aware"
    return at_ms + round(offset.total_seconds() * 1000)
