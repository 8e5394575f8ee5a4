"""The short way of the join against the long one: the same numbers, on arbitrary lives."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from pipeline.join import cohorts, stories
from pipeline.join.engine import JoinEngine
from pipeline.join.stories import Person, Stories, Story
from schemas.events import (
    CampaignDefined,
    InboundReceived,
    LinkClicked,
    MessageSubmitted,
    ReceiptReceived,
    RecipientAssigned,
    SubjectEvent,
)
from tests.support.join_events import DAY_MS, GROUPS, Sums, definition, definitions, worlds

MANY = settings(
    deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=300
)  # the machine may be slow; the worlds are small
SOON = st.sampled_from([0, 900, 1_100, 7 * DAY_MS, 7 * DAY_MS + 1])


class NoStories(Stories):
    """Everybody goes the long way."""

    def find(self, person: Person) -> Story | None:
        """There is none."""
        return None


def plain_engine() -> JoinEngine:
    """An engine that projects everybody each time."""
    engine = JoinEngine()
    engine._stories = NoStories(engine._definitions)
    engine._stories.beginning = None  # type: ignore[assignment]
    return engine


@st.composite
def ordinary_life(draw: st.DrawFn, subject: str) -> list[SubjectEvent]:
    """At most one of each kind, from few values: several people have the same."""

    def base(kind: str) -> dict[str, Any]:
        at_ms = draw(SOON)
        return {"subject": subject, "event_id": f"{kind}-{subject}", "occurred_at_ms": at_ms}

    campaign_id, smsc_id = draw(st.sampled_from(("c1", "c2"))), draw(st.sampled_from(("7", "07")))
    life: list[SubjectEvent] = [
        RecipientAssigned(
            **base("a"),
            campaign_id=draw(st.sampled_from(("c1", "c1", "c2"))),
            variant_id=draw(st.sampled_from(("a", "holdout"))),
            attributes=draw(st.sampled_from(({}, {"city": "x"}))),
            covariate=draw(st.integers(-5, 5)),
        ),
        MessageSubmitted(
            **base("s"),
            message_id="m",
            connection="op",
            connection_group=draw(st.sampled_from(GROUPS)),
            source_addr="Shop",
            outcome=draw(st.sampled_from(("accepted", "accepted", "rejected", "unknown"))),
            smsc_message_id=draw(st.sampled_from((smsc_id, smsc_id, None))),
            campaign_id=campaign_id,
        ),
        ReceiptReceived(
            **base("r"),
            connection=draw(st.sampled_from(("op", "op", "other"))),
            connection_group=draw(st.sampled_from(GROUPS)),
            smsc_message_id=draw(st.sampled_from(("7", "7", "07", " "))),
            raw_state="raw",
            state=draw(st.sampled_from(("DELIVERED", "EXPIRED"))),
            is_final=draw(st.booleans()),
        ),
        LinkClicked(
            **base("c"),
            token="t",
            message_id="m",
            campaign_id=campaign_id,
            variant_id="a",
            is_human=draw(st.booleans()),
        ),
        InboundReceived(
            **base("i"), connection="op", destination_addr="1", is_opt_out=draw(st.booleans())
        ),
    ]
    return [event for event in life if draw(st.integers(0, 3))]


@st.composite
def lives(draw: st.DrawFn) -> list[SubjectEvent]:
    """Ordinary people and a few extraordinary ones, in any order, some events twice."""
    events = [e for n in range(draw(st.integers(1, 5))) for e in draw(ordinary_life(f"p{n}"))]
    events += draw(worlds(max_size=6))
    events += draw(st.lists(st.sampled_from(events), max_size=4)) if events else []
    return list(draw(st.permutations(events)))


@MANY
@given(lives(), definitions(), definitions(), st.sampled_from([1, 3, 100_000]), st.data())
def test_the_short_way_ends_where_the_long_one_does(
    events: list[SubjectEvent],
    defined: list[CampaignDefined],
    later: list[CampaignDefined],
    limit: int,
    data: st.DataObject,
) -> None:
    """Whenever deltas are taken, definitions come, stories are forgotten or the worker restarts.

    A campaign that is defined again has other cohorts: whoever was of the old ones leaves them.
    """
    defined = [*defined, *(replace(each, plan_version=2, event_id="later") for each in later)]
    short, long = JoinEngine(), plain_engine()
    short_sums, long_sums = Sums(), Sums()
    in_force: list[CampaignDefined] = []
    applied: list[SubjectEvent] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stories, "LIMIT", limit)
        patch.setattr(cohorts, "LIMIT", limit)
        for each in data.draw(st.permutations([*defined, *[None] * 3])):
            size = data.draw(st.integers(0, len(events)))
            for engine in (short, long):
                engine.apply(events[:size])
                if each is not None:
                    engine.define(each)
            applied, events = applied + events[:size], events[size:]
            if each is not None:
                in_force.append(each)
            if data.draw(st.booleans()):
                _take(short, long, short_sums, long_sums, applied)
                applied = []
                if data.draw(st.booleans()):
                    short = _restarted(short_sums, in_force)
        for engine in (short, long):
            engine.apply(events)
        _take(short, long, short_sums, long_sums, [])


def _take(
    short: JoinEngine,
    long: JoinEngine,
    short_sums: Sums,
    long_sums: Sums,
    applied: Sequence[SubjectEvent],
) -> None:
    short_sums.add(short.take(), applied)
    long_sums.add(long.take())
    assert short_sums.aggregates() == long_sums.aggregates()


def _restarted(sums: Sums, in_force: Sequence[CampaignDefined]) -> JoinEngine:
    engine = JoinEngine()
    for each in in_force:
        engine.define(each)
    return sums.replay(engine)


@pytest.mark.parametrize("came_over", [{}, {"connection": "op2", "connection_group": "op"}])
def test_the_second_of_a_kind_is_not_projected(
    monkeypatch: pytest.MonkeyPatch, came_over: dict[str, Any]
) -> None:
    """A hundred people with one story cost as many projections as one, in whatever order.

    So do those whose receipts come over another connection of the group.
    """
    projected: list[int] = []
    real = stories.outcome_of

    def counted(*arguments: Any) -> Any:
        projected.append(1)
        return real(*arguments)

    monkeypatch.setattr(stories, "outcome_of", counted)
    engine, sums = JoinEngine(), Sums()
    engine.define(definition("c1"))
    for n in range(100):
        engine.apply(_story(f"p{n}", came_over))
    sums.add(engine.take())
    assert len(projected) == 3
    delivered = ("c1", "a", 0, 1_000, "", "", "delivered")
    assert sums.cohorts[delivered] == 100
    assert sums.cohorts["c1", "a", 0, 1_000, "", "", "sum_vv"] == sum(n * n for n in range(100))


def _story(subject: str, came_over: dict[str, Any]) -> list[SubjectEvent]:
    fields: dict[str, Any] = {"subject": subject, "occurred_at_ms": 5}
    receipt = ReceiptReceived(
        event_id=f"r{subject}",
        **fields,
        **({"connection": "op"} | came_over),
        smsc_message_id=subject,
        raw_state="raw",
        state="DELIVERED",
        is_final=True,
    )
    submit = MessageSubmitted(
        event_id=f"s{subject}",
        **fields,
        message_id=subject,
        connection="op",
        source_addr="Shop",
        outcome="accepted",
        smsc_message_id=subject,
        campaign_id="c1",
    )
    assigned = RecipientAssigned(
        event_id=f"a{subject}",
        **fields,
        campaign_id="c1",
        variant_id="a",
        covariate=int(subject[1:]),
    )
    return [receipt, assigned, submit]
