"""From cohorts to a verdict."""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.arms import add_up
from pipeline.evaluate import Evaluation, campaign_rows, evaluate
from pipeline.rows import CHECKS, Cohort, Gap, JoinHealth
from schemas.events import HOLDOUT
from tests.support.results import REVENUE_MINOR, WINDOW_MS, cohort, definition
from tests.support.snapshots import gap

LATE_MS = 10 * WINDOW_MS
HEALTHY = JoinHealth(campaign_id="spring", receipts=1000)


def judged(
    cohorts: Sequence[Cohort],
    *,
    watermark_ms: int = LATE_MS,
    health: JoinHealth = HEALTHY,
    gaps: Sequence[Gap] = (),
    **changes: object,
) -> Evaluation:
    """Evaluate made cohorts."""
    campaign, variants = campaign_rows(definition(**changes))  # type: ignore[arg-type]
    return evaluate(campaign, variants, cohorts, health, watermark_ms, gaps=gaps)


def arms(a: int = 100, b: int = 100, **b_fields: int) -> list[Cohort]:
    """10,000 people an arm; `a` and `b` convert."""
    return [
        cohort("A", 10_000, converted=a, opted_out=30),
        cohort("B", 10_000, converted=b, **{"opted_out": 30, **b_fields}),
        cohort(HOLDOUT, 2222, converted=10),
    ]


@pytest.mark.parametrize(
    ("cohorts", "changes", "verdict", "variant_id", "reason"),
    [
        (arms(100, 300), {}, "ship", "B", "treatment_earns_more"),
        (arms(300, 100), {}, "ship", "A", "control_earns_more"),
        (arms(100, 104), {}, "your_call", None, "interval_includes_zero"),
        (
            arms(100, 101),
            {"minimum_effect": 100.0},
            "no_meaningful_difference",
            None,
            "inside_minimum_effect",
        ),
        (arms(100, 300, opted_out=300), {}, "stop", "B", "opt_outs_in_limit"),
        (arms(100, 300), {"audience_size": 30_000}, "collecting", None, "list_too_small"),
        (
            arms(100, 300),
            {"audience_size": 30_000, "minimum_effect": 30.0},
            "collecting",
            None,
            "outcomes_not_mature",
        ),
        ([], {}, "collecting", None, "nobody_assigned"),
        (
            [cohort("A", 9000), cohort("B", 11_000), cohort(HOLDOUT, 2222)],
            {},
            "do_not_trust",
            None,
            "split_as_planned",
        ),
    ],
)
def test_every_kind_of_verdict_has_its_reason(
    cohorts: list[Cohort],
    changes: dict[str, object],
    verdict: str,
    variant_id: str | None,
    reason: str,
) -> None:
    """Ship, stop, no difference, your call, do not trust, collecting."""
    found = judged(cohorts, **changes).verdict
    assert (found.verdict, found.variant_id, found.reason) == (verdict, variant_id, reason)


def test_no_winner_is_named_before_everybody_has_had_the_window() -> None:
    """However clear the live numbers look, one immature cohort keeps the verdict open."""
    late = cohort("A", 10, start_ms=LATE_MS - WINDOW_MS)
    found = judged([*arms(100, 300), late])
    assert found.verdict.verdict == "collecting"
    assert found.verdict.evidence["mature"] == 22_222
    live = [c for c in found.comparisons if c.decides and c.maturity == "live"]
    assert live[0].pvalue < 0.001
    after = judged([*arms(100, 300), late], watermark_ms=LATE_MS + 1000)
    assert after.verdict.verdict == "ship"


@pytest.mark.parametrize(
    ("health", "check", "status"),
    [
        (
            JoinHealth(campaign_id="spring", receipts=100, unmatched_receipts=1),
            "receipts_matched",
            "ok",
        ),
        (
            JoinHealth(campaign_id="spring", receipts=100, unmatched_receipts=5),
            "receipts_matched",
            "warn",
        ),
        (
            JoinHealth(campaign_id="spring", receipts=100, unmatched_receipts=20),
            "receipts_matched",
            "bad",
        ),
        (JoinHealth(campaign_id="spring"), "receipts_matched", "pending"),
        (JoinHealth(campaign_id="spring", double_assigned=3), "nobody_in_two_arms", "warn"),
        (JoinHealth(campaign_id="spring", double_assigned=300), "nobody_in_two_arms", "bad"),
    ],
)
def test_data_faults_turn_their_light(health: JoinHealth, check: str, status: str) -> None:
    """Each fault has its own light, and all lights are always there."""
    checks = {row.check: row.status for row in judged(arms(), health=health).health_checks}
    assert tuple(checks) == CHECKS
    assert checks[check] == status


