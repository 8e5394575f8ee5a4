"""Holds what the pipeline counted against what truly happened. Pure but for the two readers."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pipeline.rows import VariantResult, Verdict
from pipeline.snapshot import SERVE_FILE
from pipeline.storage.reader import ResultsReader, SnapshotUnreadable
from runtime.process import CannotRun, ExitCode
from simulator.ledger import KEYS, TOTAL, Totals, read_totals

_FEWER_BY_UNKNOWN: Final = frozenset({"rejected"})
"""The operator refused, and the crash cut off its answer."""
_MORE_BY_UNKNOWN: Final = frozenset({"submitted"})
"""The bridge noted the attempt, and the crash came before the operator had it."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One figure that does not agree and that no `unknown` explains."""

    variant_id: str
    key: str
    ledger: int
    counted: int


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """Ledger and counts side by side, with the same keys."""

    ledger: Totals
    counted: Totals
    unknown: Mapping[str, int]
    """Variant → recipients whose request's answer was cut off; `total` too."""
    differences: Sequence[Difference]
    verdict: Verdict | None

    @property
    def lost(self) -> int:
        """What happened and was not counted, added up over all figures."""
        return sum(max(0, d.ledger - d.counted) for d in self.differences)

    @property
    def counted_twice(self) -> int:
        """What was counted and did not happen, added up over all figures."""
        return sum(max(0, d.counted - d.ledger) for d in self.differences)

    @property
    def agrees(self) -> bool:
        """Whether every figure is explained."""
        return not self.differences

    def as_json(self) -> dict[str, Any]:
        """What `--json` prints."""
        verdict = self.verdict
        return {
            "ledger": self.ledger,
            "counted": self.counted,
            "lost": self.lost,
            "counted_twice": self.counted_twice,
            "unknown": self.unknown[TOTAL],
            "unknown_by_variant": {k: v for k, v in self.unknown.items() if k != TOTAL},
            "verdict": verdict.verdict if verdict else None,
            "variant_id": verdict.variant_id if verdict else None,
            "reason": verdict.reason if verdict else None,
        }


def reconcile(
    ledger: Totals, results: Sequence[VariantResult], verdict: Verdict | None
) -> Reconciliation:
    """Compare the ledger with the live results of one campaign."""
    ledger = dict(ledger)
    unknown = {row.variant_id: row.counters.unknown for row in results}
    counted: Totals = {
        row.variant_id: {key: getattr(row.counters, key) for key in KEYS} for row in results
    }
    for variant_id in ledger.keys() - {TOTAL}:
        counted.setdefault(variant_id, dict.fromkeys(KEYS, 0))
    for variant_id in counted:
        ledger.setdefault(variant_id, dict.fromkeys(KEYS, 0))
    counted[TOTAL] = {key: sum(arm[key] for arm in counted.values()) for key in KEYS}
    differences = [
        Difference(variant_id, key, ledger[variant_id][key], counted[variant_id][key])
        for variant_id in sorted(counted.keys() - {TOTAL})
        for key in KEYS
        if not _is_explained(
            key, ledger[variant_id][key], counted[variant_id][key], unknown.get(variant_id, 0)
        )
    ]
    unknown[TOTAL] = sum(unknown.values())
    return Reconciliation(ledger, counted, unknown, differences, verdict)


def reconcile_files(ledger: Path, data: Path, campaign_id: str | None = None) -> Reconciliation:
    """The same from the simulator's ledger and the worker's folder.

    Raises:
        CannotRun: If one of them cannot be read, or the campaign is not there.
    """
    try:
        totals = read_totals(ledger)
    except (OSError, ValueError) as error:
        raise CannotRun(f"the ledger {ledger} cannot be read: {error}") from error
    with contextlib.closing(ResultsReader(data / SERVE_FILE)) as reader:
        try:
            known = [campaign.campaign_id for campaign in reader.campaigns()]
            chosen = campaign_id or next(iter(known), None)
            if chosen not in known:
                raise CannotRun(
                    f"{data} has no results of campaign {chosen}; "
                    f"it has: {', '.join(known) or 'none'}.",
                    ExitCode.ANSWER_IS_NO,
                )
            return reconcile(totals, reader.variant_results(chosen, "live"), reader.verdict(chosen))
        except SnapshotUnreadable as error:
            raise CannotRun(str(error)) from error


def _is_explained(key: str, ledger: int, counted: int, unknown: int) -> bool:
    fewest = counted - (unknown if key in _MORE_BY_UNKNOWN else 0)
    most = counted + (unknown if key in _FEWER_BY_UNKNOWN else 0)
    return fewest <= ledger <= most
