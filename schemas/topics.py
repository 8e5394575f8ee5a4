"""The only place that names topics: event, key, partitions, retention, restriction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from schemas import events

SUBJECT_PARTITIONS = 12
"""Partition count of every subject-keyed topic. For ever: a person's partition depends on it."""

DAY_MS = 24 * 3600 * 1000
RETENTION_MS = 14 * DAY_MS
"""Longer than the join horizon (7 days + attribution window), so that a replay is complete."""
RESTRICTED_RETENTION_MS = 2 * DAY_MS
"""Numbers and texts: no longer than a request can still be sent."""


@dataclass(frozen=True, slots=True)
class Topic:
    """One Kafka topic. `key_field` names the event field that is the record key."""

    name: str
    event: type[events.Event]
    key_field: str
    partitions: int = SUBJECT_PARTITIONS
    cleanup: Literal["delete", "compact"] = "delete"
    retention_ms: int = RETENTION_MS
    is_restricted: bool = False

    @property
    def dead_letters(self) -> str:
        """Name of the topic that takes what could not be decoded."""
        return f"{self.name}.dlq"

    @property
    def config(self) -> dict[str, str]:
        """Broker-side topic configuration."""
        if self.cleanup == "compact":
            return {"cleanup.policy": "compact"}
        return {"cleanup.policy": "delete", "retention.ms": str(self.retention_ms)}


CAMPAIGN_DEFINITION = Topic(
    "sms.campaign.definition.v1", events.CampaignDefined, "campaign_id", 1, "compact"
)
CAMPAIGN_ALLOCATION = Topic(
    "sms.campaign.allocation.v1", events.AllocationChanged, "campaign_id", 1, "compact"
)
CAMPAIGN_VERDICT = Topic(
    "sms.campaign.verdict.v1", events.VerdictReached, "campaign_id", 1, "compact"
)
RECIPIENT_ASSIGNED = Topic("sms.recipient.assigned.v1", events.RecipientAssigned, "subject")
OUTBOUND_REQUESTED = Topic(
    "sms.outbound.requested.v1",
    events.MessageRequested,
    "subject",
    retention_ms=RESTRICTED_RETENTION_MS,
    is_restricted=True,
)
OUTBOUND_URGENT = Topic(
    "sms.outbound.urgent.v1",
    events.MessageRequested,
    "subject",
    retention_ms=RESTRICTED_RETENTION_MS,
    is_restricted=True,
)
"""Requests of an urgent purpose: a topic of their own, which no million of others delays."""
MESSAGE_SUBMITTED = Topic("sms.message.submitted.v1", events.MessageSubmitted, "subject")
MESSAGE_RECEIPT = Topic("sms.message.receipt.v1", events.ReceiptReceived, "subject")
INBOUND_RECEIVED = Topic("sms.inbound.received.v1", events.InboundReceived, "subject")
LINK_ISSUED = Topic("sms.link.issued.v1", events.LinkIssued, "token", cleanup="compact")
LINK_CLICKED = Topic("sms.link.clicked.v1", events.LinkClicked, "subject")
CONVERSION_RECORDED = Topic("sms.conversion.recorded.v1", events.ConversionRecorded, "subject")
CONSENT_CHANGED = Topic(
    "sms.consent.changed.v1", events.ConsentChanged, "subject", cleanup="compact"
)
CONNECTION_STATE = Topic(
    "sms.connection.state.v1", events.ConnectionReported, "connection", 1, "compact"
)
COHORT_DELTA = Topic("sms.cohort.delta.v1", events.CohortDelta, "event_id")
"""From several workers to the sink; the partition is the workers' own."""

TOPICS: tuple[Topic, ...] = (
    CAMPAIGN_DEFINITION,
    CAMPAIGN_ALLOCATION,
    CAMPAIGN_VERDICT,
    RECIPIENT_ASSIGNED,
    OUTBOUND_REQUESTED,
    OUTBOUND_URGENT,
    MESSAGE_SUBMITTED,
    MESSAGE_RECEIPT,
    INBOUND_RECEIVED,
    LINK_ISSUED,
    LINK_CLICKED,
    CONVERSION_RECORDED,
    CONSENT_CHANGED,
    CONNECTION_STATE,
    COHORT_DELTA,
)

JOINED_TOPICS: tuple[Topic, ...] = (
    RECIPIENT_ASSIGNED,
    MESSAGE_SUBMITTED,
    MESSAGE_RECEIPT,
    INBOUND_RECEIVED,
    LINK_CLICKED,
    CONVERSION_RECORDED,
)
"""The subject-keyed topics that the join reads."""

_BY_EVENT = {topic.event: topic for topic in TOPICS if topic is not OUTBOUND_URGENT}


def topic_of(event: events.Event) -> Topic:
    """The topic on which an event travels.

    Raises:
        KeyError: If the type has no topic (a programming error).
    """
    if isinstance(event, events.MessageRequested) and event.purpose in events.URGENT:
        return OUTBOUND_URGENT
    return _BY_EVENT[type(event)]


def key_of(event: events.Event) -> str:
    """The record key of an event."""
    key = getattr(event, topic_of(event).key_field)
    assert isinstance(key, str)
    return key
