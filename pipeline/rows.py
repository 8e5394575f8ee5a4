"""The rows of `serve.duckdb`, the public SQL contract: one Struct per table, one field per column.

`pipeline.storage` makes the tables from these Structs, `pipeline.evaluate` fills them, the
reader gives them back to the pages. A field's name is the column's name, everywhere.
Undefined numbers are `nan` in Python and NULL in SQL, never a plausible value.
`…_minor` columns of type float are means or differences per recipient; integers are totals.
"""

from __future__ import annotations

from typing import Literal

from pipeline.operations_rows import (
    Activity,
    ConnectionState,
    DeadLetter,
    Deliverability,
    FactFile,
    Gap,
    JoinHealth,
    Lag,
    Partition,
    ReceiptLatency,
    Row,
    SnapshotInfo,
    UnmatchedReceipt,
)

__all__ = [
    "CHECKS",
    "Activity",
    "Allocation",
    "Campaign",
    "Cohort",
    "Comparison",
    "ConnectionState",
    "Counters",
    "DeadLetter",
    "Deliverability",
    "FactFile",
    "Gap",
    "HealthCheck",
    "JoinHealth",
    "Lag",
    "LightStatus",
    "Maturity",
    "Moments",
    "Partition",
    "ReceiptLatency",
    "Row",
    "Segment",
    "SegmentCheck",
    "SnapshotInfo",
    "UnmatchedReceipt",
    "Variant",
    "VariantResult",
    "Verdict",
    "VerdictKind",
]

Maturity = Literal["mature", "live"]
"""`mature`: only recipients whose attribution window has passed; the verdict reads these."""

LightStatus = Literal["ok", "warn", "bad", "pending"]
VerdictKind = Literal[
    "collecting", "ship", "stop", "no_meaningful_difference", "your_call", "do_not_trust"
]


class Counters(Row, frozen=True, kw_only=True, gc=False):
    """Exact integer counts over assigned recipients; addable."""

    assigned: int = 0
    """Recipients assigned to the arm; the denominator of every rate."""
    blocked: int = 0
    """Recipients whom a rule kept from being sent anything; they stay in the denominator."""
    submitted: int = 0
    """Recipients for whom at least one submit result exists (accepted, rejected or unknown)."""
    accepted: int = 0
    """Recipients of whom the operator accepted at least one message part, said or proven."""
    rejected: int = 0
    """Recipients of whose parts none was accepted and at least one was refused or expired."""
    unknown: int = 0
    """Answer cut off by a crash or a dropped link, and never learned since."""
    delivered: int = 0
    """Recipients with at least one message whose accepted parts were all delivered."""
    failed: int = 0
    """Recipients without a complete message, of whom a part failed finally."""
    replied: int = 0
    """Recipients who answered within seven days after the assignment."""
    opted_out: int = 0
    """Recipients whose answer withdrew consent (STOP and the like)."""
    clicked: int = 0
    """Recipients with at least one human click."""
    bot_clicked: int = 0
    """Recipients whose link was opened by a machine (preview, scanner); not in `clicked`."""
    converted: int = 0
    """Recipients with a conversion in the window after assignment (intention to treat)."""
    attributed: int = 0
    """Of these, those with a human click before the conversion."""
    conflicts: int = 0
    """Recipients whose operator sent contradicting final receipts."""
    segments: int = 0
    """Segments that the operator bills, by the rule of `billed_on`."""
    cost_micro: int = 0
    """Price of the billed segments, millionths of the currency's major unit."""
    revenue_minor: int = 0
    """Gross revenue in the window."""
    refunded_minor: int = 0
    """Money given back for conversions that are in `revenue_minor`, whenever it was."""


