"""Arms and ledger at the terminal."""

from __future__ import annotations

import math
from typing import Final

from rich.table import Table

from dashboards import metrics
from dashboards.facts import Decision
from dashboards.format import count, money
from dashboards.texts import Words
from pipeline.rows import VariantResult
from smslab.reconcile import Reconciliation
from smslab.screen import console, step, warn

_COUNTS: Final = ("assigned", "accepted", "delivered", "clicked", "converted", "opted_out")


def show_arms(words: Words, decision: Decision) -> None:
    """What each arm did: the mature people, or everybody while nobody is mature."""
    table = Table(box=None, padding=(0, 2, 0, 0))
    table.add_column(words("arms.arm"), overflow="fold")
    for name in _COUNTS:
        table.add_column(words(f"step.{name}"), justify="right", no_wrap=True)
    table.add_column(words("arms.profit"), justify="right", no_wrap=True)
    table.add_column(words("arms.likely"), no_wrap=True)
    for row in decision.shown:
        counts = (count(getattr(row.counters, name)) for name in _COUNTS)
        arm = metrics.arm(words, row.variant_id)
        table.add_row(arm, *counts, *_profit(row, decision.campaign.currency))
    console.print()
    console.print(table)
    console.print()


def show_reconciliation(found: Reconciliation) -> None:
    """Whether the counts agree with the ledger, and what does not."""
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


def _profit(row: VariantResult, currency: str) -> tuple[str, str]:
    """Profit per recipient, and its likely range."""
    low, high = row.profit_per_recipient_lower, row.profit_per_recipient_upper
    likely = "" if math.isnan(low) else f"{money(low, currency)} – {money(high, currency)}"
    return money(row.profit_per_recipient_minor, currency), likely
