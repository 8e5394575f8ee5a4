"""How much better: relative changes with their likely ranges, and the opt-out guardrail."""

from __future__ import annotations

import math
from typing import Final

from dashboards import metrics
from dashboards.axis import Axis, axis_for
from dashboards.components.html import esc, note, section, title
from dashboards.components.ranges import bounds, line, zero
from dashboards.facts import Decision
from dashboards.format import lift, points
from dashboards.texts import Words
from pipeline.rows import Comparison

METRICS: Final = (
    "profit_per_recipient",
    "revenue_per_recipient",
    "conversion_rate",
    "click_rate",
    "reply_rate",
)
"""Shown in this order, the deciding one first; opt-outs have a scale of their own."""
_OF_MANY: Final = ("profit_per_recipient", "conversion_rate", "click_rate")
"""With several treatments only these, and what decides."""
GUARDED: Final = "opt_out_rate"
_NEITHER: Final = frozenset({"reply_rate"})
"""More replies are no gain by themselves: opting out is a reply too."""
_ROOM: Final = 0.4
"""Of the plot's width: a label of about 130 pixels on a phone."""


def forest_html(words: Words, decision: Decision, chip: str) -> str:
    """Relative change of every metric, treatment by treatment."""
    rows = _shown(decision)
    heading = title(
        words("forest.title"), words("forest.sub", control=decision.campaign.control), chip
    )
    if not rows:
        return section(words, "card", heading + note(words("forest.none")))
    axis = _axis(rows)
    treatments = {row.treatment for row in rows}
    body, last = "", ""
    for row in rows:
        head = _group(words, row) if len(treatments) > 1 and row.metric != last else ""
        label = row.treatment if len(treatments) > 1 else ""
        body += head + _row(words, decision, row, axis, label)
        last = row.metric
    plot = f'<div class="fo">{body}{_ticks(axis)}{_guardrail(words, decision)}</div>'
    return section(words, "card", heading + plot + note(words("forest.band")))


def _shown(decision: Decision) -> list[Comparison]:
    order = {metric: i for i, metric in enumerate(METRICS)}
    is_one = len(decision.variants) <= 2
    chosen = METRICS if is_one else _OF_MANY
    found = [
        c
        for c in decision.against_control
        if c.metric in order and (c.decides or (c.metric in chosen and _is_known(c)))
    ]
    return sorted(found, key=lambda c: (not c.decides, order[c.metric], c.treatment))


def _is_known(row: Comparison) -> bool:
    """Clicks and replies that nobody could make are left out."""
    return row.control_value > 0 or row.treatment_value > 0


def _axis(rows: list[Comparison]) -> Axis:
    main: list[float] = []
    others: list[float] = []
    for row in rows:
        ends = [row.relative_lift, row.relative_lift_lower, row.relative_lift_upper]
        (main if row.decides else others).extend(ends)
    return axis_for(main, others)


def _group(words: Words, row: Comparison) -> str:
    return f'<div class="g">{_name(words, row)}</div>'


def _name(words: Words, row: Comparison) -> str:
    star = f' <span class="sub">★ {esc(words("forest.decides"))}</span>' if row.decides else ""
    return f'<b class="m">{esc(metrics.name(words, row.metric))}</b>{star}'


def _row(words: Words, decision: Decision, row: Comparison, axis: Axis, label: str) -> str:
    name = f"<b>{esc(label)}</b>" if label else _name(words, row)
    tone = _tone(row, decision.campaign.minimum_effect) if row.maturity == "mature" else "mute"
    if math.isnan(row.relative_lift):
        return _absolute(words, decision, row, name)
    low, high = row.relative_lift_lower, row.relative_lift_upper
    between = words("range", lo=lift(low), hi=lift(high))
    said = f"{metrics.name(words, row.metric)} {label} {lift(row.relative_lift)}, {between}"
    track = _band(row, decision.campaign.minimum_effect, axis) + zero(axis)
    track += bounds(axis, low, row.relative_lift, high, tone, is_big=row.decides)
    value = f'<b class="c-{tone}">{lift(row.relative_lift)}</b><em>{esc(between)}</em>'
    return line(name, said, track, value)


def _absolute(words: Words, decision: Decision, row: Comparison, name: str) -> str:
    """Without a percentage the difference itself is told."""

    def told(amount: float) -> str:
        return metrics.difference(words, row.metric, amount, decision.campaign.currency)

    text = words("forest.no_percent", lo=told(row.ci_lower), hi=told(row.ci_upper))
    value = f"<b>{esc(told(row.effect_size))}</b>"
    return (
        f'<div class="r"><div class="l">{name}</div><div class="t say">{esc(text)}</div>'
        f'<div class="v">{value}</div></div>'
    )