class Moments(Row, frozen=True, kw_only=True, gc=False):
    """Exact integer sums over assigned recipients; addable, so variances never cancel.

    r = net revenue in minor units (revenue − refunds), k = r under the plan's cap (r itself
    without one), c = cost in micro-units, o = opted out (0/1, so Σoo = Σo = `opted_out`),
    v = covariate (0 when absent), y = what the plan's rate counts (0/1; 0 for money).
    Σr, Σc and Σo are `revenue_minor - refunded_minor`, `cost_micro` and `opted_out`.
    """

    sum_v: int = 0
    """Σv: sum of the covariate."""
    sum_rr: int = 0
    """Σr²: sum of squares of net revenue."""
    sum_rc: int = 0
    """Σrc: sum of net revenue times cost."""
    sum_ro: int = 0
    """Σro: net revenue of those who opted out."""
    sum_rv: int = 0
    """Σrv: sum of net revenue times covariate."""
    sum_cc: int = 0
    """Σc²: sum of squares of cost."""
    sum_co: int = 0
    """Σco: cost of those who opted out."""
    sum_cv: int = 0
    """Σcv: sum of cost times covariate."""
    sum_ov: int = 0
    """Σov: covariate of those who opted out."""
    sum_vv: int = 0
    """Σv²: sum of squares of the covariate."""
    sum_k: int = 0
    """Σk: net revenue under the plan's cap, recipient by recipient."""
    sum_kk: int = 0
    """Σk²: sum of squares of capped net revenue."""
    sum_kc: int = 0
    """Σkc: sum of capped net revenue times cost."""
    sum_ko: int = 0
    """Σko: capped net revenue of those who opted out."""
    sum_kv: int = 0
    """Σkv: sum of capped net revenue times covariate."""
    sum_yv: int = 0
    """Σyv: covariate of those whom the plan's rate counts (converted, clicked or replied)."""


class Cohort(Row, frozen=True, kw_only=True, gc=False):
    """Counters and moments of the recipients assigned to one arm in one slice of time.

    `dimension` = `value` = "" is the whole cohort; other rows repeat it by attribute.
    """

    campaign_id: str
    """Campaign, as its file names it."""
    variant_id: str
    """Arm: a variant of the campaign, or `holdout`."""
    cohort_start_ms: int
    """Begin of the slice of assignment time."""
    cohort_width_ms: int
    """Length of the slice: an hour, or less where the window is short."""
    dimension: str = ""
    """Attribute of `analyse_by` by which the cohort is cut; empty for the whole cohort."""
    value: str = ""
    """The attribute's value; empty where absent, `other` beyond the fifty most frequent."""
    counters: Counters = Counters()
    moments: Moments = Moments()


class Campaign(Row, frozen=True, kw_only=True, gc=False):
    """The definition in force."""

    campaign_id: str
    """Campaign, as its file names it."""
    plan_version: int
    """Version of the plan; the highest one seen is in force."""
    plan_hash: str
    """Fingerprint of the plan, frozen at launch; a verdict names the one it judged."""
    defined_at_ms: int
    """When the definition was published."""
    purpose: str
    """Why messages are sent: promotional, transactional, service or otp."""
    language: str
    """Language of the texts (BCP 47)."""
    metric: str
    """The metric that decides."""
    window_ms: int
    """How long after the assignment an outcome counts."""
    minimum_effect: float
    """Smallest effect worth acting on, absolute, in the metric's unit."""
    control: str
    """The variant with which the others are compared."""
    holdout: float
    """Planned share of recipients who receive nothing."""
    currency: str
    """Currency of all money of the campaign (ISO 4217)."""
    price_per_segment_micro: int
    """Price of one segment, millionths of the currency's major unit."""
    billed_on: str
    """What the operator bills: submitted, accepted or delivered parts."""
    margin: float
    """Part of revenue that is kept before the cost of messages."""
    opt_out_cost_minor: int
    """What losing one subscriber costs, minor units."""
    method: str
    """fixed: one look, when everybody is mature; sequential and bandit: at any time."""
    alpha: float
    """Accepted probability of a false alarm."""
    power: float
    """Wanted probability of finding the minimum effect."""
    expected_n: int | None
    """N*: recipients of all arms at the planned decision, fixed at launch."""
    family: str
    """How several treatments share the error: holm, bonferroni, bh or dunnett."""
    cap_minor: int | None
    """Net revenue per recipient counts up to this in comparisons; NULL without a cap."""
    covariate: str | None
    """Audience column that takes noise out of the deciding comparison; NULL without one."""
    opt_out_margin: float
    """Largest accepted rise of the opt-out rate; `nan` without that guardrail."""
    audience_size: int | None
    """Recipients of the audience; NULL when unknown, as in proxied traffic."""


class Variant(Row, frozen=True, kw_only=True, gc=False):
    """One arm of a campaign."""

    campaign_id: str
    """Campaign, as its file names it."""
    variant_id: str
    """Name of the variant; the holdout has no row."""
    share: float
    """Planned part of the recipients outside the holdout."""
    template: str
    """The text with its merge fields; never a rendered message."""
    is_control: bool
    """Whether the other variants are compared with this one."""


