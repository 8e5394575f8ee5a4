"""The join's rules, one by one, on the smallest worlds that show them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations
from typing import Any

import msgspec
import pytest
from msgspec import UNSET

from pipeline.join.cohorts import VECTOR
from pipeline.join.engine import JoinEngine
from pipeline.join.facts import Inbound, Receipt, Submit, decode_facts, decode_news
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
from tests.support.join_events import Sums, definition

WEEK_MS = 7 * 86_400_000


def assigned(event_id: str = "a1", at_ms: int = 1_000, **fields: Any) -> RecipientAssigned:
    """The person is assigned to arm a of campaign c1."""
    values = {"subject": "s", "campaign_id": "c1", "variant_id": "a"} | fields
    return RecipientAssigned(event_id=event_id, occurred_at_ms=at_ms, **values)


def submitted(event_id: str = "s1", at_ms: int = 2_000, **fields: Any) -> MessageSubmitted:
    """Message m1 was accepted as 77."""
    values: dict[str, Any] = {
        "subject": "s",
        "message_id": "m1",
        "connection": "op",
        "source_addr": "Shop",
        "outcome": "accepted",
        "smsc_message_id": "77",
        "campaign_id": "c1",
        "variant_id": "a",
    }
    return MessageSubmitted(event_id=event_id, occurred_at_ms=at_ms, **(values | fields))


def receipt(event_id: str = "r1", at_ms: int = 3_000, **fields: Any) -> ReceiptReceived:
    """Message 77 was delivered."""
    values: dict[str, Any] = {
        "subject": "s",
        "connection": "op",
        "smsc_message_id": "77",
        "raw_state": "DELIVRD",
        "state": "DELIVERED",
        "is_final": True,
    }
    return ReceiptReceived(event_id=event_id, occurred_at_ms=at_ms, **(values | fields))


def inbound(event_id: str = "i1", at_ms: int = 4_000, **fields: Any) -> InboundReceived:
    """The person answers."""
    values = {"subject": "s", "connection": "op", "destination_addr": "1"} | fields
    return InboundReceived(event_id=event_id, occurred_at_ms=at_ms, **values)


def clicked(event_id: str = "c1", at_ms: int = 4_000, **fields: Any) -> LinkClicked:
    """The person opens the link."""
    values: dict[str, Any] = {
        "subject": "s",
        "token": "t",
        "message_id": "m1",
        "campaign_id": "c1",
        "variant_id": "a",
        "is_human": True,
    }
    return LinkClicked(event_id=event_id, occurred_at_ms=at_ms, **(values | fields))


def bought(event_id: str = "v1", at_ms: int = 5_000, **fields: Any) -> ConversionRecorded:
    """The person buys for 9.00 EUR."""
    values: dict[str, Any] = {
        "subject": "s",
        "conversion_id": event_id,
        "goal": "order",
        "value_minor": 900,
        "currency": "EUR",
    }
    return ConversionRecorded(event_id=event_id, occurred_at_ms=at_ms, **(values | fields))


def joined(events: Sequence[SubjectEvent], *defined: CampaignDefined) -> Sums:
    """The aggregates, equal for every order of a few events."""
    results = []
    for order in list(permutations(events))[:120]:
        engine, sums = JoinEngine(), Sums()
        for each in defined or (definition("c1"),):
            engine.define(each)
        for event in order:
            engine.apply([event])
            sums.add(engine.take())
        results.append(sums)
    assert all(each.aggregates() == results[0].aggregates() for each in results)
    return results[0]


def counts(sums: Sums, campaign_id: str = "c1") -> dict[str, int]:
    """Counters and moments of a campaign over all whole cohorts, zeros left out."""
    totals = dict.fromkeys(VECTOR, 0)
    for key, number in sums.cohorts.items():
        if key[0] == campaign_id and key[4] == "":
            totals[key[-1]] += number
    return {name: number for name, number in totals.items() if number}


def test_one_whole_way_of_a_message() -> None:
    """Assignment to refund: every column has its hand-calculated value."""
    sums = joined(
        [
            assigned(covariate=3),
            submitted(segments=2),
            receipt(),
            clicked(),
            bought(),
        ]
    )
    sums_with_rest = joined([inbound(is_opt_out=True), assigned(), submitted(), receipt()])
    assert counts(sums) == {
        "assigned": 1,
        "submitted": 1,
        "accepted": 1,
        "delivered": 1,
        "clicked": 1,
        "converted": 1,
        "attributed": 1,
        "segments": 2,
        "cost_micro": 100_000,
        "revenue_minor": 900,
        "sum_v": 3,
        "sum_rr": 810_000,
        "sum_rc": 90_000_000,
        "sum_rv": 2_700,
        "sum_cc": 10_000_000_000,
        "sum_cv": 300_000,
        "sum_vv": 9,
        "sum_k": 900,
        "sum_kk": 810_000,
        "sum_kc": 90_000_000,
        "sum_kv": 2_700,
    }
    assert counts(sums_with_rest)["sum_co"] == 50_000
    assert counts(sums_with_rest)["opted_out"] == 1
    assert counts(sums_with_rest)["replied"] == 1


@pytest.mark.parametrize(
    "accepted_as", ["1A2B", "1a2b", "001A2B", "6699", "0006699", "01a2B@smsc1"]
)
@pytest.mark.parametrize("receipt_for", ["1A2B", "1a2b", "001a2b", "6699", "06699"])
def test_an_id_is_found_in_every_spelling(accepted_as: str, receipt_for: str) -> None:
    """Case, zeros, the number base and a suffix do not hide whose receipt it is."""
    sums = joined(
        [
            assigned(),
            submitted(smsc_message_id=accepted_as),
            receipt(smsc_message_id=receipt_for),
        ]
    )
    assert counts(sums)["delivered"] == 1
    assert not sums.unmatched


def test_candidates_of_the_bridge_are_used() -> None:
    """An id that only the receipt's candidates know is found, on its own connection only."""
    events = [assigned(), submitted(smsc_message_id="tlv-9")]
    own = receipt(smsc_message_id="text-1", candidates=("TLV-9",))
    foreign = receipt(smsc_message_id="text-1", candidates=("TLV-9",), connection="op2")
    assert counts(joined([*events, own]))["delivered"] == 1
    assert "delivered" not in counts(joined([*events, foreign]))


