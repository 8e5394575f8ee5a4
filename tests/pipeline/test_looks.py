"""Plans that may be read at any time: what is promised, and that it is kept."""

from __future__ import annotations

import math
from collections.abc import Iterator

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.evaluate import campaign_rows, evaluate
from pipeline.rows import Cohort, Comparison, JoinHealth, Verdict
from pipeline.stats import watch_sample_ratio
from schemas.events import HOLDOUT, Plan
from tests.support.results import WINDOW_MS, cohort, definition

LATE_MS = 100 * WINDOW_MS
HEALTHY = JoinHealth(campaign_id="spring", receipts=1000)


def judged(cohorts: list[Cohort], watermark_ms: int = LATE_MS, **changes: object) -> Verdict:
    """The verdict on made cohorts."""
    campaign, variants = campaign_rows(definition(**changes))  # type: ignore[arg-type]
    return evaluate(campaign, variants, cohorts, HEALTHY, watermark_ms).verdict


def deciding(cohorts: list[Cohort], **changes: object) -> Comparison:
    """The deciding comparison on mature people."""
    campaign, variants = campaign_rows(definition(**changes))  # type: ignore[arg-type]
    found = evaluate(campaign, variants, cohorts, HEALTHY, LATE_MS).comparisons
    return next(c for c in found if c.decides and c.maturity == "mature")