class VariantResult(Row, frozen=True, kw_only=True, gc=False):
    """What one arm (holdout too) did so far, per assigned recipient."""

    campaign_id: str
    """Campaign, as its file names it."""
    variant_id: str
    """Arm: a variant of the campaign, or `holdout`."""
    maturity: Maturity
    """`mature`: recipients whose whole window has passed; `live`: everybody so far."""
    counters: Counters
    cost_minor: float
    """Total cost in minor units."""
    delivery_rate: float
    """Delivered recipients per assigned recipient."""
    delivery_rate_lower: float
    """Lower end of the confidence interval of the delivery rate."""
    delivery_rate_upper: float
    """Upper end of the confidence interval of the delivery rate."""
    click_rate: float
    """Recipients with a human click per assigned recipient."""
    click_rate_lower: float
    """Lower end of the confidence interval of the click rate."""
    click_rate_upper: float
    """Upper end of the confidence interval of the click rate."""
    reply_rate: float
    """Recipients who answered per assigned recipient."""
    reply_rate_lower: float
    """Lower end of the confidence interval of the reply rate."""
    reply_rate_upper: float
    """Upper end of the confidence interval of the reply rate."""
    conversion_rate: float
    """Converted recipients per assigned recipient."""
    conversion_rate_lower: float
    """Lower end of the confidence interval of the conversion rate."""
    conversion_rate_upper: float
    """Upper end of the confidence interval of the conversion rate."""
    opt_out_rate: float
    """Recipients who opted out per assigned recipient."""
    opt_out_rate_lower: float
    """Lower end of the confidence interval of the opt-out rate."""
    opt_out_rate_upper: float
    """Upper end of the confidence interval of the opt-out rate."""
    revenue_per_recipient_minor: float
    """Mean net revenue (minus refunds) per assigned recipient."""
    revenue_per_recipient_lower: float
    """Lower end of the confidence interval of the mean net revenue."""
    revenue_per_recipient_upper: float
    """Upper end of the confidence interval of the mean net revenue."""
    profit_per_recipient_minor: float
    """Mean of revenue × margin − cost of messages − cost of opt-outs."""
    profit_per_recipient_lower: float
    """Lower end of the confidence interval of the mean profit."""
    profit_per_recipient_upper: float
    """Upper end of the confidence interval of the mean profit."""
    p_best: float
    """Chance that this variant has the best primary metric of all variants, now; it peeks."""
    expected_loss: float
    """What choosing it costs on average, in the primary metric's unit."""
    cost_per_1000_minor: float
    """Cost per 1,000 billed messages' recipients, minor units."""
    segments_per_message: float
    """Billed segments per recipient with an accepted message."""
    roi_incremental: float
    """Margin gained over the holdout per unit of SMS cost; `nan` without a holdout."""
    roi_incremental_lower: float
    """Lower end of the confidence interval of the incremental return."""
    roi_incremental_upper: float
    """Upper end of the confidence interval of the incremental return."""
    roi_gross: float
    """Margin on all revenue of the arm per unit of SMS cost, nothing subtracted: it flatters."""


class Comparison(Row, frozen=True, kw_only=True, gc=False):
    """One treatment against one control on one metric. `effect_size` is treatment minus control."""

    campaign_id: str
    """Campaign, as its file names it."""
    metric: str
    """The metric compared, one of those a goal may name."""
    control: str
    """The variant compared with."""
    treatment: str
    """The variant compared."""
    maturity: Maturity
    """`mature`: recipients whose whole window has passed; `live`: everybody so far."""
    decides: bool
    """Whether this is the plan's primary metric."""
    control_n: int
    """Assigned recipients of the control."""
    treatment_n: int
    """Assigned recipients of the treatment."""
    control_value: float
    """The metric of the control."""
    treatment_value: float
    """The metric of the treatment."""
    effect_size: float
    """Treatment minus control, absolute, in the metric's unit."""
    ci_lower: float
    """Lower end of the confidence interval of the effect."""
    ci_upper: float
    """Upper end of the confidence interval of the effect."""
    relative_lift: float
    """The effect relative to the control's value."""
    relative_lift_lower: float
    """Lower end of the confidence interval of the relative lift."""
    relative_lift_upper: float
    """Upper end of the confidence interval of the relative lift."""
    pvalue: float
    """Probability of an effect at least as large if there were none."""
    pvalue_adjusted: float
    """The same for all deciding comparisons together, by the plan's family; the verdict reads it.

    NULL where the metric does not decide.
    """
    method: str
    """The test that was used."""
    confidence_level: float
    """Coverage of the intervals of this row; of dunnett all deciding ones hold it together."""
    raw_effect_size: float
    """The effect without cap and without covariate: what finance will see."""
    variance_ratio: float
    """Variance of the effect over that without the covariate; NULL without one."""