@pytest.mark.parametrize(
    ("gaps", "status"),
    [
        ((), "ok"),
        ((gap(1),), "warn"),
        ((gap(2_000),), "warn"),
        ((gap(1_900), gap(400)), "bad"),
        ((gap(20, "sms.inbound.received.v1"),), "warn"),
        ((gap(30, "sms.inbound.received.v1"),), "bad"),
        ((gap(22, "sms.inbound.received.v1"), gap(2_300)), "bad"),
        ((gap(9_000, "sms.connection.state.v1"),), "ok"),
    ],
)
def test_lost_records_turn_their_light(gaps: Sequence[Gap], status: str) -> None:
    """From the first one on; a tenth of a kind is a fault, unless a thousandth of the people."""
    found = judged(arms(100, 300), gaps=gaps)
    checks = {row.check: row.status for row in found.health_checks}
    assert checks["nothing_lost"] == status
    blocked = found.verdict.verdict, found.verdict.reason
    assert (blocked == ("do_not_trust", "nothing_lost")) == (status == "bad")


def test_unequal_delivery_is_pointed_out() -> None:
    """A route that drops one text's messages would decide instead of the text."""
    cohorts = [*arms()[:1], cohort("B", 10_000, converted=100, delivery_rate=0.9), arms()[2]]
    checks = {row.check: row.status for row in judged(cohorts).health_checks}
    assert checks["delivery_equal"] == "warn"


def test_money_follows_from_the_file() -> None:
    """Profit = 30 % margin of revenue − 4.5 a message − 800 an opt-out, per recipient."""
    found = judged(arms(100, 300))
    (row,) = [r for r in found.variant_results if r.variant_id == "B" and r.maturity == "mature"]
    profit = 0.3 * 300 * REVENUE_MINOR / 10_000 - 4.5 - 800 * 30 / 10_000
    assert row.profit_per_recipient_minor == pytest.approx(profit)
    assert row.cost_minor == 45_000
    assert row.cost_per_1000_minor == 4500
    base = 0.3 * 10 * REVENUE_MINOR / 2222
    assert row.roi_incremental == pytest.approx((profit + 4.5 - base) / 4.5)
    assert row.roi_incremental_lower < row.roi_incremental < row.roi_incremental_upper
    assert row.roi_gross == pytest.approx(0.3 * 300 * REVENUE_MINOR / 45_000)


@pytest.mark.parametrize(
    ("currency", "cost_minor"), [("CNY", 4500.0), ("JPY", 45.0), ("KWD", 45000.0)]
)
def test_the_currency_decides_what_a_minor_unit_is(currency: str, cost_minor: float) -> None:
    """1,000 messages at 45,000 micro are 45 of the major unit: 45 yen, 45.00 yuan, 45.000 dinar."""
    assert float(add_up("A", [cohort("A", 1000)], currency).cost_minor) == cost_minor


def test_the_holdout_has_results_but_no_return() -> None:
    """Nobody paid for the holdout."""
    rows = {r.variant_id: r for r in judged(arms()).variant_results if r.maturity == "mature"}
    assert rows[HOLDOUT].conversion_rate == pytest.approx(10 / 2222)
    assert math.isnan(rows[HOLDOUT].roi_incremental)


@given(st.lists(st.integers(0, 200), min_size=2, max_size=6), st.randoms())
def test_any_split_into_cohorts_gives_the_same_results(cuts: list[int], mixer: object) -> None:
    """Adding up is exact: order and number of cohorts do not matter."""
    pieces = [
        cohort("A", 200, converted=count, opted_out=count // 7, clicked=count) for count in cuts
    ]
    shuffled = list(pieces)
    mixer.shuffle(shuffled)  # type: ignore[attr-defined]
    assert add_up("A", shuffled, "CNY") == add_up("A", pieces, "CNY")
    whole = add_up("A", pieces, "CNY")
    assert whole.counters.converted == sum(cuts)


def test_several_treatments_share_the_error_rate() -> None:
    """With three treatments each deciding interval has level 1 − 0.05 / 3."""
    three = definition()
    variants = tuple(
        msgspec.structs.replace(three.variants[0], variant_id=name, share=0.25)
        for name in ("A", "B", "C", "D")
    )
    campaign, rows = campaign_rows(msgspec.structs.replace(three, variants=variants))
    cohorts = [cohort(name, 2500, converted=25) for name in ("A", "B", "C", "D")]
    found = evaluate(campaign, rows, [*cohorts, cohort(HOLDOUT, 1111)], HEALTHY, LATE_MS)
    (level,) = {c.confidence_level for c in found.comparisons if c.decides}
    assert level == pytest.approx(1 - 0.05 / 3)


def test_equal_texts_win_no_more_often_than_alpha() -> None:
    """Of 600 campaigns with equal texts at most about 5 % name a winner."""
    draw = np.random.default_rng(7)
    campaign, variants = campaign_rows(definition())
    winners = 0
    for a, b, h in draw.binomial([5000, 5000, 1111], [0.02, 0.02, 0.01], (600, 3)):
        cohorts = [
            cohort("A", 5000, converted=int(a)),
            cohort("B", 5000, converted=int(b)),
            cohort(HOLDOUT, 1111, converted=int(h)),
        ]
        verdict = evaluate(campaign, variants, cohorts, HEALTHY, LATE_MS).verdict
        winners += verdict.verdict == "ship"
    assert winners / 600 <= 0.05 + 4 * math.sqrt(0.05 * 0.95 / 600)
    assert winners > 0
