"""From the private database to `serve.duckdb`: evaluate, tell changed verdicts, publish a file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.dimensions import fold
from pipeline.evaluate import campaign_rows, evaluate
from pipeline.rows import (
    Campaign,
    Cohort,
    Comparison,
    Gap,
    HealthCheck,
    JoinHealth,
    Lag,
    Row,
    Segment,
    SegmentCheck,
    SnapshotInfo,
    Variant,
    VariantResult,
    Verdict,
)
from pipeline.storage import results
from pipeline.storage.restore import definitions
from pipeline.storage.serve import write_snapshot
from pipeline.storage.state import State
from schemas.events import CampaignDefined, VerdictReached

SERVE_FILE = "serve.duckdb"
SCHEMA_VERSION = 1
"""Version of the tables in `serve.duckdb`; raised when a column changes its meaning."""


@dataclass(frozen=True, slots=True)
class Stored:
    """What the database held at one moment."""

    progress: results.Progress
    definitions: Sequence[CampaignDefined]
    cohorts: Sequence[Cohort]
    healths: Sequence[JoinHealth]
    gaps: Sequence[Gap]
    plain: Mapping[type[Row], Sequence[Row]]
    verdicts: Sequence[Verdict]


@dataclass(frozen=True, slots=True)
class Picture:
    """Everything a snapshot shows."""

    rows: Mapping[type[Row], Sequence[Row]]
    progress: results.Progress
    reached: Sequence[Verdict]
    """Verdicts that differ from the last of their campaign."""
    next_maturity_ms: int | None
    """When the next cohort matures; until then time alone changes nothing."""
    unmatched_receipts: int = 0
    missing_records: int = 0


def read(state: State) -> Stored:
    """Read everything a snapshot needs; nothing else may use the database meanwhile."""
    return Stored(
        results.progress(state),
        definitions(state),
        results.cohorts(state),
        results.healths(state),
        results.gaps(state),
        results.plain_rows(state),
        results.verdicts(state),
    )


def draw(stored: Stored, watermark_ms: int) -> Picture:
    """Evaluate every campaign at `watermark_ms`. Pure."""
    cohorts = fold(stored.cohorts, stored.definitions)
    pairs = [campaign_rows(definition) for definition in stored.definitions]
    last = {verdict.campaign_id: verdict for verdict in stored.verdicts}
    evaluations = [
        evaluate(
            campaign,
            variants,
            [row for row in cohorts if row.campaign_id == campaign.campaign_id],
            health_of(stored.healths, campaign.campaign_id),
            watermark_ms,
            last.get(campaign.campaign_id),
            stored.gaps,
        )
        for campaign, variants in pairs
    ]
    reached = changed([e.verdict for e in evaluations], stored.verdicts)
    campaigns = [campaign for campaign, _ in pairs]
    rows: dict[type[Row], Sequence[Row]] = dict(stored.plain)
    rows |= {
        JoinHealth: stored.healths,
        Gap: stored.gaps,
        Cohort: cohorts,
        Campaign: campaigns,
        Variant: [variant for _, variants in pairs for variant in variants],
        VariantResult: [row for e in evaluations for row in e.variant_results],
        Comparison: [row for e in evaluations for row in e.comparisons],
        Segment: [row for e in evaluations for row in e.by_segment.segments],
        SegmentCheck: [row for e in evaluations for row in e.by_segment.checks],
        HealthCheck: [row for e in evaluations for row in e.health_checks],
        Verdict: [*stored.verdicts, *reached],
    }
    due = next_maturity_ms(campaigns, stored.cohorts, watermark_ms)
    return Picture(
        rows,
        stored.progress,
        reached,
        due,
        unmatched_receipts=health_of(stored.healths, "").unmatched_receipts,
        missing_records=sum(gap.missing for gap in stored.gaps),
    )


def write(
    folder: Path,
    picture: Picture,
    lags: Sequence[Lag],
    *,
    now_ms: int,
    is_broker_in_memory: bool,
) -> None:
    """Replace `serve.duckdb`."""
    progress = picture.progress
    info = SnapshotInfo(
        snapshot=progress.snapshot + 1,
        snapshot_at_ms=now_ms,
        events_applied=progress.events_applied,
        duplicates_ignored=progress.duplicates_ignored,
        is_broker_in_memory=is_broker_in_memory,
        kafka_cluster_id=progress.cluster_id,
        schema_version=SCHEMA_VERSION,
        facts_from=progress.facts_from,
    )
    rows = dict(picture.rows)
    rows |= {Lag: lags, SnapshotInfo: [info]}
    write_snapshot(folder / SERVE_FILE, rows)


def changed(verdicts: Sequence[Verdict], history: Sequence[Verdict]) -> list[Verdict]:
    """The verdicts that say something else than the last one of their campaign."""
    last = {verdict.campaign_id: _meaning(verdict) for verdict in history}
    return [v for v in verdicts if last.get(v.campaign_id) != _meaning(v)]


def verdict_event(verdict: Verdict) -> VerdictReached:
    """The event that tells a verdict; the same verdict has the same `event_id`."""
    return VerdictReached(
        event_id=f"verdict:{verdict.campaign_id}:{verdict.decided_at_ms}:{verdict.verdict}",
        occurred_at_ms=verdict.decided_at_ms,
        campaign_id=verdict.campaign_id,
        verdict=verdict.verdict,
        variant_id=verdict.variant_id,
        reason=verdict.reason,
        plan_hash=verdict.plan_hash,
    )


def next_maturity_ms(
    campaigns: Sequence[Campaign], cohorts: Sequence[Cohort], watermark_ms: int
) -> int | None:
    """The earliest moment after `watermark_ms` at which a cohort matures."""
    windows = {campaign.campaign_id: campaign.window_ms for campaign in campaigns}
    moments = (
        cohort.cohort_start_ms + cohort.cohort_width_ms + windows[cohort.campaign_id]
        for cohort in cohorts
        if cohort.campaign_id in windows
    )
    return min((moment for moment in moments if moment > watermark_ms), default=None)


def _meaning(verdict: Verdict) -> tuple[str, str | None, str, str]:
    return verdict.verdict, verdict.variant_id, verdict.reason, verdict.plan_hash


def health_of(healths: Sequence[JoinHealth], campaign_id: str) -> JoinHealth:
    """Double assignment is the campaign's; receipts match, or not, for the whole system."""
    known = {row.campaign_id: row for row in healths}
    own = known.get(campaign_id, JoinHealth(campaign_id=campaign_id))
    whole = known.get("", JoinHealth(campaign_id=""))
    return JoinHealth(
        campaign_id=campaign_id,
        double_assigned=own.double_assigned,
        receipts=whole.receipts,
        unmatched_receipts=whole.unmatched_receipts,
    )
