"""The ledger: what truly happened, a JSON line per fact, written by operator and audience only."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import IO, Final

KEYS: Final = (
    "assigned",
    "submitted",
    "accepted",
    "rejected",
    "delivered",
    "failed",
    "replied",
    "opted_out",
    "clicked",
    "converted",
    "revenue_minor",
    "refunded_minor",
)
_MONEY: Final = {"converted": "revenue_minor", "refunded": "refunded_minor"}
TOTAL: Final = "total"
Totals = dict[str, dict[str, int]]


class Ledger:
    """Appends facts about people (`row` of the audience file, never a number)."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file: IO[str] = path.open("a", encoding="utf-8")

    def write(
        self, fact: str, *, row: int, variant_id: str, at_ms: int, value_minor: int = 0
    ) -> None:
        """Append one fact."""
        line = {"fact": fact, "row": row, "variant_id": variant_id, "at_ms": at_ms}
        if value_minor:
            line["value_minor"] = value_minor
        self._file.write(json.dumps(line) + "\n")

    def flush(self) -> None:
        """Put it where other processes see it."""
        self._file.flush()

    def close(self) -> None:
        """Flush and close."""
        self._file.close()


def read_totals(path: Path) -> Totals:
    """Recipients per variant and fact, and money; `total` adds the variants up.

    Raises:
        ValueError: If a line is not a fact.
    """
    with path.open(encoding="utf-8") as file:
        return _totals(file, path)


def _totals(lines: Iterable[str], path: Path) -> Totals:
    people: dict[tuple[str, str], set[int]] = defaultdict(set)
    money: dict[tuple[str, str], int] = defaultdict(int)
    for number, text in enumerate(lines, 1):
        try:
            line = json.loads(text)
            variant_id, fact = line["variant_id"], line["fact"]
            people[variant_id, fact].add(line["row"])
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"{path.name} line {number} is not a fact: {error!r}") from error
        if fact in _MONEY:
            money[variant_id, _MONEY[fact]] += line.get("value_minor", 0)
    variants = sorted({variant_id for variant_id, _ in people})
    totals: Totals = {
        variant_id: {
            key: money.get((variant_id, key), len(people[variant_id, key])) for key in KEYS
        }
        for variant_id in variants
    }
    totals[TOTAL] = {key: sum(totals[v][key] for v in variants) for key in KEYS}
    return totals
