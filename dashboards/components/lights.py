"""The trust lights."""

from __future__ import annotations

from typing import Final

from dashboards.components.html import esc, section, title
from dashboards.light_words import Light, summary
from dashboards.texts import Words

_MARKS: Final = {"ok": "✓", "warn": "!", "bad": "✕", "pending": "…"}


def lights_html(words: Words, lights: list[Light]) -> str:
    """One tile per check."""
    if not lights:
        return ""
    items = "".join(_tile(words, light) for light in lights)
    head = title(words("lights.title"), summary(words, lights))
    return section(words, "trust", f'{head}<ul class="lights">{items}</ul>')


def _tile(words: Words, light: Light) -> str:
    status = esc(words(f"status.{light.status}"))
    mark = f'<i role="img" aria-label="{status}" title="{status}">{_MARKS[light.status]}</i>'
    body = f"<b>{esc(light.title)}</b><span>{esc(light.proof)}</span>"
    return f'<li class="{light.status}">{mark}{body}</li>'
