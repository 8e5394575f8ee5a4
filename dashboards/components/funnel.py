"""What people did, arm by arm: counts and shares of everybody assigned."""

from __future__ import annotations

from typing import Final

from dashboards import metrics
from dashboards.components.html import colour_of, dot, esc, note, section, title, width
from dashboards.facts import Decision
from dashboards.format import count, percent
from dashboards.texts import Words
from pipeline.rows import VariantResult
from schemas.events import HOLDOUT

STEPS: Final = ("assigned", "accepted", "delivered", "clicked", "converted", "replied", "opted_out")
_RARE: Final = frozenset({"clicked", "converted", "replied", "opted_out"})
"""Steps that few people reach; their bars have a scale of their own."""
_OF_HOLDOUT: Final = frozenset({"assigned", "converted"})
"""Nobody of the holdout can receive, click, answer or opt out of a message."""
_SCALES: Final = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
_SIDE_BY_SIDE: Final = 3
"""More arms than this stand below each other, at every width."""


def funnel_html(words: Words, decision: Decision, chip: str) -> str:
    """The funnel as a table; on a phone, and with many arms, one line per arm."""
    arms = decision.shown
    full = _scale(arms)
    head = "".join(_head(words, i, r.variant_id) for i, r in enumerate(arms))
    body = "".join(_row(words, step, arms, full) for step in STEPS)
    kind = " many" if len(arms) > _SIDE_BY_SIDE else ""
    table = (
        f'<table class="fun{kind}"><thead><tr><th></th>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table>"
    )
    remark = words("funnel.note", step=words("step.clicked"), full=percent(full))
    heading = title(words("funnel.title"), words("funnel.sub"), chip)
    return section(words, "card", heading + table + note(remark))


def _head(words: Words, position: int, variant_id: str) -> str:
    name = metrics.arm(words, variant_id)
    return f'<th scope="col">{dot(_colour(position, variant_id))}{esc(name)}</th>'


def _row(words: Words, step: str, arms: list[VariantResult], full: float) -> str:
    cells = "".join(_cell(words, step, i, arm, full) for i, arm in enumerate(arms))
    kind = {"clicked": "rare", "replied": "exit"}.get(step, "")
    return f'<tr class="{kind}"><th scope="row">{esc(words(f"step.{step}"))}</th>{cells}</tr>'


def _cell(words: Words, step: str, position: int, arm: VariantResult, full: float) -> str:
    name = f'<span class="arm">{esc(metrics.arm(words, arm.variant_id))}</span>'
    if arm.variant_id == HOLDOUT and step not in _OF_HOLDOUT:
        return f'<td class="none">{name}<span class="n">–</span></td>'
    reached, total = getattr(arm.counters, step), arm.counters.assigned
    share = reached / total if total else 0.0
    scale = full if step in _RARE else 1.0
    style = f"width:{width(share / scale)};background:{_colour(position, arm.variant_id)}"
    bar = f'<u style="{style}"></u>'
    numbers = f'<span class="n"><b>{count(reached)}</b><em>{percent(share)}</em></span>'
    return f'<td>{name}{numbers}<span class="bar">{bar}</span></td>'


def _scale(arms: list[VariantResult]) -> float:
    """The smallest round scale that holds every rare step."""
    shares = [
        getattr(arm.counters, step) / arm.counters.assigned
        for arm in arms
        for step in _RARE
        if arm.counters.assigned
    ]
    largest = max(shares, default=0.0)
    return next((scale for scale in _SCALES if scale >= largest), 1.0)


def _colour(position: int, variant_id: str) -> str:
    return "var(--held)" if variant_id == HOLDOUT else colour_of(position)
