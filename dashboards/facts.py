"""What one page needs from one snapshot, and the choices made over it. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from pipeline import rows
from pipeline.storage.reader import Questions
from schemas.events import HOLDOUT

MONEY = "profit_per_recipient"
"""The metric that puts every verdict into money."""


@dataclass(frozen=True)
class Overview:
    """What every page needs: which snapshot, which campaigns."""

    info: rows.SnapshotInfo
    campaigns: Sequence[rows.Campaign]


@dataclass(frozen=True)
class Decision:
    """Everything the decision page says about one campaign."""

    info: rows.SnapshotInfo
    campaign: rows.Campaign
    variants: Sequence[rows.Variant]
    results: Sequence[rows.VariantResult]
    comparisons: Sequence[rows.Comparison]
    checks: Sequence[rows.HealthCheck]
    verdict: rows.Verdict | None
    segments: Sequence[rows.Segment] = ()
    segment_checks: Sequence[rows.SegmentCheck] = ()

    @cached_property
    def maturity(self) -> rows.Maturity:
        """Mature numbers as soon as there are any."""
        has_mature = any(r.maturity == "mature" and r.counters.assigned for r in self.results)
        return "mature" if has_mature else "live"

    @cached_property
    def shown(self) -> list[rows.VariantResult]:
        """The results shown: the control, the treatments, the holdout."""
        order = {v.variant_id: (not v.is_control, v.variant_id) for v in self.variants}
        found = [r for r in self.results if r.maturity == self.maturity]
        return sorted(found, key=lambda r: order.get(r.variant_id, (True, "\U0010ffff")))

    @property
    def sent(self) -> list[rows.VariantResult]:
        """The same without the holdout."""
        return [r for r in self.shown if r.variant_id != HOLDOUT]

    @property
    def holdout(self) -> rows.VariantResult | None:
        """Those who got nothing; `None` when the campaign holds nobody out."""
        return next((r for r in self.shown if r.variant_id == HOLDOUT), None)

    @property
    def assigned(self) -> int:
        """Everybody assigned so far, mature or not."""
        return sum(r.counters.assigned for r in self.results if r.maturity == "live")

    @property
    def matured(self) -> int:
        """Those whose window has passed."""
        return sum(r.counters.assigned for r in self.results if r.maturity == "mature")

    @property
    def audience(self) -> int:
        """How many people the campaign is for."""
        return self.campaign.audience_size or self.assigned

    @cached_property
    def lights(self) -> Mapping[str, rows.HealthCheck]:
        """The trust lights by name."""
        return {check.check: check for check in self.checks}

    @property
    def seconds_left(self) -> int | None:
        """Until the last recipient so far is mature, counted from the snapshot."""
        light = self.lights.get("outcomes_mature")
        left = None if light is None else light.evidence.get("seconds_left")
        return None if left is None else int(left)

    @cached_property
    def against_control(self) -> list[rows.Comparison]:
        """Every treatment against the control, at the maturity shown; what decides comes first."""
        found = [
            c
            for c in self.comparisons
            if c.maturity == self.maturity and c.control == self.campaign.control
        ]
        return sorted(found, key=lambda c: not c.decides)

    def compared(
        self, metric: str, treatment: str | None = None, control: str | None = None
    ) -> rows.Comparison | None:
        """One comparison of a metric; of several treatments the one that does best."""
        wanted = control or self.campaign.control
        found = [
            c
            for c in self.comparisons
            if c.maturity == self.maturity
            and (c.metric, c.control) == (metric, wanted)
            and treatment in {None, c.treatment}
        ]
        return max(found, key=_effect, default=None)

    @property
    def is_blocked(self) -> bool:
        """Whether the numbers must not be believed."""
        return self.verdict is not None and self.verdict.verdict == "do_not_trust"


def decision_of(asked: Questions, campaign_id: str) -> Decision | None:
    """What a snapshot says about a campaign; `None` when it does not know it."""
    info = asked.snapshot_info()
    found = {row.campaign_id: row for row in asked.campaigns()}
    if info is None or campaign_id not in found:
        return None
    return Decision(
        info,
        found[campaign_id],
        asked.variants(campaign_id),
        asked.variant_results(campaign_id),
        asked.comparisons(campaign_id),
        asked.health_checks(campaign_id),
        asked.verdict(campaign_id),
        asked.segments(campaign_id),
        asked.segment_checks(campaign_id),
    )


@dataclass(frozen=True)
class Operations:
    """Everything the operations page shows."""

    info: rows.SnapshotInfo
    connections: Sequence[rows.ConnectionState]
    activity: Sequence[rows.Activity]
    lags: Sequence[rows.Lag]
    deliverability: Sequence[rows.Deliverability]
    unmatched: Sequence[rows.UnmatchedReceipt]
    dead_letters: Sequence[rows.DeadLetter]
    partitions: Sequence[rows.Partition] = ()
    gaps: Sequence[rows.Gap] = ()


def _effect(comparison: rows.Comparison) -> float:
    effect = comparison.effect_size
    return -math.inf if math.isnan(effect) else effect