TX: dict[str, Any] = {"connection": "tx", "connection_group": "account"}
RX: dict[str, Any] = {"connection": "rx", "connection_group": "account"}
"""Two connections of one operator account."""


@pytest.mark.parametrize(
    ("sent", "came"),
    [
        (TX, RX),
        (TX, {"connection": "account"}),
        ({"connection": "account"}, RX),
        (TX, {"connection": "tx"}),
        (TX, {"connection": "tx", "connection_group": "other"}),
    ],
    ids=["one group", "named like it", "the other way", "named later", "named anew"],
)
def test_a_receipt_may_come_over_another_connection_of_the_group(
    sent: dict[str, Any], came: dict[str, Any]
) -> None:
    """It is matched by its id, and over the submit's own connection whatever the groups say."""
    sums = joined([assigned(), submitted(**sent), receipt(**came)])
    assert counts(sums)["delivered"] == 1
    assert not sums.unmatched


@pytest.mark.parametrize("group", [UNSET, None, "", "tx", "rx", "other"])
def test_a_receipt_of_another_group_stays_unmatched(group: Any) -> None:
    """Without a group a connection is alone."""
    came = receipt(connection="rx", connection_group=group)
    sums = joined([assigned(), submitted(**TX), came])
    assert "delivered" not in counts(sums)
    assert [row.reason for row in sums.unmatched.values()] == ["no_submit"]


def test_each_table_names_the_connection_where_it_happened() -> None:
    """What the operator said: where it came; how long it took: of the connection that submitted."""
    sums = joined([assigned(), submitted(**TX), receipt(**RX)])
    assert [connection for connection, *_ in sums.deliverability] == ["rx"]
    assert [connection for connection, *_ in sums.latencies] == ["tx"]


def test_an_id_used_on_two_connections_belongs_to_the_receipts_own() -> None:
    """Two hosts of an account may count their ids apart."""
    sums = joined(
        [
            assigned(),
            submitted(**TX),
            assigned("a2", campaign_id="c2"),
            submitted("s2", 2_900, message_id="m2", campaign_id="c2", **RX),
            receipt(**TX),
        ],
        definition("c1"),
        definition("c2"),
    )
    assert counts(sums)["delivered"] == 1
    assert "delivered" not in counts(sums, "c2")


