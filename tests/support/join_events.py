"""Small, collision-rich worlds of events, and the running sum of the join's deltas."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from hypothesis import strategies as st
from msgspec import UNSET

from pipeline.join.cohorts import VECTOR
from pipeline.join.deltas import Deltas
from pipeline.join.engine import JoinEngine
from pipeline.join.facts import News, decode_news, encode_news
from pipeline.rows import UnmatchedReceipt
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
    VariantDefinition,
)

DAY_MS = 86_400_000
CAMPAIGNS = ("c1", "c2", "c3")
METRICS = ("revenue_per_recipient", "conversion_rate", "click_rate", "reply_rate")
CAPS = (None, 1, 500)
"""Without a cap, one that every sale exceeds, one that some exceed."""
# 0x1a2b = 6699 and 0x4d = 77: one id in several spellings, and ids that only look alike.
SMSC_IDS = ("1A2B", "1a2b", "001a2b", "6699", "77", "4d", "004D", "x-1", "77@s1", "0077@s2", "")
GROUPS = (UNSET, UNSET, UNSET, "account", "account", "op", "op2", "other", "", None)
"""Of the connections `op` and `op2`: alone, together, apart, and named like each other."""
# Near each other, and on both sides of a week.
TIMES = st.one_of(st.integers(0, 9_000), st.integers(7 * DAY_MS - 3, 7 * DAY_MS + 9_000))


def definition(campaign_id: str, **changes: Any) -> CampaignDefined:
    """A campaign with a goal window of six seconds unless changed."""
    values: dict[str, Any] = {
        "event_id": f"define-{campaign_id}",
        "occurred_at_ms": 0,
        "campaign_id": campaign_id,
        "plan_version": 1,
        "plan_hash": "hash",
        "salt": "salt",
        "purpose": "promotional",
        "language": "en",
        "connection": "op",
        "source_addr": "Shop",
        "variants": (VariantDefinition(variant_id="a", share=1.0, template="Hello"),),
        "control": "a",
        "holdout": 0.1,
        "goal": Goal(metric="revenue_per_recipient", window_ms=6_000, minimum_effect=1.0),
        "costs": Costs(currency="EUR", price_per_segment_micro=50_000),
        "plan": Plan(),
    }
    return CampaignDefined(**(values | changes))


@st.composite
def definitions(draw: st.DrawFn) -> list[CampaignDefined]:
    """Definitions of some of the campaigns."""
    return [
        definition(
            campaign_id,
            goal=Goal(
                metric=draw(st.sampled_from(METRICS)),
                window_ms=draw(st.sampled_from((3_000, 6_000, 150_000))),
                minimum_effect=1.0,
            ),
            costs=Costs(
                currency=draw(st.sampled_from(("EUR", "EUR", "USD"))),
                price_per_segment_micro=50_000,
                billed_on=draw(st.sampled_from(("submitted", "accepted", "delivered"))),
            ),
            plan=Plan(cap_minor=draw(st.sampled_from(CAPS))),
            analyse_by=draw(st.sampled_from(((), ("city",), ("city", "plan")))),
            dimension_values=draw(st.sampled_from(({}, {"city": ("x",), "plan": ()}))),
        )
        for campaign_id in draw(st.sets(st.sampled_from(CAMPAIGNS), min_size=1))
    ]


@st.composite
def subject_event(draw: st.DrawFn) -> SubjectEvent:
    """Any event that the join reads, about one of two people."""
    kind = draw(st.sampled_from(_KINDS))
    subject = draw(st.sampled_from(("s1", "s2")))
    fields = draw(st.fixed_dictionaries(_FIELDS[kind]))
    event_id = f"{subject}-{draw(st.integers(0, 40))}"
    return kind(subject=subject, event_id=event_id, occurred_at_ms=draw(TIMES), **fields)


def worlds(max_size: int = 25) -> st.SearchStrategy[list[SubjectEvent]]:
    """Lists of events. One event_id may return at another time with other content."""
    return st.lists(
        subject_event(),
        max_size=max_size,
        unique_by=lambda each: (type(each), each.event_id, each.occurred_at_ms),
    )


class Sums:
    """Aggregates as the sum of deltas; zeros are left out."""

    def __init__(self) -> None:
        self.cohorts: Counter[tuple[Any, ...]] = Counter()
        self.deliverability: Counter[Any] = Counter()
        self.activity: Counter[Any] = Counter()
        self.health: Counter[tuple[str, int]] = Counter()
        self.latencies: Counter[Any] = Counter()
        self.unmatched: dict[str, UnmatchedReceipt] = {}
        self.rounds: list[tuple[int, Sequence[SubjectEvent], list[News]]] = []
        """Round, events applied in it, news."""
        self.events = 0
        self.watermark_ms = 0

    def add(self, deltas: Deltas, events: Iterable[SubjectEvent] = ()) -> None:
        """Add what changed; `events` were applied before it."""
        for key, vector in deltas.cohorts.items():
            for column, number in zip(VECTOR, vector, strict=True):
                self.cohorts[*key, column] += number
        for place, number in deltas.deliverability.items():
            self.deliverability[place] += number
        for bucket, number in deltas.latencies.items():
            self.latencies[bucket] += number
        for moment, number in deltas.activity.items():
            self.activity[moment] += number
        for campaign_id, counts in deltas.health.items():
            for column, number in enumerate(counts):
                self.health[campaign_id, column] += number
        for event_id, row in deltas.unmatched.items():
            self.unmatched.pop(event_id, None)
            if row is not None:
                self.unmatched[event_id] = row
        self.rounds.append((deltas.round, tuple(events), deltas.news))
        self.events += deltas.applied + deltas.duplicates
        self.watermark_ms = deltas.watermark_ms

    def replay(self, engine: JoinEngine) -> JoinEngine:
        """Give everything back after a restart."""
        for round_, events, news in self.rounds:
            engine.replay((), round_, events)
            engine.replay(decode_news(encode_news(news)), round_)
        return engine

    def aggregates(self) -> dict[str, Any]:
        """All that must not depend on order, repetition, batches and restarts."""
        return {
            "cohorts": without_zeros(self.cohorts),
            "deliverability": without_zeros(self.deliverability),
            "activity": without_zeros(self.activity),
            "latencies": without_zeros(self.latencies),
            "health": without_zeros(self.health),
            "unmatched": self.unmatched,
        }


def without_zeros(counter: Counter[Any]) -> dict[Any, int]:
    """A counter as a dict of what is not zero."""
    return {key: number for key, number in counter.items() if number}


_KINDS = (
    RecipientAssigned,
    RecipientAssigned,
    MessageSubmitted,
    MessageSubmitted,
    ReceiptReceived,
    ReceiptReceived,
    InboundReceived,
    LinkClicked,
    ConversionRecorded,
    ConversionRecorded,
)
_CAMPAIGN = st.sampled_from(CAMPAIGNS)
_CONNECTION = st.sampled_from(("op", "op", "op2"))
_GROUP = st.sampled_from(GROUPS)
_FIELDS: dict[type[SubjectEvent], dict[str, st.SearchStrategy[Any]]] = {
    RecipientAssigned: {
        "campaign_id": _CAMPAIGN,
        "variant_id": st.sampled_from(("a", "b", HOLDOUT)),
        "eligibility": st.sampled_from(("eligible", "blocked", "deferred")),
        "covariate": st.none() | st.integers(-5, 50),
        "attributes": st.dictionaries(st.sampled_from(("city", "plan")), st.sampled_from("xy")),
    },
    MessageSubmitted: {
        "message_id": st.sampled_from(("m1", "m2", "m3")),
        "connection": _CONNECTION,
        "connection_group": _GROUP,
        "source_addr": st.just("Shop"),
        "outcome": st.sampled_from(("accepted", "accepted", "rejected", "unknown", "expired")),
        "smsc_message_id": st.none() | st.sampled_from(SMSC_IDS),
        "part": st.integers(1, 2),
        "segments": st.integers(1, 3),
        "campaign_id": st.none() | _CAMPAIGN,
        "variant_id": st.just("a"),
    },
    ReceiptReceived: {
        "connection": _CONNECTION,
        "connection_group": _GROUP,
        "smsc_message_id": st.sampled_from(SMSC_IDS),
        "candidates": st.lists(st.sampled_from(SMSC_IDS), max_size=1).map(tuple),
        "raw_state": st.just("raw"),
        "state": st.sampled_from(("DELIVERED", "DELIVERED", "UNDELIVERABLE", "EXPIRED")),
        "is_final": st.sampled_from((True, True, False, None)),
        "err": st.sampled_from((None, "", "011")),
        "done_at_ms": st.none() | st.integers(0, 2),
    },
    InboundReceived: {
        "connection": _CONNECTION,
        "destination_addr": st.just("1"),
        "is_opt_out": st.booleans(),
        "reply_id": st.sampled_from((None, "r1", "r2")),
        "part": st.sampled_from((0, 0, 1, 2)),
    },
    LinkClicked: {
        "token": st.just("t"),
        "message_id": st.just("m1"),
        "campaign_id": _CAMPAIGN,
        "variant_id": st.just("a"),
        "is_human": st.booleans(),
    },
    ConversionRecorded: {
        "conversion_id": st.sampled_from(("v1", "v2", "v3", "v4")),
        "goal": st.just("order"),
        "value_minor": st.integers(0, 900),
        "currency": st.sampled_from(("EUR", "EUR", "USD")),
        "refund_of": st.sampled_from((None, None, "v1", "v2", "v5")),
        "campaign_id": st.none() | _CAMPAIGN,
    },
}
