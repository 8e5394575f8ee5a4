"""Likely ranges as HTML bars: text keeps its size at every width."""

from __future__ import annotations

import math

from dashboards.axis import Axis
from dashboards.components.html import esc


def line(name: str, said: str, track: str, value: str) -> str:
    """One row: a name, a drawn track that is also told, and its value in words."""
    return (
        f'<div class="r"><div class="l">{name}</div>'
        f'<div class="t" role="img" aria-label="{esc(said)}">{track}</div>'
        f'<div class="v">{value}</div></div>'
    )


def zero(axis: Axis) -> str:
    """Where there is no difference."""
    return f'<div class="zero" style="left:{axis.at(0) * 100:.2f}%"></div>'


def bounds(
    axis: Axis, low: float, middle: float, high: float, tone: str, *, is_big: bool = False
) -> str:
    """A likely range and its middle."""
    parts = ""
    if math.isfinite(low) and math.isfinite(high):
        left, right = axis.at(low) * 100, axis.at(high) * 100
        style = f"left:{left:.2f}%;width:{max(0.8, right - left):.2f}%;background:var(--{tone})"
        cut = (" cut-low" if low < axis.low else "") + (" cut-high" if high > axis.high else "")
        parts = f'<div class="ci{cut}" style="{style}"></div>'
    size = " big" if is_big else ""
    style = f"left:{axis.at(middle) * 100:.2f}%;background:var(--{tone})"
    return f'{parts}<div class="pt{size}" style="{style}"></div>'