def test_a_receipt_proves_the_only_unknown_submit_of_its_group() -> None:
    """Over whichever connection; of two it proves neither."""
    cut: dict[str, Any] = {"outcome": "unknown", "smsc_message_id": None}
    one = [assigned(), submitted(**cut, **TX), receipt(smsc_message_id="zz", **RX)]
    both = [*one, submitted("s2", message_id="m2", **cut, **RX)]
    assert counts(joined(one))["delivered"] == 1
    assert [row.reason for row in joined(both).unmatched.values()] == ["several_unknown"]


@pytest.mark.parametrize("nothing", ["", " ", None])
def test_an_empty_id_matches_nothing(nothing: str | None) -> None:
    """Two missing ids are not the same id."""
    sums = joined([assigned(), submitted(smsc_message_id=nothing), receipt(smsc_message_id="")])
    assert [row.reason for row in sums.unmatched.values()] == ["no_id"]


@pytest.mark.parametrize("odd", ["1_0", "0x10", "٧٧", "9" * 5_000, "\x00", "f" * 5_000])
def test_odd_ids_are_unmatched_and_harmless(odd: str) -> None:
    """Nothing that an operator writes into an id raises or matches by accident."""
    sums = joined([assigned(), submitted(smsc_message_id="16"), receipt(smsc_message_id=odd)])
    assert [row.smsc_message_id for row in sums.unmatched.values()] == [odd]


def test_an_id_used_again_belongs_to_the_nearer_message() -> None:
    """Operators restart their counters: the receipt goes to the message next to it in time."""
    sums = joined(
        [
            assigned(),
            submitted(),
            assigned("a2", WEEK_MS, campaign_id="c2"),
            submitted("s2", WEEK_MS + 10, message_id="m2", campaign_id="c2"),
            receipt(at_ms=WEEK_MS + 5),
        ],
        definition("c1"),
        definition("c2"),
    )
    assert "delivered" not in counts(sums)
    assert counts(sums, "c2")["delivered"] == 1


def test_the_exact_spelling_beats_the_nearer_message() -> None:
    """Where two messages have alike ids, the receipt's own spelling decides."""
    sums = joined(
        [
            assigned(),
            submitted(at_ms=2_000, smsc_message_id="077"),
            assigned("a2", campaign_id="c2"),
            submitted("s2", 2_900, message_id="m2", campaign_id="c2"),
            receipt(smsc_message_id="077"),
        ],
        definition("c1"),
        definition("c2"),
    )
    assert counts(sums)["delivered"] == 1
    assert "delivered" not in counts(sums, "c2")


def test_a_receipt_proves_an_unknown_submit() -> None:
    """A cut-off answer is learned from the receipt, and the part is then billed."""
    unknown = submitted(outcome="unknown", smsc_message_id=None)
    before = joined([assigned(), unknown])
    after = joined([assigned(), unknown, receipt(smsc_message_id="zz")])
    assert (counts(before)["unknown"], counts(before).get("cost_micro")) == (1, None)
    assert counts(after)["accepted"] == counts(after)["delivered"] == 1
    assert counts(after)["cost_micro"] == 50_000
    assert "unknown" not in counts(after)
    assert not after.unmatched


def test_a_receipt_proves_neither_of_two_unknown_submits() -> None:
    """Where it is not certain which one was taken, the receipt stays unmatched, with the reason."""
    sums = joined(
        [
            assigned(),
            submitted(outcome="unknown", smsc_message_id=None),
            submitted("s2", message_id="m2", outcome="unknown", smsc_message_id=None),
            receipt(smsc_message_id="zz"),
        ]
    )
    assert [row.reason for row in sums.unmatched.values()] == ["several_unknown"]
    assert counts(sums)["unknown"] == 1
    assert sums.health["", 2] == 1


