"""What it costs and brings, arm by arm."""

from __future__ import annotations

from typing import Final

from dashboards import metrics
from dashboards.components.html import colour_of, dot, esc, section, title
from dashboards.facts import Decision
from dashboards.format import count, decimal, money, ratio, unit
from dashboards.texts import Words
from pipeline.rows import VariantResult
from schemas.events import HOLDOUT

_DEARER: Final = 1.2
"""A text that costs a fifth more than the control's is worth a remark."""


def economics_html(words: Words, decision: Decision, chip: str) -> str:
    """Four cards: profit, cost, opt-outs, return."""
    cards = (
        _profit(words, decision),
        _cost(words, decision),
        _opt_outs(words, decision),
        _return(words, decision),
    )
    head = title(words("money.title"), chip=chip)
    return section(words, "money-part", f'{head}<div class="eco">{"".join(cards)}</div>')


def _card(
    words: Words, heading: str, lines: list[tuple[VariantResult, str, str]], note: str
) -> str:
    rows = "".join(_line(words, i, *line) for i, line in enumerate(lines))
    return (
        f'<div class="card"><h3>{esc(heading)}</h3><div class="arms">{rows}</div>'
        f"<p>{esc(note)}</p></div>"
    )


def _line(words: Words, position: int, arm: VariantResult, big: str, small: str) -> str:
    colour = "var(--held)" if arm.variant_id == HOLDOUT else colour_of(position)
    name = f"<i>{dot(colour)}{esc(metrics.arm(words, arm.variant_id))}</i>"
    return f"<div>{name}<b>{esc(big)}</b><span>{esc(small)}</span></div>"


def _profit(words: Words, decision: Decision) -> str:
    currency = decision.campaign.currency
    lines = [
        (
            arm,
            money(arm.profit_per_recipient_minor, currency),
            _between(
                words,
                money(arm.profit_per_recipient_lower, currency),
                money(arm.profit_per_recipient_upper, currency),
            ),
        )
        for arm in decision.shown
    ]
    return _card(words, words("eco.profit"), lines, words("eco.profit.note"))


def _cost(words: Words, decision: Decision) -> str:
    currency = decision.campaign.currency
    lines = [
        (
            arm,
            money(arm.cost_per_1000_minor, currency),
            words("eco.cost.segments", n=decimal(arm.segments_per_message)),
        )
        for arm in decision.sent
    ]
    return _card(words, words("eco.cost"), lines, _cost_note(words, decision.sent))


def _cost_note(words: Words, arms: list[VariantResult]) -> str:
    costs = {a.variant_id: a.cost_per_1000_minor for a in arms if a.cost_per_1000_minor > 0}
    if len(costs) > 1:
        dear, cheap = max(costs, key=costs.__getitem__), min(costs, key=costs.__getitem__)
        times = costs[dear] / costs[cheap]
        if times >= _DEARER:
            return words("eco.cost.dearer", arm=dear, other=cheap, times=decimal(times))
    return words("eco.cost.note")


def _opt_outs(words: Words, decision: Decision) -> str:
    campaign = decision.campaign
    price = campaign.opt_out_cost_minor
    lines = [
        (
            arm,
            money(arm.counters.opted_out * price, campaign.currency),
            words("eco.opt_outs.people", n=count(arm.counters.opted_out)),
        )
        for arm in decision.sent
    ]
    note = words("eco.opt_outs.note", each=money(price, campaign.currency))
    return _card(words, words("eco.opt_outs"), lines, note if price else words("eco.opt_outs.free"))


def _return(words: Words, decision: Decision) -> str:
    has_holdout = decision.holdout is not None
    lines = [(arm, *_returns(words, arm, has_holdout)) for arm in decision.sent]
    note = words("eco.roi.note" if has_holdout else "eco.roi.none")
    return _card(words, words("eco.roi", unit=unit(decision.campaign.currency)), lines, note)


def _returns(words: Words, arm: VariantResult, has_holdout: bool) -> tuple[str, str]:  # noqa: FBT001
    gross = words("eco.roi.gross", v=ratio(arm.roi_gross))
    if not has_holdout:
        return ratio(arm.roi_incremental), f"{words('eco.roi.need')} · {gross}"
    between = _between(words, ratio(arm.roi_incremental_lower), ratio(arm.roi_incremental_upper))
    return ratio(arm.roi_incremental), f"{between} · {gross}"


def _between(words: Words, low: str, high: str) -> str:
    return words("range", lo=low, hi=high)
