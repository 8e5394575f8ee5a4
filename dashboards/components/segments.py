"""Does the effect differ between segments? One card per attribute."""

from __future__ import annotations

import math
from typing import Final

from dashboards import metrics
from dashboards.axis import Axis
from dashboards.components.html import esc, note, section, title
from dashboards.components.ranges import bounds, line, zero
from dashboards.facts import Decision
from dashboards.segment_words import by_attribute, sentence, value_name
from dashboards.texts import Words
from pipeline.rows import Segment, SegmentCheck

SHOWN: Final = 8
"""The largest segments; all of them are in `serve.duckdb`."""
_PAD: Final = 0.06


def segments_html(words: Words, decision: Decision) -> str:
    """The goal by attribute, for the treatment that the verdict is about."""
    cards = "".join(_card(words, decision, check, rows) for check, rows in by_attribute(decision))
    return f'<div class="segs">{cards}</div>' if cards else ""


def _card(words: Words, decision: Decision, check: SegmentCheck, rows: list[Segment]) -> str:
    heading = title(
        words("segments.title", attribute=check.attribute),
        words(
            "segments.sub",
            metric=metrics.name(words, decision.campaign.metric),
            treatment=check.treatment,
            control=decision.campaign.control,
        ),
    )
    shown = rows[:SHOWN]
    axis = _axis(shown)
    body = "".join(_row(words, decision, row, axis) for row in shown)
    more = words("segments.more", n=len(rows) - SHOWN) if len(rows) > SHOWN else ""
    said = f'<p class="said">{esc(sentence(words, decision, check))}</p>'
    colours = words("segments.note") if any(_is_known(row) for row in shown) else ""
    notes = note(words.gap.join(filter(None, (more, colours))))
    return section(words, "card", f'{heading}{said}<div class="fo">{body}</div>{notes}')


def _axis(rows: list[Segment]) -> Axis:
    ends = [v for row in rows for v in (row.ci_lower, row.ci_upper) if math.isfinite(v)]
    low, high = min([*ends, 0.0]), max([*ends, 0.0])
    pad = (high - low) * _PAD or 1.0
    return Axis(low - pad, high + pad, ())


def _row(words: Words, decision: Decision, row: Segment, axis: Axis) -> str:
    name = f"<b>{esc(value_name(words, row.value))}</b>"
    if not _is_known(row):
        few = esc(words("segments.few"))
        return (
            f'<div class="r"><div class="l">{name}</div><div class="t say">{few}</div>'
            '<div class="v"></div></div>'
        )

    def told(amount: float) -> str:
        return metrics.difference(words, row_metric, amount, decision.campaign.currency)

    row_metric = decision.campaign.metric
    between = words("range", lo=told(row.ci_lower), hi=told(row.ci_upper))
    tone = _tone(row, decision.campaign.alpha)
    track = zero(axis) + bounds(axis, row.ci_lower, row.effect_size, row.ci_upper, tone)
    value = f'<b class="c-{tone}">{esc(told(row.effect_size))}</b><em>{esc(between)}</em>'
    said = f"{value_name(words, row.value)} {told(row.effect_size)}, {between}"
    return line(name, said, track, value)


def _is_known(row: Segment) -> bool:
    return math.isfinite(row.effect_size)


def _tone(row: Segment, alpha: float) -> str:
    """Colour only for what is clear although so many segments are looked at."""
    if not row.pvalue_adjusted <= alpha:
        return "mute"
    return "good" if row.effect_size > 0 else "bad"