def test_a_proven_unknown_submit_is_no_longer_open() -> None:
    """Once its id is matched, another receipt belongs to the submit that is still unknown."""
    sums = joined(
        [
            assigned(),
            submitted(outcome="unknown"),
            receipt(),
            submitted("s2", message_id="m2", outcome="unknown", smsc_message_id=None),
            receipt("r2", smsc_message_id="zz", state="ENROUTE", is_final=False),
        ]
    )
    assert counts(sums)["segments"] == 2
    assert not sums.unmatched


def test_an_unmatched_receipt_is_listed_until_its_submit_comes() -> None:
    """The receipt before the submit_sm_resp is a row, then a None that removes the row."""
    engine = JoinEngine()
    engine.define(definition("c1"))
    engine.apply([assigned(), receipt()])
    early = engine.take()
    row = early.unmatched["r1"]
    assert row is not None
    assert (row.smsc_message_id, row.received_at_ms, row.reason) == ("77", 3_000, "no_submit")
    assert early.health == {"": [0, 1, 1]}
    engine.apply([submitted()])
    late = engine.take()
    assert late.unmatched == {"r1": None}
    assert late.health == {"": [0, 0, -1]}


@pytest.mark.parametrize(
    ("delivered_at", "failed_at", "is_delivered"),
    [(5, 9, 1), (9, 5, 0), (None, 9, 0), (5, None, 1), (None, None, 1), (7, 7, 1)],
)
def test_contradicting_finals_are_settled_by_the_operators_clock(
    delivered_at: int | None, failed_at: int | None, is_delivered: int
) -> None:
    """The earliest done time counts, none is last, equal ones go by precedence, never arrival."""
    sums = joined(
        [
            assigned(),
            submitted(),
            receipt(done_at_ms=delivered_at),
            receipt("r2", state="UNDELIVERABLE", done_at_ms=failed_at),
        ]
    )
    found = counts(sums)
    assert found["conflicts"] == 1
    assert (found.get("delivered", 0), found.get("failed", 0)) == (is_delivered, 1 - is_delivered)


def test_intermediate_and_disputed_receipts_decide_nothing() -> None:
    """Only is_final True is final."""
    sums = joined(
        [
            assigned(),
            submitted(),
            receipt(state="ENROUTE", is_final=False),
            receipt("r2", state="ACCEPTED", is_final=None),
        ]
    )
    assert not {"delivered", "failed", "conflicts"} & counts(sums).keys()
    assert not sums.deliverability
    assert sums.health["", 1] == 2


def test_a_message_is_delivered_when_all_accepted_parts_are() -> None:
    """One delivered part of two is not a delivered message; one failed part fails it."""
    parts = [
        assigned(),
        submitted(parts=2),
        submitted("s2", part=2, parts=2, smsc_message_id="78"),
        receipt(),
    ]
    assert not {"delivered", "failed"} & counts(joined(parts)).keys()
    assert counts(joined([*parts, receipt("r2", smsc_message_id="78")]))["delivered"] == 1
    failed = counts(joined([*parts, receipt("r2", smsc_message_id="78", state="EXPIRED")]))
    assert failed["failed"] == 1
    assert "delivered" not in failed


def test_a_second_message_that_arrives_makes_the_recipient_delivered() -> None:
    """A recipient whose first message failed and whose second came is delivered, not failed."""
    sums = joined(
        [
            assigned(),
            submitted(),
            receipt(state="UNDELIVERABLE"),
            submitted("s2", message_id="m2", smsc_message_id="78"),
            receipt("r2", smsc_message_id="78"),
        ]
    )
    assert counts(sums)["delivered"] == 1
    assert "failed" not in counts(sums)


@pytest.mark.parametrize(
    ("outcomes", "counter"),
    [
        (("accepted", "rejected"), "accepted"),
        (("unknown", "rejected"), "rejected"),
        (("unknown", "expired"), "rejected"),
        (("expired",), "rejected"),
        (("unknown", "unknown"), "unknown"),
    ],
)
def test_the_best_known_result_of_a_part_counts(outcomes: tuple[str, ...], counter: str) -> None:
    """Accepted before rejected before expired before unknown, in exactly one counter."""
    results = [
        submitted(f"s{number}", outcome=outcome, smsc_message_id=None)
        for number, outcome in enumerate(outcomes)
    ]
    found = counts(joined([assigned(), *results]))
    assert {"accepted", "rejected", "unknown"} & found.keys() == {counter}
    assert found["submitted"] == 1


