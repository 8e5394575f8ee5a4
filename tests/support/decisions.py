"""Decisions as the pages see them, read back from a real snapshot."""

from __future__ import annotations

import contextlib
from pathlib import Path

from dashboards.facts import Decision, Operations
from pipeline.snapshot import SERVE_FILE
from pipeline.storage.reader import ResultsReader


def read_decision(folder: Path, campaign_id: str) -> Decision:
    """What the decision page gets."""
    with contextlib.closing(ResultsReader(folder / SERVE_FILE)) as reader:
        info = reader.snapshot_info()
        assert info is not None
        return Decision(
            info,
            next(row for row in reader.campaigns() if row.campaign_id == campaign_id),
            reader.variants(campaign_id),
            reader.variant_results(campaign_id),
            reader.comparisons(campaign_id),
            reader.health_checks(campaign_id),
            reader.verdict(campaign_id),
            reader.segments(campaign_id),
            reader.segment_checks(campaign_id),
        )


def read_operations(folder: Path) -> Operations:
    """What the operations page gets."""
    with contextlib.closing(ResultsReader(folder / SERVE_FILE)) as reader:
        info = reader.snapshot_info()
        assert info is not None
        return Operations(
            info,
            reader.connections(),
            reader.activity(),
            reader.lags(),
            reader.deliverability(),
            reader.unmatched_receipts(),
            reader.dead_letters(),
            gaps=reader.gaps(),
        )
