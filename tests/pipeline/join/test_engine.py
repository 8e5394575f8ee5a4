"""The join against a second reading of its rules, in any order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from functools import reduce
from itertools import permutations, product
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from pipeline.join.engine import JoinEngine
from pipeline.join.facts import AnyFact, encode_facts, fact_of, merge
from schemas.events import (
    CampaignDefined,
    ConsentChanged,
    ConversionRecorded,
    LinkClicked,
    MessageSubmitted,
    ReceiptReceived,
    ReceiptState,
    RecipientAssigned,
    SubjectEvent,
)
from tests.support.join_events import DAY_MS, Sums, definition, definitions, without_zeros, worlds
from tests.support.join_oracle import Expected

# The machine may be slow; the worlds are small.
SOME = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
MANY = settings(SOME, max_examples=300)


def joined(events: Sequence[SubjectEvent], defined: Sequence[CampaignDefined]) -> Sums:
    """Everything at once."""
    engine, sums = JoinEngine(), Sums()
    for each in defined:
        engine.define(each)
    engine.apply(events)
    sums.add(engine.take(), events)
    return sums


def base(event_id: str, at_ms: int) -> dict[str, Any]:
    """What every event of the scenarios has."""
    return {"subject": "s", "event_id": event_id, "occurred_at_ms": at_ms}


def assigned(at_ms: int, campaign_id: str = "c1") -> SubjectEvent:
    """The person is assigned."""
    fields = base(f"a{campaign_id}{at_ms}", at_ms)
    return RecipientAssigned(**fields, campaign_id=campaign_id, variant_id="a")


def submitted(at_ms: int, message_id: str, smsc_id: str, part: int = 1) -> SubjectEvent:
    """A part is accepted."""
    return MessageSubmitted(
        **base(f"s{message_id}{part}", at_ms),
        message_id=message_id,
        connection="op",
        source_addr="Shop",
        outcome="accepted",
        smsc_message_id=smsc_id,
        part=part,
        campaign_id="c1",
    )


def receipt(at_ms: int, smsc_id: str, state: ReceiptState = "DELIVERED") -> SubjectEvent:
    """A final receipt."""
    return ReceiptReceived(
        **base(f"r{smsc_id}{at_ms}", at_ms),
        connection="op",
        smsc_message_id=smsc_id,
        raw_state="raw",
        state=state,
        is_final=True,
    )


def clicked(at_ms: int) -> SubjectEvent:
    """A person opens the link."""
    return LinkClicked(
        **base(f"k{at_ms}", at_ms),
        token="t",
        message_id="m1",
        campaign_id="c1",
        variant_id="a",
        is_human=True,
    )


def bought(at_ms: int) -> SubjectEvent:
    """The person buys for 9.00 EUR."""
    return ConversionRecorded(
        **base(f"v{at_ms}", at_ms),
        conversion_id=f"v{at_ms}",
        goal="order",
        value_minor=900,
        currency="EUR",
    )


WEEKS_MS = 21 * DAY_MS
SCENARIOS: dict[str, tuple[list[SubjectEvent], dict[str, int]]] = {
    "receipt before its submit": (
        [receipt(5, "77"), submitted(9, "m1", "77"), assigned(0)],
        {"delivered": 1},
    ),
    "click before receipt": (
        [clicked(5), assigned(0), submitted(2, "m1", "77"), receipt(9, "77")],
        {"clicked": 1, "delivered": 1},
    ),
    "conversion before the assignment arrives": (
        [bought(100), clicked(50), assigned(0)],
        {"converted": 1, "attributed": 1, "revenue_minor": 900},
    ),
    "interleaved multipart": (
        [
            assigned(0),
            submitted(1, "m1", "11", 1),
            receipt(3, "12"),
            submitted(2, "m1", "12", 2),
            receipt(4, "11"),
        ],
        {"delivered": 1, "segments": 2},
    ),
    "one part of two": (
        [assigned(0), submitted(1, "m1", "11", 1), submitted(2, "m1", "12", 2), receipt(3, "11")],
        {"delivered": 0, "segments": 2},
    ),
    "the operator's id again after weeks": (
        [
            assigned(0),
            submitted(1, "m1", "77"),
            receipt(2, "77"),
            submitted(WEEKS_MS, "m2", "77"),
            receipt(WEEKS_MS + 1, "77", "UNDELIVERABLE"),
        ],
        {"delivered": 1, "failed": 0, "conflicts": 0},
    ),
    "contradicting receipts": (
        [assigned(0), submitted(1, "m1", "77"), receipt(2, "77"), receipt(3, "77", "EXPIRED")],
        {"delivered": 1, "conflicts": 1},
    ),
    "two campaigns": (
        [assigned(0), assigned(40, "c2"), submitted(1, "m1", "77"), bought(50)],
        {"assigned": 1, "submitted": 1, "converted": 0},
    ),
    "another base and spelling": (
        [assigned(0), submitted(1, "m1", "00001A2B"), receipt(2, "6699")],
        {"delivered": 1},
    ),
}


def kept(test: Callable[..., None]) -> Callable[..., None]:
    """The scenarios as examples that hypothesis always tries."""
    for events, _ in SCENARIOS.values():
        test = example(events, [definition("c1"), definition("c2")])(test)
    return test


@MANY
@given(worlds(), definitions())
@kept
def test_agrees_with_a_plain_reading_of_the_rules(
    events: list[SubjectEvent], defined: list[CampaignDefined]
) -> None:
    """Every aggregate equals what a naive program written from the rules says."""
    expected, sums = Expected(events, defined), joined(events, defined)
    assert without_zeros(sums.cohorts) == without_zeros(expected.cohorts)
    assert without_zeros(sums.activity) == expected.activity
    assert without_zeros(sums.latencies) == expected.latencies
    assert without_zeros(sums.deliverability) == expected.deliverability
    assert {event_id: row.received_at_ms for event_id, row in sums.unmatched.items()} == {
        event_id: receipt.occurred_at_ms for event_id, receipt in expected.unmatched.items()
    }
    health: Counter[tuple[str, int]] = Counter(
        {("", 1): expected.receipts, ("", 2): len(expected.unmatched)}
    )
    health.update({(campaign_id, 0): n for campaign_id, n in expected.double_assigned.items()})
    assert without_zeros(sums.health) == without_zeros(health)


@MANY
@given(worlds(), definitions(), st.data())
def test_order_repetition_batches_and_restarts_change_nothing(
    events: list[SubjectEvent], defined: list[CampaignDefined], data: st.DataObject
) -> None:
    """Any permutation with repeats, cut anywhere by take() and restarts, sums up the same."""
    repeats = data.draw(st.lists(st.sampled_from(events), max_size=8)) if events else []
    shuffled = data.draw(st.permutations([*events, *repeats]))
    engine, sums, in_force = JoinEngine(), Sums(), list[CampaignDefined]()
    applied: list[SubjectEvent] = []
    late = data.draw(st.permutations([*defined, *[None] * 4]))
    for each in late:
        size = data.draw(st.integers(0, len(shuffled)))
        batch, shuffled = shuffled[:size], shuffled[size:]
        engine.apply(batch)
        applied += batch
        if each is not None:
            engine.define(each)
            in_force.append(each)
        if data.draw(st.booleans()):
            sums.add(engine.take(), applied)
            applied = []
            if data.draw(st.booleans()):
                engine = restarted(sums, in_force)
    engine.apply(shuffled)
    sums.add(engine.take())
    assert sums.aggregates() == joined(events, defined).aggregates()
    assert sums.events == len(events) + len(repeats)


def restarted(sums: Sums, in_force: Sequence[CampaignDefined]) -> JoinEngine:
    """A new engine from what is stored."""
    engine = JoinEngine()
    for each in in_force:
        engine.define(each)
    return sums.replay(engine)


@SOME
@given(worlds(), definitions())
def test_a_second_run_over_the_same_events_emits_nothing(
    events: list[SubjectEvent], defined: list[CampaignDefined]
) -> None:
    """After a replay there are duplicates to report and no change, no state to store."""
    engine = JoinEngine()
    for each in defined:
        engine.define(each)
    engine.apply(events)
    first = engine.take()
    engine.apply(events)
    second = engine.take()
    assert (second.applied, second.duplicates) == (0, first.applied + first.duplicates)
    assert not second.cohorts
    assert not second.activity
    assert not second.deliverability
    assert not second.health
    assert not second.unmatched
    assert not second.news
    assert second.watermark_ms == max((each.occurred_at_ms for each in events), default=0)


@SOME
@given(worlds(), definitions(), definitions())
def test_a_changed_definition_recounts_its_recipients(
    events: list[SubjectEvent], before: list[CampaignDefined], after: list[CampaignDefined]
) -> None:
    """A new version gives what it would have given from the start, after a restart too."""
    newer = [definition_of_version(each, 2) for each in after]
    sums = joined(events, before)
    engine = restarted(sums, before)
    for each in newer:
        engine.define(each)
    for each in before:
        engine.define(each)
    sums.add(engine.take())
    in_force = {each.campaign_id: each for each in [*before, *newer]}
    assert sums.aggregates() == joined(events, list(in_force.values())).aggregates()


@pytest.mark.parametrize("name", SCENARIOS)
def test_known_scenarios_in_every_order(name: str) -> None:
    """What operators and people do, in each order of arrival, each event twice."""
    events, expected = SCENARIOS[name]
    defined = [definition("c1"), definition("c2")]
    for order in permutations(events):
        cohorts = joined([*order, *order[:1]], defined).cohorts
        found = dict.fromkeys(expected, 0)
        for (campaign_id, *_, column), number in cohorts.items():
            if campaign_id == "c1" and column in found:
                found[column] += number
        assert found == expected, order


@given(worlds(max_size=12))
def test_merging_facts_is_a_semilattice(events: list[SubjectEvent]) -> None:
    """Of facts under one key the same stays, however they are paired, ordered or repeated."""
    by_key: dict[tuple[str, str], list[AnyFact]] = {}
    for event in events:
        key, fact = fact_of(event)
        by_key.setdefault((event.subject, key), []).append(fact)
    for facts in by_key.values():
        assert len({reduce(merge, order) for order in permutations(facts[:4])}) == 1
        for one, other, third in product(facts[:3], repeat=3):
            assert merge(one, one) == one
            assert merge(one, other) == merge(other, one)
            assert merge(merge(one, other), third) == merge(one, merge(other, third))


def definition_of_version(each: CampaignDefined, version: int) -> CampaignDefined:
    """The same campaign as a later plan."""
    return definition(
        each.campaign_id,
        plan_version=version,
        goal=each.goal,
        costs=each.costs,
        analyse_by=each.analyse_by,
        dimension_values=each.dimension_values,
    )


@SOME
@given(worlds(), definitions())
def test_loading_says_nothing_and_remembers_the_watermark(
    events: list[SubjectEvent], defined: list[CampaignDefined]
) -> None:
    """A restored engine has no change to report."""
    engine = restarted(joined(events, defined), defined)
    deltas = engine.take()
    assert not deltas.cohorts
    assert not deltas.news
    assert deltas.applied == 0
    known = Expected(events, defined).facts
    newest = max((each.occurred_at_ms for each in known), default=0)
    # an event that came again with an earlier time may have left its later one in the news
    assert newest <= deltas.watermark_ms <= max((e.occurred_at_ms for e in events), default=0)


def test_states_of_one_person_may_be_loaded_in_any_order() -> None:
    """A state log may hold old and new states: their union is the person, the first arrival kept.

    The same event_id was seen first late, then early, so neither state contains the other.
    """
    late, early, other = (
        RecipientAssigned(
            event_id=event_id, occurred_at_ms=at_ms, subject="s", campaign_id="c1", variant_id="a"
        )
        for event_id, at_ms in (("e", 9_000), ("e", 1_000), ("f", 5_000))
    )
    states = [encode_facts(dict(map(fact_of, events))) for events in ([late, other], [early])]
    for order in (states, states[::-1]):
        engine, sums = JoinEngine(), Sums()
        for state in order:
            engine.load("s", state)
        engine.define(definition("c1"))
        sums.add(engine.take())
        assert sums.cohorts["c1", "a", 1_000, 1_000, "", "", "assigned"] == 1
        assert sums.watermark_ms == 9_000


def test_a_person_cannot_be_loaded_over_events() -> None:
    """Loading after an event would hide that event's change, so it is refused."""
    event = RecipientAssigned(
        event_id="e", occurred_at_ms=0, subject="s", campaign_id="c1", variant_id="a"
    )
    engine = JoinEngine()
    engine.apply([event])
    with pytest.raises(ValueError, match="before its first event"):
        engine.load(event.subject, b"\x80")


def test_an_event_that_is_not_joined_is_refused() -> None:
    """A foreign event is the caller's mistake and is named."""
    consent = ConsentChanged(
        event_id="e",
        occurred_at_ms=0,
        subject="s",
        purpose="all",
        is_granted=False,
        basis="reply",
        evidence="STOP",
    )
    with pytest.raises(ValueError, match="ConsentChanged"):
        JoinEngine().apply([consent])