@pytest.mark.parametrize(
    ("billed_on", "segments"), [("submitted", 14), ("accepted", 3), ("delivered", 1)]
)
def test_what_is_billed(billed_on: str, segments: int) -> None:
    """The contract says which parts cost; expired ones never left."""
    costs = Costs(currency="EUR", price_per_segment_micro=10, billed_on=billed_on)  # type: ignore[arg-type]  # parametrised literal
    sums = joined(
        [
            assigned(),
            submitted(segments=1),
            receipt(),
            submitted("s2", part=2, segments=2, smsc_message_id="78"),
            submitted("s3", part=3, segments=4, outcome="rejected", smsc_message_id=None),
            submitted("s4", part=4, segments=7, outcome="unknown", smsc_message_id=None),
            submitted("s5", part=5, segments=50, outcome="expired", smsc_message_id=None),
        ],
        definition("c1", costs=costs),
    )
    assert (counts(sums)["segments"], counts(sums)["cost_micro"]) == (segments, 10 * segments)


@pytest.mark.parametrize(("after_ms", "is_counted"), [(-1, 0), (0, 1), (5_999, 1), (6_000, 0)])
def test_the_window_is_half_open(after_ms: int, is_counted: int) -> None:
    """A conversion counts from the assignment on and until just before the window's end."""
    for campaign_id in ("c1", None):
        sums = joined([assigned(), bought(at_ms=1_000 + after_ms, campaign_id=campaign_id)])
        assert counts(sums).get("converted", 0) == is_counted


def test_a_conversion_goes_to_the_latest_open_campaign() -> None:
    """Without a campaign_id the latest assignment owns it, the holdout too; else the named one."""
    two = [assigned(), assigned("a2", 2_000, campaign_id="c2", variant_id=HOLDOUT)]
    both = (definition("c1"), definition("c2"))
    latest = joined([*two, bought()], *both)
    named = joined([*two, bought(campaign_id="c1")], *both)
    assert (counts(latest).get("converted"), counts(latest, "c2").get("converted")) == (None, 1)
    assert (counts(named).get("converted"), counts(named, "c2").get("converted")) == (1, None)


@pytest.mark.parametrize(("click_ms", "is_attributed"), [(4_999, 1), (5_000, 1), (5_001, 0)])
def test_attributed_means_clicked_before(click_ms: int, is_attributed: int) -> None:
    """A human click up to the same millisecond attributes; a later one and a bot's do not."""
    human = joined([assigned(), clicked(at_ms=click_ms), bought()])
    robot = joined([assigned(), clicked(at_ms=click_ms, is_human=False), bought()])
    assert counts(human).get("attributed", 0) == is_attributed
    assert "attributed" not in counts(robot)
    assert (counts(robot).get("clicked"), counts(robot)["bot_clicked"]) == (None, 1)


def test_the_first_click_attributes() -> None:
    """A second click after the conversion takes nothing away."""
    sums = joined([assigned(), clicked(at_ms=4_000), clicked("c2", 6_000), bought()])
    assert counts(sums)["attributed"] == 1


def test_a_refund_counts_whenever_it_comes() -> None:
    """Long after the window the money goes back where it counted, and nowhere else."""
    refund = bought("v2", WEEK_MS, value_minor=400, refund_of="v1")
    found = counts(joined([assigned(), bought(), refund]))
    assert (found["revenue_minor"], found["refunded_minor"], found["sum_rr"]) == (900, 400, 250_000)
    assert found["converted"] == 1
    assert counts(joined([assigned(), refund])) == {"assigned": 1}
    assert counts(joined([assigned(), bought(at_ms=WEEK_MS), refund])) == {"assigned": 1}
    foreign = bought("v2", value_minor=400, refund_of="v1", currency="USD")
    assert "refunded_minor" not in counts(joined([assigned(), bought(), foreign]))


