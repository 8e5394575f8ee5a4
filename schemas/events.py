"""Every event that travels through Kafka: one frozen, tagged Struct per fact.

Conventions: `…_ms` is integer milliseconds since the Unix epoch (UTC); `…_minor` is integer
minor units of `currency` (ISO 4217); `…_micro` is millionths of the currency's major unit.
`event_id` is unique per fact and stable across retries of the same fact. Unknown fields are
ignored on decode, so a field may be added; renaming or removing one needs a new major version.
What is summed has bounds, so that one wild record is a dead letter instead of an overflow that
comes again after every restart. The largest is a cost, price times segments: 10^9 micro times
255, squared, times 10^9 recipients is 7·10^31, below 2^127 = 1.7·10^38.
Constructors do not check types (msgspec); mypy does, and `schemas.codec` does on decode.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, UnsetType

Purpose = Literal["promotional", "transactional", "service", "otp"]
URGENT: frozenset[Purpose] = frozenset({"transactional", "otp"})
"""Somebody waits for these: they are sent before the others."""
Metric = Literal[
    "conversion_rate", "click_rate", "reply_rate", "revenue_per_recipient", "profit_per_recipient"
]
Direction = Literal["higher", "lower"]
DIRECTIONS: Mapping[str, Direction] = MappingProxyType(
    {
        "conversion_rate": "higher",
        "click_rate": "higher",
        "reply_rate": "higher",
        "revenue_per_recipient": "higher",
        "profit_per_recipient": "higher",
        "opt_out_rate": "lower",
    }
)
"""Metric → which side is better. It belongs to the metric, so no plan can turn it round."""
Family = Literal["holm", "bonferroni", "bh", "dunnett"]
"""What is promised when several treatments are compared with the control at once."""
Eligibility = Literal["eligible", "blocked", "deferred"]
SubmitOutcome = Literal["accepted", "rejected", "unknown", "expired"]
"""`unknown`: the submit_sm may have reached the SMSC, its answer was cut off; not resent."""

ReceiptState = Literal[
    "SCHEDULED",
    "ENROUTE",
    "DELIVERED",
    "EXPIRED",
    "DELETED",
    "UNDELIVERABLE",
    "ACCEPTED",
    "UNKNOWN",
    "REJECTED",
    "SKIPPED",
]
"""SMPP 5.0 §4.7.15 message_state, by name."""

LATEST_MS = 253_402_300_800_000
"""The year 10000: later times are in a wrong unit (micro- or nanoseconds)."""
MAX_WINDOW_MS = 366 * 24 * 3600 * 1000
MAX_PRICE_MICRO = 10**9

EventTimeMs = Annotated[int, msgspec.Meta(ge=0, lt=LATEST_MS)]
"""Milliseconds since the Unix epoch, by which people are counted."""
TimeMs = Annotated[int, msgspec.Meta(ge=0, le=2**53)]
"""The same where a strange clock loses nothing: an operator's, or of what nobody counts."""
MoneyMinor = Annotated[int, msgspec.Meta(ge=0, le=10**12)]
"""Minor units; squares of it, summed over 10^9 people, still fit 128 bits."""
Small = Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)]
Count = Annotated[int, msgspec.Meta(ge=0, le=2**53)]
"""Of what one process has seen since it started."""
PartNumber = Annotated[int, msgspec.Meta(ge=1, le=255)]
"""An octet of the user data header (3GPP TS 23.040 §9.2.3.24.1), from 1."""
Segments = Annotated[int, msgspec.Meta(ge=0, le=255)]

ConnectionGroup = str | UnsetType | None
"""Connections of one operator account: a receipt may come over another than its submit_sm."""

HOLDOUT = "holdout"
"""`variant_id` of a recipient who is assigned to receive nothing."""


