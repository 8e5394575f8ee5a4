"""The rows of `serve.duckdb`, the public SQL contract: one Struct per table, one field per column.

`pipeline.storage` makes the tables from these Structs, `pipeline.evaluate` fills them, the
reader gives them back to the pages. A field's name is the column's name, everywhere.
Undefined numbers are `nan` in Python and NULL in SQL, never a plausible value.
`…_minor` columns of type float are means or differences per recipient; integers are totals.
"""

from __future__ import annotations

from typing import Literal

import msgspec

Maturity = Literal["mature", "live"]
"""`mature`: only recipients whose attribution window has passed; the verdict reads these."""

LightStatus = Literal["ok", "warn", "bad", "pending"]
VerdictKind = Literal[
    "collecting", "ship", "stop", "no_meaningful_difference", "your_call", "do_not_trust"
]


class Row(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What all rows share."""


class Counters(Row, frozen=True, kw_only=True, gc=False):
    """Exact integer counts over assigned recipients; addable."""

    assigned: int = 0
    blocked: int = 0
    submitted: int = 0
    """Recipients for whom at least one submit result exists (accepted, rejected or unknown)."""
    accepted: int = 0
    rejected: int = 0
    unknown: int = 0
    """Answer cut off by a crash or a dropped link, and never learned since."""
    delivered: int = 0
    failed: int = 0
    replied: int = 0
    opted_out: int = 0
    clicked: int = 0
    """Recipients with at least one human click."""
    bot_clicked: int = 0
    converted: int = 0
    """Recipients with a conversion in the window after assignment (intention to treat)."""
    attributed: int = 0
    """Of these, those with a human click before the conversion."""
    conflicts: int = 0
    """Recipients whose operator sent contradicting final receipts."""
    segments: int = 0
    """Billed segments."""
    cost_micro: int = 0
    revenue_minor: int = 0
    """Gross revenue in the window."""
    refunded_minor: int = 0


class Moments(Row, frozen=True, kw_only=True, gc=False):
    """Exact integer sums over assigned recipients; addable, so variances never cancel.

    r = net revenue in minor units (revenue − refunds), c = cost in micro-units,
    o = opted out (0/1, so Σoo = Σo = `opted_out`), v = covariate (0 when absent).
    Σr, Σc and Σo are `revenue_minor - refunded_minor`, `cost_micro` and `opted_out`.
    """

    sum_v: int = 0
    sum_rr: int = 0
    sum_rc: int = 0
    sum_ro: int = 0
    sum_rv: int = 0
    sum_cc: int = 0
    sum_co: int = 0
    sum_cv: int = 0
    sum_ov: int = 0
    sum_vv: int = 0


class Cohort(Row, frozen=True, kw_only=True, gc=False):
    """Counters and moments of the recipients assigned to one arm in one slice of time.

    `dimension` = `value` = "" is the whole cohort; other rows repeat it by attribute.
    """

    campaign_id: str
    variant_id: str
    cohort_start_ms: int
    cohort_width_ms: int
    dimension: str = ""
    value: str = ""
    counters: Counters = Counters()
    moments: Moments = Moments()


class Campaign(Row, frozen=True, kw_only=True, gc=False):
    """The definition in force."""

    campaign_id: str
    plan_version: int
    plan_hash: str
    defined_at_ms: int
    purpose: str
    language: str
    metric: str
    window_ms: int
    minimum_effect: float
    control: str
    holdout: float
    currency: str
    price_per_segment_micro: int
    billed_on: str
    margin: float
    opt_out_cost_minor: int
    method: str
    """fixed: one look, when everybody is mature. sequential: at any time."""
    alpha: float
    power: float
    expected_n: int | None
    """N*: recipients of all arms at the planned decision, fixed at launch."""
    opt_out_margin: float
    """Largest accepted rise of the opt-out rate; `nan` without that guardrail."""
    audience_size: int | None


class Variant(Row, frozen=True, kw_only=True, gc=False):
    """One arm of a campaign."""

    campaign_id: str
    variant_id: str
    share: float
    template: str
    is_control: bool


class VariantResult(Row, frozen=True, kw_only=True, gc=False):
    """What one arm (holdout too) did so far, per assigned recipient."""

    campaign_id: str
    variant_id: str
    maturity: Maturity
    counters: Counters
    cost_minor: float
    """Total cost in minor units."""
    delivery_rate: float
    delivery_rate_lower: float
    delivery_rate_upper: float
    click_rate: float
    click_rate_lower: float
    click_rate_upper: float
    reply_rate: float
    reply_rate_lower: float
    reply_rate_upper: float
    conversion_rate: float
    conversion_rate_lower: float
    conversion_rate_upper: float
    opt_out_rate: float
    opt_out_rate_lower: float
    opt_out_rate_upper: float
    revenue_per_recipient_minor: float
    revenue_per_recipient_lower: float
    revenue_per_recipient_upper: float
    profit_per_recipient_minor: float
    profit_per_recipient_lower: float
    profit_per_recipient_upper: float
    p_best: float
    """Chance that this variant has the best primary metric of all variants, now; it peeks."""
    expected_loss: float
    """What choosing it costs on average, in the primary metric's unit."""
    cost_per_1000_minor: float
    """Cost per 1,000 billed messages' recipients, minor units."""
    segments_per_message: float
    roi_incremental: float
    """Margin gained over the holdout per unit of SMS cost; `nan` without a holdout."""
    roi_incremental_lower: float
    roi_incremental_upper: float
    roi_gross: float
    """Margin on all revenue of the arm per unit of SMS cost, nothing subtracted: it flatters."""


class Comparison(Row, frozen=True, kw_only=True, gc=False):
    """One treatment against one control on one metric. `effect_size` is treatment minus control."""

    campaign_id: str
    metric: str
    control: str
    treatment: str
    maturity: Maturity
    decides: bool
    """Whether this is the plan's primary metric."""
    control_n: int
    treatment_n: int
    control_value: float
    treatment_value: float
    effect_size: float
    ci_lower: float
    ci_upper: float
    relative_lift: float
    relative_lift_lower: float
    relative_lift_upper: float
    pvalue: float
    method: str
    confidence_level: float


class HealthCheck(Row, frozen=True, kw_only=True, gc=False):
    """One trust light. `check` is one of `CHECKS`; `evidence` the numbers behind it."""

    campaign_id: str
    check: str
    status: LightStatus
    evidence: dict[str, float | int | str]


CHECKS = (
    "split_as_planned",
    "delivery_equal",
    "outcomes_mature",
    "nobody_in_two_arms",
    "opt_outs_in_limit",
    "receipts_matched",
)


class Verdict(Row, frozen=True, kw_only=True, gc=False):
    """The verdict in force and why; history is kept, one row per change."""

    campaign_id: str
    decided_at_ms: int
    verdict: VerdictKind
    variant_id: str | None
    """The arm to ship or stop."""
    reason: str
    """A code; the sentence belongs to `dashboards.format`."""
    evidence: dict[str, float | int | str]
    plan_hash: str


class JoinHealth(Row, frozen=True, kw_only=True, gc=False):
    """What the join knows about data faults. `campaign_id` "" is the whole system."""

    campaign_id: str
    double_assigned: int = 0
    """Recipients assigned to two arms of this campaign."""
    receipts: int = 0
    unmatched_receipts: int = 0
    """Receipts without a submit for longer than the grace period."""


class ConnectionState(Row, frozen=True, kw_only=True, gc=False):
    """The last report of an SMPP connection."""

    connection: str
    instance: str
    reported_at_ms: int
    state: str
    binds: int
    bound: int
    window: int
    window_in_use: int
    submits: int
    accepted: int
    rejected: int
    receipts: int
    inbound: int
    unknown: int
    reconnects: int
    last_error: str | None


class Activity(Row, frozen=True, kw_only=True, gc=False):
    """Events per topic per ten seconds of event time."""

    bucket_start_ms: int
    topic: str
    events: int


class Lag(Row, frozen=True, kw_only=True, gc=False):
    """How far the worker is behind on one partition."""

    topic: str
    partition: int
    next_offset: int
    end_offset: int


class Deliverability(Row, frozen=True, kw_only=True, gc=False):
    """Final receipts by connection, hour, state and error."""

    connection: str
    hour_start_ms: int
    state: str
    err: str
    receipts: int


class UnmatchedReceipt(Row, frozen=True, kw_only=True, gc=False):
    """A receipt without its submit, so far."""

    connection: str
    smsc_message_id: str
    subject: str
    state: str
    received_at_ms: int
    reason: str


class DeadLetter(Row, frozen=True, kw_only=True, gc=False):
    """A record that could not be used; the bytes are in `<topic>.dlq`."""

    topic: str
    partition: int
    record_offset: int
    reason: str
    seen_at_ms: int


class SnapshotInfo(Row, frozen=True, kw_only=True, gc=False):
    """Proves what a snapshot contains."""

    snapshot: int
    snapshot_at_ms: int
    events_applied: int
    duplicates_ignored: int
    is_broker_in_memory: bool
    kafka_cluster_id: str
    schema_version: int