@pytest.mark.parametrize(
    ("later", "capped"),
    [
        ((), 900),
        ((bought("v2", value_minor=700),), 1_000),
        (
            (
                bought("v2", value_minor=700),
                bought("v3", WEEK_MS, value_minor=1_000, refund_of="v1"),
            ),
            600,
        ),
        ((bought("v3", WEEK_MS, value_minor=5_000, refund_of="v1"),), -1_000),
    ],
)
def test_a_cap_is_on_the_persons_money_not_on_one_order(
    later: tuple[SubjectEvent, ...], capped: int
) -> None:
    """A later order or refund changes what the person counts by the difference, in any order."""
    plan = Plan(cap_minor=1_000)
    found = counts(joined([assigned(covariate=2), bought(), *later], definition("c1", plan=plan)))
    assert (found["sum_k"], found["sum_kk"], found["sum_kv"]) == (capped, capped**2, 2 * capped)
    raw = found["revenue_minor"] - found.get("refunded_minor", 0)
    assert found["sum_rr"] == raw**2


def test_a_new_plan_with_another_cap_counts_again() -> None:
    """Finance keeps its totals; only what comparisons read changes."""
    engine, sums = JoinEngine(), Sums()
    engine.define(definition("c1", plan=Plan(cap_minor=500)))
    engine.apply([assigned(), bought()])
    sums.add(engine.take())
    assert (counts(sums)["sum_k"], counts(sums)["revenue_minor"]) == (500, 900)
    engine.define(definition("c1", plan=Plan(cap_minor=800), plan_version=2))
    sums.add(engine.take())
    assert (counts(sums)["sum_k"], counts(sums)["revenue_minor"]) == (800, 900)


@pytest.mark.parametrize(
    ("metric", "counted"),
    [("conversion_rate", 7), ("click_rate", 7), ("reply_rate", 0), ("profit_per_recipient", 0)],
)
def test_a_rate_is_kept_beside_the_covariate(metric: str, counted: int) -> None:
    """The covariate of those whom the plan's own rate counts, once a person."""
    goal = Goal(metric=metric, window_ms=6_000, minimum_effect=0.01)  # type: ignore[arg-type]
    events = [assigned(covariate=7), clicked(), clicked("c2"), bought()]
    assert counts(joined(events, definition("c1", goal=goal))).get("sum_yv", 0) == counted


def test_one_conversion_id_is_one_conversion() -> None:
    """The shop's retry with a new event_id counts once, as it was told first."""
    retry = bought("v9", 5_500, conversion_id="v1", value_minor=950)
    assert counts(joined([assigned(), bought(), retry]))["revenue_minor"] == 900


def test_foreign_currency_is_not_added() -> None:
    """Dollars are not added to euros."""
    assert counts(joined([assigned(), bought(currency="USD")])) == {"assigned": 1}


@pytest.mark.parametrize(("age_ms", "is_reply"), [(-1, 0), (0, 1), (WEEK_MS - 1, 1), (WEEK_MS, 0)])
def test_a_reply_belongs_to_the_week_after(age_ms: int, is_reply: int) -> None:
    """An MO counts for a week after the assignment."""
    found = counts(joined([assigned(), submitted(), inbound(at_ms=1_000 + age_ms)]))
    assert found.get("replied", 0) == is_reply


def test_a_reply_answers_the_latest_campaign_that_sent() -> None:
    """Neither a holdout nor an unsent assignment takes the reply of the message before."""
    sums = joined(
        [
            assigned(),
            submitted(),
            assigned("a2", 2_000, campaign_id="c2", variant_id=HOLDOUT),
            submitted("s2", 2_500, message_id="m2", campaign_id="c2", smsc_message_id="78"),
            assigned("a3", 3_000, campaign_id="c3"),
            inbound(),
        ],
        definition("c1"),
        definition("c2"),
        definition("c3"),
    )
    assert counts(sums)["replied"] == 1
    assert "opted_out" not in counts(sums)
    assert not {"replied"} & (counts(sums, "c2").keys() | counts(sums, "c3").keys())


def test_double_assignment_counts_once_and_keeps_the_first_arm() -> None:
    """A recipient in three arms is one fault; the earliest arm is measured."""
    sums = joined(
        [
            assigned("a3", 3_000, variant_id="c"),
            assigned("a1", 1_000, variant_id="b"),
            assigned("a2", 2_000, variant_id="a"),
        ]
    )
    assert {key[1] for key, number in sums.cohorts.items() if number} == {"b"}
    assert sums.health["c1", 0] == 1
    assert joined([assigned("a1"), assigned("a2", 2_000)]).health["c1", 0] == 0


