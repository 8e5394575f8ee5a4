"""Crowds of people to whom everything happens that may: dense, seeded, one run for hundreds."""

from __future__ import annotations

import random
from typing import Any

from schemas.events import (
    HOLDOUT,
    CampaignDefined,
    ConversionRecorded,
    Costs,
    Goal,
    InboundReceived,
    LinkClicked,
    MessageSubmitted,
    Plan,
    ReceiptReceived,
    RecipientAssigned,
    SubjectEvent,
)
from tests.support.join_events import CAPS, DAY_MS, GROUPS, METRICS, SMSC_IDS, definition

CAMPAIGNS = ("c1", "c1", "c2")
Fields = dict[str, Any]


def crowd_definitions(rng: random.Random) -> list[CampaignDefined]:
    """Two campaigns with chosen windows, currencies and ways of billing."""
    return [
        definition(
            name,
            goal=Goal(
                metric=rng.choice(METRICS),
                window_ms=rng.choice((150_000, 8 * DAY_MS)),
                minimum_effect=1.0,
            ),
            costs=Costs(
                currency=rng.choice(("EUR", "EUR", "USD")),
                price_per_segment_micro=50_000,
                billed_on=rng.choice(("submitted", "accepted", "delivered")),
            ),
            plan=Plan(cap_minor=rng.choice(CAPS)),
        )
        for name in ("c1", "c2")
    ]


def crowd(rng: random.Random, people: int) -> list[SubjectEvent]:
    """Up to twenty events about each, some of them twice, in any order."""
    events = [_event(rng, f"s{n}") for n in range(people) for _ in range(rng.randrange(1, 20))]
    events += [_assigned(rng, _base(rng, f"s{n}")) for n in range(people) for _ in range(2)]
    events += rng.choices(events, k=people)
    rng.shuffle(events)
    return events


def _event(rng: random.Random, subject: str) -> SubjectEvent:
    return rng.choice(_KINDS)(rng, _base(rng, subject))


def _base(rng: random.Random, subject: str) -> Fields:
    return {
        "subject": subject,
        "event_id": f"{subject}-{rng.getrandbits(40)}",
        "occurred_at_ms": rng.choice((0, 7 * DAY_MS - 2_000)) + rng.randrange(4_000),
    }


def _assigned(rng: random.Random, base: Fields) -> SubjectEvent:
    return RecipientAssigned(
        **base,
        campaign_id=rng.choice(CAMPAIGNS),
        variant_id=rng.choice(("a", "a", "b", HOLDOUT)),
        eligibility=rng.choice(("eligible", "blocked", "deferred")),
        covariate=rng.choice((None, -5, 50)),
    )


def _submitted(rng: random.Random, base: Fields) -> SubjectEvent:
    return MessageSubmitted(
        **base,
        message_id=rng.choice(("m1", "m2", "m3")),
        connection=rng.choice(("op", "op", "op2")),
        connection_group=rng.choice(GROUPS),
        source_addr="Shop",
        outcome=rng.choice(("accepted", "accepted", "rejected", "unknown", "unknown", "expired")),
        smsc_message_id=rng.choice((None, *SMSC_IDS)),
        part=rng.choice((1, 1, 2)),
        segments=rng.choice((1, 2)),
        campaign_id=rng.choice((None, *CAMPAIGNS)),
        variant_id="a",
    )


def _receipt(rng: random.Random, base: Fields) -> SubjectEvent:
    return ReceiptReceived(
        **base,
        connection=rng.choice(("op", "op", "op2")),
        connection_group=rng.choice(GROUPS),
        smsc_message_id=rng.choice(SMSC_IDS),
        candidates=rng.choice(((), (), (rng.choice(SMSC_IDS),))),
        raw_state="raw",
        state=rng.choice(("DELIVERED", "DELIVERED", "UNDELIVERABLE", "EXPIRED")),
        is_final=rng.choice((True, True, False, None)),
        done_at_ms=rng.choice((None, 1, 2)),
    )


def _inbound(rng: random.Random, base: Fields) -> SubjectEvent:
    is_opt_out = rng.random() < 0.5
    return InboundReceived(**base, connection="op", destination_addr="1", is_opt_out=is_opt_out)


def _clicked(rng: random.Random, base: Fields) -> SubjectEvent:
    return LinkClicked(
        **base,
        token="t",
        message_id="m1",
        campaign_id=rng.choice(CAMPAIGNS),
        variant_id="a",
        is_human=rng.random() < 0.6,
    )


def _conversion(rng: random.Random, base: Fields) -> SubjectEvent:
    return ConversionRecorded(
        **base,
        conversion_id=rng.choice(("v1", "v2", "v3", "v4")),
        goal="order",
        value_minor=rng.randrange(900),
        currency=rng.choice(("EUR", "EUR", "USD")),
        refund_of=rng.choice((None, None, "v1", "v2", "v5")),
        campaign_id=rng.choice((None, *CAMPAIGNS)),
    )


_KINDS = (
    _submitted,
    _submitted,
    _receipt,
    _receipt,
    _receipt,
    _inbound,
    _clicked,
    _conversion,
    _conversion,
)
