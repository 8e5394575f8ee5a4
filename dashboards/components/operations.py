"""The parts of the operations page."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import tzinfo
from typing import Final

from dashboards.components.html import dot, esc, note, section, title, width
from dashboards.components.verdict import banner_html
from dashboards.facts import Operations
from dashboards.format import clock, count, moment
from dashboards.operations_words import (
    Figure,
    behind_by_worker,
    dead_by_reason,
    figures,
    is_stale,
    is_up,
    lag_by_topic,
    lost_by_topic,
    receipts_by_state,
    status,
    unmatched_by_reason,
)
from dashboards.rates import rate_lines
from dashboards.texts import Words
from pipeline.rows import ConnectionState

SHOWN: Final = 12
"""Rows of a table; the rest is counted."""
_COUNTERS: Final = (
    "submits",
    "accepted",
    "rejected",
    "unknown",
    "receipts",
    "inbound",
    "reconnects",
)
_ALARMING: Final = frozenset({"rejected", "unknown"})


def head(words: Words) -> str:
    """Title of the page."""
    body = f"<h1>{esc(words('ops.title'))}</h1><p>{esc(words('ops.sub'))}</p>"
    return section(words, "head", body)


def summary(words: Words, operations: Operations, now_ms: int) -> str:
    """One sentence and the strip of numbers."""
    strip = "".join(_figure(figure) for figure in figures(words, operations, now_ms))
    said = banner_html(words, status(words, operations, now_ms))
    return said.replace("verdict t-", "verdict slim t-", 1) + section(
        words, "strip", f"<dl>{strip}</dl>"
    )


def connections(words: Words, operations: Operations, now_ms: int) -> str:
    """One card per connection."""
    heading = title(words("conn.title"))
    if not operations.connections:
        command = f"<code>{esc(words('empty.no_connection.command'))}</code>"
        body = f'<p class="note">{esc(words("empty.no_connection"))} {command}</p>'
        return section(words, "card", heading + body)
    cards = "".join(_connection(words, c, now_ms) for c in operations.connections)
    return section(words, "conns", f'{heading}<div class="grid">{cards}</div>')


def rates(words: Words, operations: Operations) -> str:
    """Heading and legend above the chart: in HTML they keep their size on a phone."""
    heading = title(words("rates.title"), words("rates.sub"))
    names = "".join(
        f"<span>{dot(colour)}{esc(name)}</span>"
        for _, name, colour in rate_lines(words, operations.activity)
    )
    body = f'<div class="legend">{names}</div>' if names else note(words("rates.none"))
    return section(words, "plain", heading + body)


def tables(words: Words, operations: Operations, zone: tzinfo) -> str:
    """Receipts, lag, workers, what could not be used, found no message or was lost."""
    parts = (
        _receipts(words, operations),
        _lags(words, operations),
        *([_workers(words, operations, zone)] if operations.partitions else ()),
        _dead(words, operations, zone),
        _unmatched(words, operations),
        _lost(words, operations, zone),
    )
    return f'<div class="two ops">{"".join(parts)}</div>'


def _figure(figure: Figure) -> str:
    number, label = esc(figure.value), esc(figure.label)
    return f'<div class="f-{figure.tone}"><dd>{number}</dd><dt>{label}</dt></div>'


def _connection(words: Words, c: ConnectionState, now_ms: int) -> str:
    stale = is_stale(c, now_ms)
    key = "up" if is_up(c) else "partly" if c.bound else "down"
    tone = "bad" if stale or key == "down" else "warn" if key == "partly" else "good"
    age = words.duration(max(0, now_ms - c.reported_at_ms) / 1000)
    when = words("conn.stale" if stale else "conn.age", age=age)
    state = f"{words(f'conn.{key}')} · {c.state}"
    head = (
        f"<header>{dot(f'var(--{tone})')}<b>{esc(c.connection)}</b>"
        f'<em class="c-{tone}">{esc(state)}</em><span>{esc(when)}</span></header>'
    )
    meters = _meter(words("conn.binds"), c.bound, c.binds, tone)
    meters += _meter(words("conn.window"), c.window_in_use, c.window, "info")
    cells = "".join(_counter(words, name, getattr(c, name)) for name in _COUNTERS)
    error = ""
    if c.last_error:
        error = f'<p class="error">{esc(words("conn.error", error=c.last_error))}</p>'
    return (
        f'<article class="card conn k-{tone}">{head}<div class="meters">{meters}</div>'
        f"<dl>{cells}</dl>{error}</article>"
    )


def _meter(label: str, part: int, whole: int, tone: str) -> str:
    share = width(part / whole if whole else 0)
    return (
        f"<div><span>{esc(label)}</span><b>{count(part)} / {count(whole)}</b>"
        f'<div class="meter"><u style="width:{share};background:var(--{tone})"></u></div></div>'
    )


def _counter(words: Words, name: str, value: int) -> str:
    kind = ' class="f-warn"' if name in _ALARMING and value else ""
    return f"<div{kind}><dd>{count(value)}</dd><dt>{esc(words(f'conn.{name}'))}</dt></div>"


def _lags(words: Words, operations: Operations) -> str:
    rows = [
        (
            _topic(words, topic),
            _bar(behind, worst_of_all),
            esc(words("lag.worst", n=count(worst))) if worst else "",
        )
        for found in [lag_by_topic(operations)]
        for worst_of_all in [max((row[1] for row in found), default=0)]
        for topic, behind, worst in found
    ]
    return _table(words, "lag", ("table.topic", "table.behind", ""), rows)


def _workers(words: Words, operations: Operations, zone: tzinfo) -> str:
    rows = [
        (esc(worker), esc(partitions), count(behind), clock(last, zone))
        for worker, partitions, behind, last in behind_by_worker(operations)
    ]
    columns = ("table.worker", "table.partitions", "table.behind", "table.last")
    return _table(words, "workers", columns, rows)


def _receipts(words: Words, operations: Operations) -> str:
    found = receipts_by_state(operations)
    total = sum(row[3] for row in found)
    rows = [(esc(c), _state(state), esc(err), _bar(n, total)) for c, state, err, n in found]
    columns = ("table.connection", "table.state", "table.error", "table.receipts")
    return _table(words, "dlr", columns, rows)


def _dead(words: Words, operations: Operations, zone: tzinfo) -> str:
    rows = [
        (_topic(words, topic), esc(reason), count(n), clock(last, zone))
        for topic, reason, n, last in dead_by_reason(operations)
    ]
    columns = ("table.topic", "table.reason", "table.records", "table.last")
    return _table(words, "dead", columns, rows)


def _unmatched(words: Words, operations: Operations) -> str:
    rows = [
        (esc(c), _state(state), esc(reason), count(n))
        for c, state, reason, n in unmatched_by_reason(operations)
    ]
    columns = ("table.connection", "table.state", "table.reason", "table.receipts")
    return _table(words, "unmatched", columns, rows)


def _lost(words: Words, operations: Operations, zone: tzinfo) -> str:
    rows = [
        (_topic(words, topic), count(n), moment(last, zone))
        for topic, n, last in lost_by_topic(operations)
    ]
    return _table(words, "lost", ("table.topic", "table.records", "table.last"), rows)


def _table(words: Words, key: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table of cells that are HTML already."""
    heading = title(words(f"{key}.title"), words(f"{key}.sub"))
    if not rows:
        return section(words, "card", heading + note(words(f"{key}.none")))
    head = "".join(f"<th>{esc(words(c)) if c else ''}</th>" for c in columns)
    body = "".join(
        f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows[:SHOWN]
    )
    more = note(words("dlr.more", n=len(rows) - SHOWN)) if len(rows) > SHOWN else ""
    table = (
        f'<div class="scroll"><table class="list l-{key}"><thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )
    return section(words, "card", heading + table + more)


def _topic(words: Words, topic: str) -> str:
    name = words(f"topic.{topic}") if words.has(f"topic.{topic}") else topic
    return f'<span title="{esc(topic)}">{esc(name)}</span>'


def _state(state: str) -> str:
    tone = _STATES.get(state.upper(), "mute")
    return f"{dot(f'var(--{tone})')}{esc(state)}"


def _bar(value: int, total: int) -> str:
    number = f"<b>{count(value)}</b>"
    if not value:
        return number
    return f'{number}<span class="bar"><u style="width:{width(value / total)}"></u></span>'


_STATES: Final = {
    "DELIVERED": "good",
    "DELIVRD": "good",
    "FAILED": "bad",
    "UNDELIVERABLE": "bad",
    "UNDELIV": "bad",
    "REJECTED": "bad",
    "REJECTD": "bad",
    "EXPIRED": "warn",
    "DELETED": "warn",
}