def test_the_same_moment_is_settled_by_the_event_id() -> None:
    """Two arms in one millisecond: the smaller event_id counts, whichever arrives first."""
    sums = joined([assigned("a2", variant_id="a"), assigned("a1", variant_id="b")])
    assert {key[1] for key, number in sums.cohorts.items() if number} == {"b"}


def test_cohorts_and_dimensions() -> None:
    """The assignment's slice and attributes are the key; an absent attribute is "" ."""
    sums = joined(
        [
            assigned(at_ms=12_345, attributes={"city": "Oslo"}, eligibility="blocked"),
            assigned("a2", 999, subject="s2", variant_id=HOLDOUT),
        ],
        definition("c1", analyse_by=("city", "city")),
    )
    assert {key: number for key, number in sums.cohorts.items() if number} == {
        ("c1", "a", 12_000, 1_000, "", "", "assigned"): 1,
        ("c1", "a", 12_000, 1_000, "", "", "blocked"): 1,
        ("c1", "a", 12_000, 1_000, "city", "Oslo", "assigned"): 1,
        ("c1", "a", 12_000, 1_000, "city", "Oslo", "blocked"): 1,
        ("c1", HOLDOUT, 0, 1_000, "", "", "assigned"): 1,
        ("c1", HOLDOUT, 0, 1_000, "city", "", "assigned"): 1,
    }


def test_a_late_definition_counts_what_was_there() -> None:
    """Without a definition nobody counts; when it comes, everybody does, once."""
    engine = JoinEngine()
    engine.apply([assigned(), submitted(), receipt(), bought()])
    assert not engine.take().cohorts
    engine.define(definition("c1"))
    late = engine.take()
    [vector] = late.cohorts.values()
    found = dict(zip(VECTOR, vector, strict=True))
    assert (found["delivered"], found["revenue_minor"], found["cost_micro"]) == (1, 900, 50_000)
    assert not late.news
    engine.define(definition("c1"))
    assert not engine.take().cohorts


def test_a_resent_receipt_counts_at_its_first_arrival() -> None:
    """The operator's repeat under the same event_id moves no count, whichever is seen first."""
    hour = 3_600_000
    sums = joined([assigned(), submitted(), receipt(), receipt(at_ms=3_000 + hour)])
    assert {key: n for key, n in sums.deliverability.items() if n} == {
        ("op", 0, "DELIVERED", ""): 1
    }
    assert sums.health["", 1] == 1
    assert {key: n for key, n in sums.activity.items() if n} == {
        (0, "sms.recipient.assigned.v1"): 1,
        (0, "sms.message.submitted.v1"): 1,
        (0, "sms.message.receipt.v1"): 1,
    }


def test_facts_of_replies_that_were_stored_before_they_had_parts_are_read() -> None:
    """A worker of this version goes on with the state of the last one."""
    old = msgspec.msgpack.encode([("s", "i1", ["i", 5, True])])
    assert decode_news(old) == [("s", "i1", Inbound(5, is_opt_out=True))]


def test_facts_that_were_stored_before_there_were_groups_are_read() -> None:
    """A worker of this version goes on with the state of the last one, and matches what it held."""
    sent = ["s", 5, "m", 1, "accepted", "op", "77", 1, None]
    came = ["r", 9, "op", "77", [], "DELIVERED", True, "", None]
    facts = decode_facts(msgspec.msgpack.encode({"s1": sent, "r1": came}))
    submit = Submit(5, "m", 1, "accepted", "op", "77", 1, None)
    assert facts == {
        "s1": submit,
        "r1": Receipt(9, "op", "77", (), "DELIVERED", is_final=True, err="", done_at_ms=None),
    }
    news = decode_news(msgspec.msgpack.encode([("s", "s1", sent)]))
    assert news == [("s", "s1", submit)]
    engine = JoinEngine()
    engine.replay(news)
    engine.apply([receipt(connection="op2", connection_group="op")])
    assert not engine.take().unmatched