def _tone(row: Comparison, limit: float) -> str:
    """Colour only where the whole range is on one side of 0 and large enough to matter."""
    if row.metric in _NEITHER and not row.decides:
        return "mute"
    is_small = row.decides and -limit < row.ci_lower and row.ci_upper < limit
    if row.ci_lower > 0 and not is_small:
        return "good"
    return "bad" if row.ci_upper < 0 and not is_small else "mute"


def _band(row: Comparison, limit: float, axis: Axis) -> str:
    """The plan's limit is absolute; on this axis it is relative to the control."""
    if not row.decides or not limit > 0 or not row.control_value > 0:
        return ""
    share = limit / row.control_value
    left, right = axis.at(-share) * 100, axis.at(share) * 100
    return f'<div class="band" style="left:{left:.2f}%;width:{right - left:.2f}%"></div>'


def _ticks(axis: Axis) -> str:
    ends = {axis.ticks[0]: "first", axis.ticks[-1]: "last"}
    marks = "".join(
        f'<span class="{ends.get(tick, "")}" style="left:{axis.at(tick) * 100:.2f}%">'
        f"{lift(tick) if tick else 0}</span>"
        for tick in axis.ticks
    )
    return f'<div class="ax" aria-hidden="true">{marks}</div>'


def _guardrail(words: Words, decision: Decision) -> str:
    """Opt-outs in percentage points against the limit of the plan."""
    rows = [c for c in decision.against_control if c.metric == GUARDED]
    rows = [c for c in rows if math.isfinite(c.effect_size)]
    if not rows:
        return ""
    limit = decision.campaign.opt_out_margin
    has_limit = math.isfinite(limit)
    ends = [v for c in rows for v in (c.ci_lower, c.ci_upper)]
    low = min([*ends, 0.0])
    high = max([*ends, limit if has_limit else 0.0, 0.0002])
    pad = (high - low) * 0.08
    axis = Axis(low - pad, high + pad, ())
    body = "".join(_guarded(words, c, axis, limit, len(rows) > 1) for c in rows)
    ticks = _limit_ticks(words, axis, limit) if has_limit else _mark(axis, 0, "0")
    scale = f'<div class="ax" aria-hidden="true">{ticks}</div>'
    missing = "" if has_limit else f'<div class="g sub">{esc(words("forest.no_limit"))}</div>'
    name = f'<div class="g"><b class="m">{esc(metrics.name(words, GUARDED))}</b></div>'
    return f'<div class="hr"></div>{name if len(rows) > 1 else ""}{body}{scale}{missing}'


def _limit_ticks(words: Words, axis: Axis, limit: float) -> str:
    """The limit's label needs room to one side; the 0 gives way where they are close."""
    text = words("forest.limit", v=words("points", v=points(limit)))
    side = " right" if axis.at(limit) < 0.5 else ""
    zero = _mark(axis, 0, "0") if abs(axis.at(limit) - axis.at(0)) >= _ROOM else ""
    return zero + _mark(axis, limit, text, f"limit{side}")


def _mark(axis: Axis, value: float, text: str, kind: str = "") -> str:
    return f'<span class="{kind}" style="left:{axis.at(value) * 100:.2f}%">{esc(text)}</span>'


def _guarded(words: Words, row: Comparison, axis: Axis, limit: float, is_one_of_many: bool) -> str:  # noqa: FBT001
    name = row.treatment if is_one_of_many else metrics.name(words, GUARDED)
    kind = "" if is_one_of_many else ' class="m"'
    tone = "mute"
    if math.isfinite(limit):
        tone = "good" if row.ci_upper <= limit else "bad" if row.ci_lower > limit else "warn"
    told = words("points", v=points(row.effect_size))
    between = words("points", v=words("range", lo=points(row.ci_lower), hi=points(row.ci_upper)))
    track = zero(axis)
    if math.isfinite(limit):
        track += f'<div class="lim" style="left:{axis.at(limit) * 100:.2f}%"></div>'
    track += bounds(axis, row.ci_lower, row.effect_size, row.ci_upper, tone)
    value = f"<b>{esc(told)}</b><em>{esc(between)}</em>"
    return line(f"<b{kind}>{esc(name)}</b>", f"{name} {told}, {between}", track, value)
