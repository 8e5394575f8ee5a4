"""Small pieces of HTML. Everything that comes from data goes through `esc`."""

from __future__ import annotations

from html import escape
from typing import Final

from dashboards.texts import Words

COLOURS: Final = 6
"""`--arm-0` is the control, the others the treatments; more arms start again."""


def esc(value: object) -> str:
    """Text as HTML, safe in content and in quoted attributes."""
    return escape(str(value), quote=True)


def section(words: Words, kind: str, body: str, label: str = "") -> str:
    """A part of the page in its language."""
    name = f' aria-label="{esc(label)}"' if label else ""
    return f'<section class="mk {kind}" lang="{words.html}"{name}>{body}</section>'


def title(text: str, note: str = "", chip: str = "") -> str:
    """A heading with a remark."""
    mark = f'<em class="chip">{esc(chip)}</em>' if chip else ""
    small = f"<small>{esc(note)}</small>" if note else ""
    return f"<h2>{esc(text)}{small}{mark}</h2>"


def dot(colour: str) -> str:
    """A coloured dot beside a name."""
    return f'<span class="dot" style="background:{colour}"></span>'


def colour_of(position: int) -> str:
    """The colour of the arm at a position, the control first."""
    if position == 0:
        return "var(--arm-0)"
    return f"var(--arm-{(position - 1) % (COLOURS - 1) + 1})"


def width(share: float) -> str:
    """A share of 0 to 1 as CSS; undefined is nothing."""
    bounded = min(1.0, max(0.0, share)) if share == share else 0.0  # noqa: PLR0124 - nan
    return f"{bounded * 100:.2f}%"


def note(text: str) -> str:
    """A remark below."""
    return f'<p class="note">{esc(text)}</p>' if text else ""


def empty(words: Words, tone: str, heading: str, body: str, command: str = "") -> str:
    """A friendly sentence where there is nothing to show, with the command that helps."""
    code = f"<code>{esc(command)}</code>" if command else ""
    inner = f'<div class="say">{esc(heading)}</div><p class="why">{esc(body)}</p>{code}'
    return section(words, f"empty t-{tone}", inner, heading)
