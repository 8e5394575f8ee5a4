"""The banner: what to do, why, what it is worth."""

from __future__ import annotations

from typing import Final

from dashboards.components.html import esc, section, width
from dashboards.texts import Words
from dashboards.verdict_words import Banner

_MARKS: Final = {"good": "✓", "bad": "✕", "warn": "?", "calm": "=", "wait": "…"}


def banner_html(words: Words, banner: Banner) -> str:
    """The first thing on the page."""
    mark = f'<div class="ic" aria-hidden="true">{esc(banner.mark or _MARKS[banner.tone])}</div>'
    say = f'<div class="say" role="heading" aria-level="2">{esc(banner.say)}</div>'
    body = f'<div class="what">{say}<p class="why">{esc(banner.why)}</p></div>'
    money = _money(banner)
    return section(words, f"verdict t-{banner.tone}", mark + body + money, banner.say)


def _money(banner: Banner) -> str:
    if not (banner.big or banner.lead):
        return ""
    first, *rest = (*banner.details, "")
    meter = ""
    if banner.progress is not None:
        meter = f'<div class="meter"><u style="width:{width(banner.progress)}"></u></div>'
    likely = f"<strong>{esc(first)}</strong>" if first else ""
    lines = "".join(f"<span>{esc(line)}</span>" for line in rest if line)
    big = f"<b>{esc(banner.big)}</b>" if banner.big else ""
    return f'<div class="money">{big}{meter}<span>{esc(banner.lead)}</span>{likely}{lines}</div>'