class Segment(Row, frozen=True, kw_only=True, gc=False):
    """The goal of one treatment against the control in one segment, once, when all are mature.

    Exploratory: a hypothesis for the next test.
    """

    campaign_id: str
    """Campaign, as its file names it."""
    attribute: str
    """Attribute of `analyse_by` by which recipients are told apart."""
    value: str
    """The attribute's value; empty where absent, `other` beyond the fifty most frequent."""
    control: str
    """The variant compared with."""
    treatment: str
    """The variant compared."""
    control_n: int
    """Assigned recipients of the control in the segment."""
    treatment_n: int
    """Assigned recipients of the treatment in the segment."""
    control_value: float
    """The plan's metric of the control."""
    treatment_value: float
    """The plan's metric of the treatment."""
    effect_size: float
    """Treatment minus control; NULL where an arm has fewer than 25 events of the goal."""
    ci_lower: float
    """Lower end of the interval of the effect, for this segment alone."""
    ci_upper: float
    """Upper end of the interval of the effect, for this segment alone."""
    pvalue: float
    """Probability of an effect at least as large if there were none."""
    pvalue_adjusted: float
    """The same by Benjamini & Hochberg over all segments of the campaign."""
    method: str
    """The test that was used; `too_few` without one."""
    confidence_level: float
    """Coverage of the interval, not adjusted for the number of segments."""


class SegmentCheck(Row, frozen=True, kw_only=True, gc=False):
    """Whether the effect differs between the segments of one attribute by more than chance."""

    campaign_id: str
    """Campaign, as its file names it."""
    attribute: str
    """Attribute of `analyse_by`."""
    treatment: str
    """The variant compared with the control."""
    segments: int
    """Segments with enough events to count."""
    effect_size: float
    """The effect over all of them, weighted by precision."""
    heterogeneity: float
    """Cochran's Q; NULL with fewer than two segments."""
    df: int
    """Its degrees of freedom: the segments less one."""
    heterogeneity_pvalue: float
    """Probability of such differences if the effect were the same everywhere."""
    pvalue_adjusted: float
    """The same by Holm over all attributes and treatments; at most alpha: more than chance."""


class HealthCheck(Row, frozen=True, kw_only=True, gc=False):
    """One trust light. `check` is one of `CHECKS`; `evidence` the numbers behind it."""

    campaign_id: str
    """Campaign, as its file names it."""
    check: str
    """What was checked; the trust light's name."""
    status: LightStatus
    """Whether the check passed: ok, warn, bad, or pending for lack of data."""
    evidence: dict[str, float | int | str]
    """The numbers behind the light, as a JSON object."""


CHECKS = (
    "split_as_planned",
    "delivery_equal",
    "outcomes_mature",
    "nobody_in_two_arms",
    "opt_outs_in_limit",
    "receipts_matched",
    "nothing_lost",
    "covariate_balanced",
)


class Verdict(Row, frozen=True, kw_only=True, gc=False):
    """The verdict in force and why; history is kept, one row per change."""

    campaign_id: str
    """Campaign, as its file names it."""
    decided_at_ms: int
    """Event time at which the verdict was reached."""
    verdict: VerdictKind
    """What to do: ship, stop, no_meaningful_difference, your_call, collecting, do_not_trust."""
    variant_id: str | None
    """The arm to ship or stop."""
    reason: str
    """A code; the sentence belongs to `dashboards.format`."""
    evidence: dict[str, float | int | str]
    """The numbers behind the verdict, as a JSON object."""
    plan_hash: str
    """Fingerprint of the plan under which it was reached."""


class Allocation(Row, frozen=True, kw_only=True, gc=False):
    """The share of one arm after one change of the allocation; history is kept."""

    campaign_id: str
    """Campaign, as its file names it."""
    changed_at_ms: int
    """When the shares changed."""
    variant_id: str
    """Variant of the campaign."""
    share: float
    """Its part of the recipients outside the holdout from then on."""
    reason: str
    """Why the shares changed."""
    verdict_id: str | None
    """Event id of the verdict that led to it; NULL when a person decided."""