def arms(size: int, a: int, b: int, opted_out: int = 0) -> list[Cohort]:
    """Two arms of `size` and the holdout of a tenth of all."""
    return [
        cohort("A", size, converted=a),
        cohort("B", size, converted=b, opted_out=opted_out),
        cohort(HOLDOUT, size * 2 // 9, converted=a // 9),
    ]


SEQUENTIAL = {"method": "sequential", "audience_size": 100_000, "expected_n": 100_000}


def test_a_clear_winner_is_named_before_the_end() -> None:
    """A sequential plan may stop; the same numbers under a fixed plan may not."""
    cohorts = arms(9000, 200, 400)
    early = judged(cohorts, **SEQUENTIAL)
    assert (early.verdict, early.variant_id) == ("ship", "B")
    assert early.evidence["stopped_early"] == 1
    fixed = judged(cohorts, audience_size=100_000)
    assert fixed.verdict == "collecting"


def test_the_price_of_looking_is_a_wider_interval() -> None:
    """At the planned size the sequence is 1.55 times as wide as the interval for one look."""
    cohorts = arms(45_000, 900, 950)
    one, any_time = deciding(cohorts), deciding(cohorts, **SEQUENTIAL)
    assert (one.method, any_time.method) == ("welch", "confidence_sequence")
    ratio = (any_time.ci_upper - any_time.ci_lower) / (one.ci_upper - one.ci_lower)
    assert math.isclose(ratio, 1.55, abs_tol=0.02)
    assert any_time.relative_lift_upper > one.relative_lift_upper


@pytest.mark.parametrize(
    ("cohorts", "verdict"),
    [
        (arms(4000, 150, 400), "collecting"),  # 8,888 of 100,000: before the minimum run
        (arms(9000, 20, 200), "collecting"),  # too few conversions of A
        (arms(9000, 200, 400, opted_out=400), "stop"),  # harm counts at once
        (arms(900, 20, 20, opted_out=200), "stop"),
        (
            [cohort("A", 12_000, converted=200), *arms(9000, 200, 400)[1:]],
            "do_not_trust",
        ),
    ],
)
def test_faults_and_harm_count_at_once_winners_only_later(
    cohorts: list[Cohort], verdict: str
) -> None:
    """Before the minimum run only what protects people and money may speak."""
    assert judged(cohorts, **SEQUENTIAL).verdict == verdict


@given(
    size=st.integers(1, 40_000),
    shares=st.tuples(*[st.floats(0, 1)] * 3),
    method=st.sampled_from(["fixed", "sequential", "bandit"]),
    watermark_ms=st.integers(0, LATE_MS),
    skew=st.floats(0.5, 1.5),
)
def test_nothing_is_shipped_against_a_gate(
    size: int, shares: tuple[float, ...], method: str, watermark_ms: int, skew: float
) -> None:
    """Never with the split off, people missing (fixed plan), or opt-outs beyond the limit."""
    converted, better, opted_out = (round(size * share) for share in shares)
    cohorts = arms(size, converted, better, opted_out)
    cohorts[0] = cohort("A", round(size * skew), converted=min(converted, round(size * skew)))
    campaign, variants = campaign_rows(definition(**{**SEQUENTIAL, "method": method}))  # type: ignore[arg-type]
    found = evaluate(campaign, variants, cohorts, HEALTHY, watermark_ms)
    if found.verdict.verdict != "ship":
        return
    lights = {check.check: check for check in found.health_checks}
    assert method != "fixed" or lights["outcomes_mature"].status == "ok"
    assert lights["split_as_planned"].status != "bad"
    assert lights["opt_outs_in_limit"].status != "bad"
    if found.verdict.variant_id == "B":
        assert lights["opt_outs_in_limit"].status == "ok"


def test_the_list_that_cannot_answer_is_told() -> None:
    """With the smallest effect it can show, which a larger list makes smaller."""
    small = judged(arms(900, 100, 100), watermark_ms=0, audience_size=3000)
    assert (small.verdict, small.reason) == ("collecting", "list_too_small")
    large = judged(arms(900, 100, 100), watermark_ms=0, audience_size=300_000)
    assert large.evidence["detectable_effect"] < small.evidence["detectable_effect"] / 9
    enough = judged(arms(900, 100, 100), watermark_ms=0, audience_size=300_000, minimum_effect=20.0)
    assert enough.reason == "outcomes_not_mature"


@pytest.mark.parametrize("size", [10, 9000])
def test_shares_of_a_few_receipts_are_no_fault_yet(size: int) -> None:
    """Topics are read one after the other: before the minimum run nobody is alarmed by that."""
    campaign, variants = campaign_rows(definition(**SEQUENTIAL))  # type: ignore[arg-type]
    lost = JoinHealth(campaign_id="spring", receipts=3, unmatched_receipts=1)
    found = evaluate(campaign, variants, arms(size, size // 50, size // 25), lost, LATE_MS).verdict
    assert found.verdict == ("collecting" if size == 10 else "do_not_trust")


def test_a_fixed_plan_shows_no_fixed_interval_before_its_end() -> None:
    """Whoever looks meanwhile sees ranges that may be looked at."""
    cohorts = arms(9000, 200, 300)
    meanwhile, at_the_end = deciding(cohorts, audience_size=100_000), deciding(cohorts)
    assert (meanwhile.method, at_the_end.method) == ("confidence_sequence", "welch")
    assert meanwhile.ci_lower < at_the_end.ci_lower


ANY_FLOAT = st.floats(allow_nan=False)
ANY_SIZE = st.one_of(st.none(), st.integers(-5, 10**6))


@given(
    alpha=ANY_FLOAT,
    power=ANY_FLOAT,
    margin=ANY_FLOAT,
    opt_out_margin=ANY_FLOAT,
    minimum_effect=ANY_FLOAT,
    sizes=st.tuples(ANY_SIZE, ANY_SIZE),
    method=st.sampled_from(["fixed", "sequential", "bandit"]),
    metric=st.sampled_from(["profit_per_recipient", "conversion_rate", "reply_rate"]),
    people=st.integers(0, 3000),
)
def test_no_definition_can_stop_the_worker(
    alpha: float,
    power: float,
    margin: float,
    opt_out_margin: float,
    minimum_effect: float,
    sizes: tuple[int | None, int | None],
    method: str,
    metric: str,
    people: int,
) -> None:
    """Anybody may write a definition; one that cannot be evaluated gets a verdict, no exception."""
    plan = definition(metric=metric, minimum_effect=minimum_effect, audience_size=sizes[0])
    plan = msgspec.structs.replace(
        plan,
        plan=Plan(method=method, alpha=alpha, power=power, expected_n=sizes[1]),  # type: ignore[arg-type]
        costs=msgspec.structs.replace(plan.costs, margin=margin),
        guardrails={"opt_out_rate": opt_out_margin},
    )
    campaign, variants = campaign_rows(plan)
    cohorts = arms(people, people // 20, people // 10, people // 50)
    evaluate(campaign, variants, cohorts, HEALTHY, LATE_MS)
    evaluate(campaign, variants, cohorts, HEALTHY, 0)


def test_the_best_variant_is_told_with_its_chance() -> None:
    """Chances of all variants add up to 1; the holdout has none; a likely winner loses little."""
    campaign, variants = campaign_rows(definition())
    found = evaluate(campaign, variants, arms(9000, 200, 260), HEALTHY, LATE_MS)
    rows = {r.variant_id: r for r in found.variant_results if r.maturity == "mature"}
    assert math.isclose(rows["A"].p_best + rows["B"].p_best, 1, abs_tol=1e-9)
    assert rows["B"].p_best > 0.95
    assert rows["B"].expected_loss < rows["A"].expected_loss
    assert math.isnan(rows[HOLDOUT].p_best)


LOOKS, RUNS, AUDIENCE = 20, 300, 40_000


def looks(rng: np.random.Generator, rate: float, uplift: float) -> Iterator[list[Cohort]]:
    """Cohorts of a campaign, look by look; the first ones stay."""
    size = AUDIENCE // LOOKS
    cohorts: list[Cohort] = []
    for number in range(LOOKS):
        held, a = rng.multinomial(size, (0.1, 0.45, 0.45))[:2]
        for arm, people, chance in (
            ("A", a, rate),
            ("B", size - held - a, rate + uplift),
            (HOLDOUT, held, rate),
        ):
            bought = int(rng.binomial(people, chance))
            cohorts.append(cohort(arm, int(people), converted=bought, start_ms=number * 1000))
        yield cohorts


def share_of_winners(method: str, *, uplift: float, seed: int) -> float:
    """How often any look ships something, over whole campaigns evaluated by the product."""
    rng = np.random.default_rng(seed)
    plan = definition(method=method, audience_size=AUDIENCE, expected_n=AUDIENCE)
    campaign, variants = campaign_rows(msgspec.structs.replace(plan, guardrails={}))
    shipped = 0
    for _ in range(RUNS):
        for cohorts in looks(rng, 0.03, uplift):
            found = evaluate(campaign, variants, cohorts, HEALTHY, LATE_MS).verdict
            if found.verdict == "ship":
                shipped += 1
                break
    return shipped / RUNS


def test_equal_texts_win_rarely_although_one_looks_twenty_times() -> None:
    """At most alpha plus 3 Monte Carlo errors (300 campaigns: 0.05 + 0.038)."""
    assert share_of_winners("sequential", uplift=0.0, seed=1) <= 0.05 + 3 * math.sqrt(
        0.05 * 0.95 / RUNS
    )


def test_a_better_text_wins_in_most_campaigns() -> None:
    """The promise is not kept by never deciding."""
    assert share_of_winners("sequential", uplift=0.01, seed=2) > 0.9


def test_the_naive_way_would_be_wrong() -> None:
    """The harness can fail: the fixed intervals, read at every look, make false winners."""
    rng = np.random.default_rng(3)
    # without an audience size every look counts as the end
    campaign, variants = campaign_rows(msgspec.structs.replace(definition(), guardrails={}))
    wrong = 0
    for _ in range(RUNS):
        for cohorts in looks(rng, 0.03, 0.0):
            found = evaluate(campaign, variants, cohorts, HEALTHY, LATE_MS).comparisons
            chosen = next(c for c in found if c.decides and c.maturity == "mature")
            if chosen.ci_lower > 0 or chosen.ci_upper < 0:
                wrong += 1
                break
    assert wrong / RUNS > 0.15


def test_the_split_is_watched_at_every_look() -> None:
    """The light of a sequential plan shows the p-value that holds at all looks."""
    campaign, variants = campaign_rows(definition(method="sequential"))
    found = evaluate(campaign, variants, arms(9000, 200, 200), HEALTHY, LATE_MS)
    light = next(c for c in found.health_checks if c.check == "split_as_planned")
    shares = {"A": 0.45, "B": 0.45, HOLDOUT: 0.1}
    expected = watch_sample_ratio({"A": 9000, "B": 9000, HOLDOUT: 2000}, shares).pvalue
    assert light.evidence["pvalue"] == expected
