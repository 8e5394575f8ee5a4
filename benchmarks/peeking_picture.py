"""Draws docs/images/peeking.svg: how often a test without any effect names a winner.

`python -m benchmarks.peeking_picture [--runs N]`. Simulated A/A tests are looked at up to 50
times, with the fixed test (p < 0.05) and with the sequence; the dotted curve is computed by
recursion, not simulated.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Final
from xml.sax.saxutils import escape

import numpy as np

from benchmarks.simulated_looks import PEEKS, Compare, sequential
from pipeline.stats import compare_proportions, crossing_chances

TARGET: Final = Path(__file__).parents[1] / "docs" / "images" / "peeking.svg"
WIDTH, HEIGHT = 800, 380
LEFT, RIGHT, TOP, BOTTOM = 64, 250, 62, 52
TOP_RATE: Final = 0.4
NAIVE, SAFE, GREY = "#b3261e", "#1b6e5a", "#6b7280"
Curve = list[float]


def winners_by_peek(runs: int, seed: int, compare: Compare, people: int = 400) -> Curve:
    """Share of A/A tests that have been called significant at this or an earlier peek."""
    draw = np.random.default_rng(seed)
    first = np.zeros(PEEKS)
    for _ in range(runs):
        grown = np.cumsum(draw.binomial(people, 0.1, (2, PEEKS)), axis=1).tolist()
        for peek, (a, b) in enumerate(zip(*grown, strict=True), 1):
            if compare((a, people * peek), (b, people * peek)).pvalue < 0.05:
                first[peek - 1] += 1
                break
    found: Curve = (np.cumsum(first) / runs).tolist()
    return found


def place(peek: float, rate: float) -> tuple[float, float]:
    """Pixels of a point."""
    x = LEFT + (peek - 1) / (PEEKS - 1) * (WIDTH - LEFT - RIGHT)
    return x, HEIGHT - BOTTOM - rate / TOP_RATE * (HEIGHT - TOP - BOTTOM)


def draw_curve(curve: Curve, colour: str, dash: str = "") -> str:
    """One polyline."""
    points = " ".join(
        f"{x:.1f},{y:.1f}" for x, y in (place(k, rate) for k, rate in enumerate(curve, 1))
    )
    extra = f' stroke-dasharray="{dash}"' if dash else ""
    return f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2.5"{extra}/>'


def write(x: float, y: float, text: str, colour: str = "#111827", anchor: str = "start") -> str:
    """One line of text."""
    place_at = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"'
    return f'<text {place_at} fill="{colour}">{escape(text)}</text>'


def draw_axes() -> list[str]:
    """Grid, ticks and names of the axes."""
    parts = []
    for percent in (0, 5, 10, 20, 30, 40):
        (x1, y), (x2, _) = place(1, percent / 100), place(PEEKS, percent / 100)
        colour, width = (GREY, 1.4) if percent == 5 else ("#e5e7eb", 1)
        parts.append(
            f'<line x1="{x1}" y1="{y:.1f}" x2="{x2}" y2="{y:.1f}" stroke="{colour}" '
            f'stroke-width="{width}"/>'
        )
        parts.append(write(x1 - 10, y + 4, f"{percent} %", GREY, "end"))
    parts += [
        write(place(peek, 0)[0], HEIGHT - BOTTOM + 20, str(peek), GREY, "middle")
        for peek in (1, 10, 20, 30, 40, 50)
    ]
    middle = (LEFT + WIDTH - RIGHT) / 2
    parts.append(write(middle, HEIGHT - 10, "looks at the same test", GREY, "middle"))
    return parts


def draw_picture(runs: int, seed: int) -> str:
    """The whole SVG."""
    naive = winners_by_peek(runs, seed, compare_proportions)
    safe = winners_by_peek(runs, seed, sequential)
    exact = [
        crossing_chances([1.959964] * k, [(i + 1) / k for i in range(k)])[-1]
        for k in range(1, PEEKS + 1)
    ]
    title = "Two identical texts: how often does one “win”?"
    space = f'xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img"'
    font = 'font-size="16" font-weight="600" fill="#111827"'
    parts = [
        f'<svg {space} font-family="system-ui, sans-serif" font-size="13">',
        f"<title>{escape(title)}</title>",
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>',
        f'<text x="{LEFT}" y="28" {font}>{escape(title)}</text>',
        *draw_axes(),
        draw_curve(exact, GREY, "3 4"),
        draw_curve(naive, NAIVE),
        draw_curve(safe, SAFE),
    ]
    edge = WIDTH - RIGHT + 12
    for rate, colour, lines in (
        (naive[-1], NAIVE, (f"p < 0.05 at every look: {naive[-1] * 100:.1f} %", "(dotted: exact)")),
        (0.05, GREY, ("5 %: what was promised",)),
        (safe[-1], SAFE, (f"confidence sequence: {safe[-1] * 100:.1f} %",)),
    ):
        y = place(PEEKS, rate)[1] + 4
        parts += [write(edge, y + 17 * i, line, colour) for i, line in enumerate(lines)]
    note = f"{runs:,} simulated tests without any effect, 400 recipients an arm between looks"
    parts.append(write(LEFT, TOP - 14, note, GREY))
    return "\n".join([*parts, "</svg>", ""])


def main() -> None:
    """Write the picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    TARGET.parent.mkdir(parents=True, exist_ok=True)
    TARGET.write_text(draw_picture(given.runs, given.seed), encoding="utf-8")
    print(TARGET)


if __name__ == "__main__":
    main()
