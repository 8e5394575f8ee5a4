"""Known true effects lie inside the interval as often as promised, through join and evaluation."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from pipeline.evaluate import campaign_rows, evaluate
from pipeline.join.cohorts import VECTOR
from pipeline.join.engine import JoinEngine
from pipeline.rows import Cohort, Comparison, Counters, JoinHealth, Moments
from schemas.events import (
    HOLDOUT,
    ConversionRecorded,
    InboundReceived,
    MessageSubmitted,
    ReceiptReceived,
    RecipientAssigned,
    SubjectEvent,
)
from schemas.subject import SubjectKey, Tokenizer
from simulator.effects import Effects, Uniform, parse_effects
from simulator.reactions import Purchase, handling, organic, reactions
from tests.support.results import COST_MICRO, WINDOW_MS, definition

CAMPAIGNS: Final = 240
PEOPLE: Final = 400
EXAMPLE: Final = Path(__file__).parents[2] / "examples/double11/effects.yaml"
_ARMS: Final = ("A", "B", HOLDOUT)
_tokenizer: Final = Tokenizer(SubjectKey("k1", bytes(32)))


def lively() -> Effects:
    """The demo's effects with ten times the purchases: 400 people then have dozens."""
    text = EXAMPLE.read_text("utf-8")
    for quiet, loud in (
        ("organic_rate: 0.010", "organic_rate: 0.10"),
        ("click_rate: 0.080", "click_rate: 0.50"),
        ("click_rate: 0.120", "click_rate: 0.60"),
        ("conversion_rate: 0.120", "conversion_rate: 0.30"),
        ("conversion_rate: 0.180", "conversion_rate: 0.40"),
        ("opt_out_rate: 0.003", "opt_out_rate: 0.03"),
        ("opt_out_rate: 0.004", "opt_out_rate: 0.04"),
    ):
        assert quiet in text
        text = text.replace(quiet, loud)
    return parse_effects(text)


EFFECTS: Final = lively()


def true_profit(arm: str) -> float:
    """Expected profit per recipient in minor units, from the effects alone."""
    everyone, operator = EFFECTS.everyone, EFFECTS.operator
    amount = everyone.revenue_minor
    assert isinstance(amount, Uniform)
    worth = 0.3 * (amount.low + amount.high) / 2 * (1 - everyone.refund_rate)
    if arm == HOLDOUT:
        return everyone.organic_rate * worth
    variant = EFFECTS.variants[arm]
    accepted = 1 - operator.reject_rate
    reached = accepted * variant.delivery_rate
    bought = everyone.organic_rate + reached * variant.click_rate * variant.conversion_rate
    return bought * worth - reached * variant.opt_out_rate * 800 - accepted * COST_MICRO / 10_000


def story(campaign: int, number: int, arm: str) -> Iterator[SubjectEvent]:
    """What one person of one campaign does, as events."""
    msisdn = f"86138{campaign:04d}{number:04d}"
    who = {"subject": _tokenizer.token(msisdn), "occurred_at_ms": 1000}
    key = f"{campaign}-{number}"
    yield RecipientAssigned(event_id=f"a{key}", campaign_id="spring", variant_id=arm, **who)  # type: ignore[arg-type]
    yield from _bought(f"o{key}", organic(msisdn, EFFECTS, seed=campaign), who)
    if arm == HOLDOUT:
        return
    done = handling(msisdn, arm, EFFECTS, seed=campaign)
    yield MessageSubmitted(
        event_id=f"s{key}",
        message_id=key,
        connection="demo",
        source_addr="10690001",
        outcome="rejected" if done.is_rejected else "accepted",
        smsc_message_id=None if done.is_rejected else key,
        campaign_id="spring",
        variant_id=arm,
        **who,  # type: ignore[arg-type]
    )
    if done.is_rejected:
        return
    yield ReceiptReceived(
        event_id=f"r{key}",
        connection="demo",
        smsc_message_id=key,
        raw_state="x",
        state="DELIVERED" if done.is_delivered else "UNDELIVERABLE",
        is_final=True,
        **who,  # type: ignore[arg-type]
    )
    if done.is_delivered:
        does = reactions(msisdn, arm, EFFECTS, seed=campaign)
        yield from _bought(f"c{key}", does.bought_after_click, who)
        if does.opt_out_delay_s is not None:
            yield InboundReceived(
                event_id=f"i{key}",
                connection="demo",
                destination_addr="10690001",
                is_opt_out=True,
                **who,  # type: ignore[arg-type]
            )


def _bought(
    key: str, purchase: Purchase | None, who: dict[str, object]
) -> Iterator[ConversionRecorded]:
    if purchase is None:
        return
    sale = {"goal": "purchase", "value_minor": purchase.value_minor, "currency": "CNY", **who}
    yield ConversionRecorded(event_id=key, conversion_id=key, **sale)  # type: ignore[arg-type]
    if purchase.refund_delay_s is not None:
        again = f"{key}-refund"
        yield ConversionRecorded(
            event_id=again,
            conversion_id=again,
            refund_of=key,
            **sale,  # type: ignore[arg-type]
        )


def comparisons_of(campaign: int) -> list[Comparison]:
    """One campaign, through the join and the evaluation."""
    engine = JoinEngine()
    plan = definition(audience_size=PEOPLE)
    engine.define(plan)
    engine.apply(
        event
        for number in range(PEOPLE)
        for event in story(campaign, number, _ARMS[number % len(_ARMS)])
    )
    cohorts = [
        Cohort(
            campaign_id=key[0],
            variant_id=key[1],
            cohort_start_ms=key[2],
            cohort_width_ms=key[3],
            dimension=key[4],
            value=key[5],
            counters=Counters(**{name: known[name] for name in Counters.__struct_fields__}),
            moments=Moments(**{name: known[name] for name in Moments.__struct_fields__}),
        )
        for key, vector in engine.take().cohorts.items()
        for known in (dict(zip(VECTOR, vector, strict=True)),)
    ]
    rows, variants = campaign_rows(plan)
    health = JoinHealth(campaign_id="spring")
    return list(evaluate(rows, variants, cohorts, health, 100 * WINDOW_MS).comparisons)


def test_true_effects_lie_inside_their_intervals_at_the_nominal_rate() -> None:
    """240 campaigns: 95 % give or take 3 Monte Carlo errors (1.4 points), against A and holdout.

    Intervals of four fifths of the width are caught by the same rule.
    """
    narrow = dict.fromkeys([("A", "B"), (HOLDOUT, "A"), (HOLDOUT, "B")], 0)
    inside = dict.fromkeys([("A", "B"), (HOLDOUT, "A"), (HOLDOUT, "B")], 0)
    for campaign in range(CAMPAIGNS):
        for found in comparisons_of(campaign):
            if found.metric == "profit_per_recipient" and found.maturity == "mature":
                truth = true_profit(found.treatment) - true_profit(found.control)
                pair = found.control, found.treatment
                inside[pair] += found.ci_lower <= truth <= found.ci_upper
                reach = 0.8 * (found.ci_upper - found.ci_lower) / 2
                narrow[pair] += abs(truth - found.effect_size) <= reach
    error = math.sqrt(0.95 * 0.05 / CAMPAIGNS)
    for pair, hits in inside.items():
        assert abs(hits / CAMPAIGNS - 0.95) <= 3 * error, (pair, hits)
    total, runs = sum(narrow.values()), len(narrow) * CAMPAIGNS
    assert total / runs < 0.95 - 3 * math.sqrt(0.95 * 0.05 / runs)
