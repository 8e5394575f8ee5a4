"""The ledger: what truly happened, a JSON line per fact, written by operator and audience only."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

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
    """Appends facts about people (`row` of the audience file, never a number).

    A line that a killed simulator left unfinished is cut off: its fact was never told.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        _cut_torn_line(path)
        self._file = path.open("ab")

    def write(
        self,
        fact: str,
        *,
        row: int,
        variant_id: str,
        at_ms: int,
        value_minor: int = 0,
        conversion_id: str = "",
        in_window: bool = True,
    ) -> None:
        """Append one fact. A conversion has an id, and whether it counts for the campaign."""
        line: dict[str, Any] = {
            "fact": fact,
            "row": row,
            "variant_id": variant_id,
            "at_ms": at_ms,
        }
        if conversion_id:
            line |= {"id": conversion_id, "value_minor": value_minor, "in_window": in_window}
        self._file.write(json.dumps(line).encode() + b"\n")

    def flush(self) -> None:
        """Put it where other processes see it."""
        self._file.flush()

    def close(self) -> None:
        """Flush and close."""
        self._file.close()


def read_totals(path: Path) -> Totals:
    """Recipients per variant and fact, and money; `total` adds the variants up.

    May be called while the ledger is being written: an unfinished last line is not read.
    A conversion counts once by its id, and only when it is in the window.

    Raises:
        ValueError: If a finished line is not a fact.
    """
    tally = _Tally()
    with path.open("rb") as file:
        for number, line in enumerate(_finished(file), 1):
            try:
                tally.add(json.loads(line))
            except (ValueError, KeyError, TypeError) as error:
                raise ValueError(f"{path.name} line {number} is not a fact: {error!r}") from error
    return tally.totals()


@dataclass(slots=True)
class _Tally:
    people: dict[tuple[str, str], set[int]] = field(default_factory=lambda: defaultdict(set))
    money: dict[tuple[str, str], int] = field(default_factory=lambda: defaultdict(int))
    conversion_ids: set[str] = field(default_factory=set)

    def add(self, line: dict[str, Any]) -> None:
        """Count one fact."""
        variant_id, fact, row = line["variant_id"], line["fact"], line["row"]
        if fact in _MONEY:
            if not line["in_window"] or line["id"] in self.conversion_ids:
                return
            self.conversion_ids.add(line["id"])
            self.money[variant_id, _MONEY[fact]] += line["value_minor"]
        self.people[variant_id, fact].add(row)

    def totals(self) -> Totals:
        """The sums."""
        variants = sorted({variant_id for variant_id, _ in self.people})
        totals: Totals = {v: {key: self._count(v, key) for key in KEYS} for v in variants}
        totals[TOTAL] = {key: sum(totals[v][key] for v in variants) for key in KEYS}
        return totals

    def _count(self, variant_id: str, key: str) -> int:
        if key in _MONEY.values():
            return self.money.get((variant_id, key), 0)
        return len(self.people.get((variant_id, key), ()))


def _finished(lines: Iterable[bytes]) -> Iterable[bytes]:
    return (line for line in lines if line.endswith(b"\n"))


def _cut_torn_line(path: Path) -> None:
    if not path.exists():
        return
    with path.open("rb+") as file:
        file.truncate(file.read().rfind(b"\n") + 1)