class Event(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", gc=False):
    """What every event carries."""

    event_id: str
    occurred_at_ms: EventTimeMs


class SubjectEvent(Event, frozen=True, kw_only=True, gc=False):
    """An event about one person; `subject` is the keyed token and the Kafka key."""

    subject: Annotated[str, msgspec.Meta(min_length=1)]


class VariantDefinition(msgspec.Struct, frozen=True, kw_only=True):
    """One arm of a campaign. `share` is its part of the non-holdout recipients."""

    variant_id: str
    share: float
    template: str


class Goal(msgspec.Struct, frozen=True, kw_only=True):
    """What decides. `minimum_effect` is absolute, in the metric's unit (rates: 0.01 = 1 point)."""

    metric: Metric
    window_ms: Annotated[int, msgspec.Meta(ge=1, le=MAX_WINDOW_MS)]
    minimum_effect: float


class Costs(msgspec.Struct, frozen=True, kw_only=True):
    """Money rules. `margin` is the part of revenue that is kept before SMS costs."""

    currency: str
    price_per_segment_micro: Annotated[int, msgspec.Meta(ge=0, le=MAX_PRICE_MICRO)]
    billed_on: Literal["submitted", "accepted", "delivered"] = "accepted"
    margin: float = 1.0
    opt_out_cost_minor: MoneyMinor = 0


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """How the decision is made; frozen and hashed at launch."""

    method: Literal["sequential", "fixed", "bandit"] = "fixed"
    alpha: float = 0.05
    power: float = 0.8
    expected_n: Small | None = None
    """N*: recipients of all arms at the planned decision; tunes what may be read at any time."""
    family: Family = "holm"
    """How the comparisons of several treatments share the error."""
    cap_minor: Annotated[int, msgspec.Meta(ge=1, le=10**12)] | None = None
    """Net revenue of a recipient counts up to this in comparisons, and down to its negative."""
    covariate: str | None = None
    """Column of the audience, known before assignment, that takes noise out of the goal (CUPED)."""


class CampaignDefined(Event, frozen=True, kw_only=True, tag="campaign_defined"):
    """A campaign's definition came into force. Compacted; key `campaign_id`."""

    campaign_id: str
    plan_version: Annotated[int, msgspec.Meta(ge=0, le=2**31)]
    plan_hash: str
    salt: str
    purpose: Purpose
    language: str
    connection: str
    source_addr: str
    variants: tuple[VariantDefinition, ...]
    control: str
    holdout: float
    goal: Goal
    costs: Costs
    plan: Plan
    guardrails: dict[str, float] = {}
    """Guardrail metric → largest accepted worsening, absolute (opt_out_rate 0.002 = 0.2 points)."""
    analyse_by: tuple[str, ...] = ()
    dimension_values: dict[str, tuple[str, ...]] = {}
    """Attribute → its most frequent values in the audience; all others are counted as `other`."""
    audience_size: Annotated[int, msgspec.Meta(ge=0, le=10**12)] | None = None


class AllocationChanged(Event, frozen=True, kw_only=True, tag="allocation_changed"):
    """The shares of a campaign's variants changed. Compacted; key `campaign_id`."""

    campaign_id: str
    shares: dict[str, float]
    reason: str
    verdict_id: str | None = None


class VerdictReached(Event, frozen=True, kw_only=True, tag="verdict_reached"):
    """The verdict of a campaign changed. Compacted; key `campaign_id`."""

    campaign_id: str
    verdict: str
    variant_id: str | None
    reason: str
    plan_hash: str


class RecipientAssigned(SubjectEvent, frozen=True, kw_only=True, tag="recipient_assigned"):
    """A recipient was assigned to an arm (`variant_id` may be `HOLDOUT`)."""

    campaign_id: str
    variant_id: str
    wave: Small = 0
    eligibility: Eligibility = "eligible"
    blocked_by: str | None = None
    attributes: dict[str, str] = {}
    covariate: Annotated[int, msgspec.Meta(ge=-(10**12), le=10**12)] | None = None


class MessageRequested(SubjectEvent, frozen=True, kw_only=True, tag="message_requested"):
    """A message shall be sent. Restricted topic: the only event with a phone number and a text."""

    occurred_at_ms: TimeMs
    """Nobody counts by it: a message is sent whatever its sender's clock says."""
    message_id: str
    connection: str
    source_addr: str
    destination: str
    """E.164 digits without `+`."""
    text: str
    purpose: Purpose
    campaign_id: str | None = None
    variant_id: str | None = None
    expires_at_ms: TimeMs | None = None
    """After this moment the request becomes an `expired` result, not a send."""


class MessageSubmitted(SubjectEvent, frozen=True, kw_only=True, tag="message_submitted"):
    """The SMSC answered one submit_sm (or its answer was cut off). One per message part."""

    message_id: str
    connection: str
    connection_group: ConnectionGroup = UNSET
    """Absent where it is the connection's own name."""
    source_addr: str
    outcome: SubmitOutcome
    command_status: int | None = None
    smsc_message_id: str | None = None
    part: PartNumber = 1
    parts: PartNumber = 1
    segments: Segments = 1
    """Billed segments of this PDU."""
    encoding: str = "gsm7"
    latency_ms: int | None = None
    account: str | None = None
    campaign_id: str | None = None
    variant_id: str | None = None
    content_tag: str | None = None
    may_duplicate: bool = False


class ReceiptReceived(SubjectEvent, frozen=True, kw_only=True, tag="receipt_received"):
    """A delivery receipt (DLR) arrived. Raw operator id kept; matching happens downstream."""

    connection: str
    connection_group: ConnectionGroup = UNSET
    """Absent where it is the connection's own name."""
    smsc_message_id: str
    candidates: tuple[str, ...] = ()
    """Other spellings of the id: case-folded, zeros stripped, hex↔decimal."""
    raw_state: str
    state: ReceiptState
    is_final: bool | None
    """`None`: disputed states (ACCEPTED, UNKNOWN) on a connection without a rule."""
    err: str | None = None
    submitted_at_ms: TimeMs | None = None
    done_at_ms: TimeMs | None = None
    """The operator's clock: ordering of contradicting receipts only, never latency."""
    source: Literal["text", "tlv", "data_sm"] = "text"


class InboundReceived(SubjectEvent, frozen=True, kw_only=True, tag="inbound_received"):
    """A mobile-originated message (MO) arrived. Its text never leaves the bridge.

    Every part of a long message is an event; when the last has come, one more tells of the
    whole (`part` 0) and overrules what the parts say. A reply is a distinct `reply_id`, or
    `event_id` where there is none.
    """

    connection: str
    destination_addr: str
    reply_id: str | None = None
    """What the parts of one long message and its whole share; None: it came in one piece."""
    part: Small = 0
    """Number of this part, from 1; 0: the whole message."""
    parts: Small = 1
    keyword: str | None = None
    is_opt_out: bool = False
    is_opt_in: bool = False
    is_help: bool = False
    language: str | None = None
    segments: int = 1
    """Parts that the event tells of."""
    encoding: str = "gsm7"


class LinkIssued(Event, frozen=True, kw_only=True, tag="link_issued"):
    """A short link exists: `token` leads to `target`. Compacted; key `token`."""

    occurred_at_ms: TimeMs
    """Nobody counts by it: the link leads to its target all the same."""
    token: str
    target: str
    subject: str
    campaign_id: str
    variant_id: str
    message_id: str


class LinkClicked(SubjectEvent, frozen=True, kw_only=True, tag="link_clicked"):
    """A short link was opened, by a person or by a machine (`is_human`)."""

    token: str
    message_id: str
    campaign_id: str
    variant_id: str
    is_human: bool
    filter_reason: str | None = None


class ConversionRecorded(SubjectEvent, frozen=True, kw_only=True, tag="conversion_recorded"):
    """A person reached the goal, or (`refund_of`) got money back; idempotent by `conversion_id`."""

    conversion_id: str
    goal: str
    value_minor: MoneyMinor
    """For a refund the amount given back."""
    currency: str
    refund_of: str | None = None
    campaign_id: str | None = None


class ConsentChanged(SubjectEvent, frozen=True, kw_only=True, tag="consent_changed"):
    """Consent was granted or withdrawn for a purpose. Compacted; key `subject`."""

    purpose: Purpose | Literal["all"]
    is_granted: bool
    basis: str
    evidence: str


class ConnectionReported(Event, frozen=True, kw_only=True, tag="connection_reported"):
    """How one SMPP connection of a bridge is doing, once a second. Compacted; key `connection`."""

    connection: str
    instance: str
    state: str
    """Session state of the worst bind: CLOSED, OPEN, BOUND_TX, BOUND_RX, BOUND_TRX, UNBINDING."""
    binds: Count
    bound: Count
    window: Count
    window_in_use: Count
    submits: Count
    accepted: Count
    rejected: Count
    receipts: Count
    inbound: Count
    unknown: Count
    reconnects: Count
    last_error: str | None = None


class OffsetRange(msgspec.Struct, frozen=True, kw_only=True):
    """Records [first_offset, next_offset) of one partition of a topic."""

    topic: str
    first_offset: Annotated[int, msgspec.Meta(ge=0)]
    next_offset: Annotated[int, msgspec.Meta(ge=0)]


class CohortDelta(Event, frozen=True, kw_only=True, tag="cohort_delta"):
    """What one flush of a worker changes in the totals, of one partition of people."""

    partition: Small
    """Of every subject-keyed topic, and of this one."""
    chain: str
    """Random name of the partition's log of changes; another one when it was begun anew."""
    sequence: Small
    """1, 2, 3 … within the chain."""
    worker: str
    """Who counted, for people who look for it."""
    ranges: tuple[OffsetRange, ...]
    """What was read for it; each starts where the one before of its topic ended."""
    piece: Small
    """A large change travels in pieces 0 … `pieces` - 1."""
    pieces: Small
    body: bytes
    """Between versions of one program only: compressed changes by table."""


AnyEvent = (
    CampaignDefined
    | AllocationChanged
    | VerdictReached
    | RecipientAssigned
    | MessageRequested
    | MessageSubmitted
    | ReceiptReceived
    | InboundReceived
    | LinkIssued
    | LinkClicked
    | ConversionRecorded
    | ConsentChanged
    | ConnectionReported
    | CohortDelta
)
