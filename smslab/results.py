"""The short table of results at the terminal."""

from __future__ import annotations

import math
from typing import Final

from rich.table import Table

from pipeline.rows import VariantResult
from pipeline.storage.reader import ResultsReader
from smslab.reconcile import Reconciliation
from smslab.screen import console, step, warn

_COUNTS: Final = ("assigned", "accepted", "delivered", "clicked", "converted", "opted_out")


def show_results(reader: ResultsReader, campaign_id: str, found: Reconciliation | None) -> None:
    """What each arm did, the verdict, and whether the counts agree with the ledger."""
    currencies = {c.campaign_id: c.currency for c in reader.campaigns()}
    table = Table(box=None, padding=(0, 2, 0, 0), title_justify="left", title=campaign_id)
    table.add_column("arm")
    for name in _COUNTS:
        table.add_column(name.replace("_", " "), justify="right", no_wrap=True)
    table.add_column(f"{currencies[campaign_id]}/person", justify="right", no_wrap=True)
    table.add_column("likely", no_wrap=True)
    for row in reader.variant_results(campaign_id, "live"):
        counts = (f"{getattr(row.counters, name):,}" for name in _COUNTS)
        table.add_row(row.variant_id, *counts, *_profit(row))
    console.print()
    console.print(table)
    verdict = reader.verdict(campaign_id)
    if verdict is not None:
        step(f"\nverdict: {verdict.verdict} {verdict.variant_id or ''} ({verdict.reason})")
    if found is not None:
        _show_reconciliation(found)


def _show_reconciliation(found: Reconciliation) -> None:
    unknown = found.unknown["total"]
    tell = step if found.agrees else warn
    tell(
        f"against the ledger: {found.lost} lost, {found.counted_twice} counted twice, "
        f"{unknown} unknown"
    )
    if unknown:
        arms = ", ".join(f"{arm}: {n}" for arm, n in found.unknown.items() if n and arm != "total")
        step(f"unknown (their answer was cut off, they were not sent again): {arms}")
    for each in found.differences:
        warn(f"  {each.variant_id} {each.key}: ledger {each.ledger}, counted {each.counted}")


def _profit(row: VariantResult) -> tuple[str, str]:
    """Profit per recipient in major units, and its likely range."""
    mean, low, high = (
        row.profit_per_recipient_minor,
        row.profit_per_recipient_lower,
        row.profit_per_recipient_upper,
    )
    if math.isnan(mean):
        return "–", ""
    return f"{mean / 100:.3f}", f"{low / 100:.3f} to {high / 100:.3f}"
