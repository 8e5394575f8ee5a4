"""The table on screen and the JSON file of a measurement."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.table import Table

from benchmarks.figures import Measured

Results = Mapping[str, Sequence[Measured]]
"""Benchmark → its figures."""


def table(results: Results) -> Table:
    """One row per figure: median, lowest and highest run, target."""
    drawn = Table(title="Medians; lowest and highest run beside them")
    for heading in ("benchmark", "figure"):
        drawn.add_column(heading)
    for heading in ("median", "lowest", "highest", "target"):
        drawn.add_column(heading, justify="right")
    for name, figures in results.items():
        for number, measured in enumerate(figures):
            drawn.add_row(
                name if number == 0 else "",
                measured.figure.name,
                *map(shown, (measured.median, min(measured.values), max(measured.values))),
                _target(measured),
                end_section=number == len(figures) - 1,
            )
    return drawn


def shown(value: float) -> str:
    """Three digits that mean something: 12.3, 4,560, 123,000."""
    rounded = float(f"{value:.3g}")
    return f"{rounded:,.0f}" if abs(rounded) >= 100 else f"{rounded:.3g}"


def write(
    folder: Path, results: Results, machine: Mapping[str, object], *, runs: int, scale: float
) -> Path:
    """Write everything, each run's values too; returns the file."""
    folder.mkdir(parents=True, exist_ok=True)
    at = time.strftime("%Y-%m-%dT%H%M%SZ", time.gmtime())
    content = {
        "at": at,
        "runs": runs,
        "scale": scale,
        "machine": machine,
        "benchmarks": {
            name: [
                {
                    "figure": measured.figure.name,
                    "unit": measured.figure.unit,
                    "median": _defined(measured.median),
                    "values": [_defined(value) for value in measured.values],
                    "at_least": measured.figure.at_least,
                    "at_most": measured.figure.at_most,
                }
                for measured in figures
            ]
            for name, figures in results.items()
        },
    }
    path = folder / f"{at}.json"
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return path


def _target(measured: Measured) -> str:
    least, most = measured.figure.at_least, measured.figure.at_most
    if least is not None:
        return f"≥ {shown(least)} {'met' if measured.median >= least else 'missed'}"
    if most is not None:
        return f"≤ {shown(most)} {'met' if measured.median <= most else 'missed'}"
    return ""


def _defined(value: float) -> float | None:
    """JSON has no nan."""
    return None if math.isnan(value) else value
