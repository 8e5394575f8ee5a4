"""Plans that may be read at any time: what is promised, and that it is kept."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from pipeline.evaluate import campaign_rows, evaluate
from pipeline.rows import Cohort, Comparison, Counters, JoinHealth, Verdict
from pipeline.stats import watch_sample_ratio
from schemas.events import HOLDOUT, CampaignDefined, Plan
from tests.support.results import REVENUE_MINOR, WINDOW_MS, cohort, definition

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


def planned(
    method: str, family: str, metric: str, covariate: str | None, splits: tuple[float, ...]
) -> CampaignDefined:
    """A plan of two to four texts with a holdout."""
    made = definition(metric=metric, minimum_effect=0.01, audience_size=100_000)
    weights = [1.0, *splits]
    variants = tuple(
        msgspec.structs.replace(made.variants[0], variant_id=name, share=weight / sum(weights))
        for name, weight in zip("ABCD", weights, strict=False)
    )
    plan = Plan(method=method, family=family, covariate=covariate, expected_n=100_000)  # type: ignore[arg-type]
    return msgspec.structs.replace(made, variants=variants, plan=plan)


def grown(plan: CampaignDefined, size: int, shares: list[tuple[float, ...]]) -> list[Cohort]:
    """Arms near their planned size; per arm (deviation, bought, opted out, covariate)."""
    arms = {v.variant_id: v.share * (1 - plan.holdout) for v in plan.variants}
    made = []
    for (arm, share), (skew, bought, left, past) in zip(
        (arms | {HOLDOUT: plan.holdout}).items(), shares, strict=False
    ):
        n = round(size * share * (skew if arm != HOLDOUT else 1))
        hits, known = round(n * bought), round(n * past)
        row = cohort(arm, n, converted=hits, opted_out=round(n * left) * (arm != HOLDOUT))
        sums = msgspec.structs.replace(row.moments, sum_v=100 * known, sum_vv=10_000 * known)
        made.append(msgspec.structs.replace(row, moments=sums))
    return made


FAMILIES = st.sampled_from(
    [
        ("fixed", "holm"),
        ("fixed", "bonferroni"),
        ("fixed", "bh"),
        ("fixed", "dunnett"),
        ("sequential", "holm"),
        ("sequential", "bonferroni"),
        ("bandit", "holm"),
    ]
)


def mostly(good: object, *bad: object) -> st.SearchStrategy[Any]:
    """Good three times in four, so that whole campaigns are good often enough to ship."""
    return st.sampled_from([good] * 3 * len(bad) + list(bad))


ARM = st.tuples(
    mostly(1.0, 0.97, 0.8),
    st.sampled_from([0.0005, 0.02, 0.021, 0.03, 0.06]),
    mostly(0.002, 0.0, 0.02, 0.2),
    mostly(0.3, 0.0, 0.31, 0.5),
)


@settings(max_examples=400, deadline=None)
@given(
    size=mostly(101_000, 60, 5000, 40_000, 97_000),
    shares=st.lists(ARM, min_size=5, max_size=5),
    family=FAMILIES,
    metric=st.sampled_from(["profit_per_recipient", "revenue_per_recipient", "conversion_rate"]),
    covariate=st.sampled_from([None, "past"]),
    splits=st.lists(mostly(1.0, 0.1, 0.001), min_size=1, max_size=3).map(tuple),
    watermark_ms=mostly(LATE_MS, 0),
)
def test_nothing_is_shipped_against_a_gate(
    size: int,
    shares: list[tuple[float, ...]],
    family: tuple[str, str],
    metric: str,
    covariate: str | None,
    splits: tuple[float, ...],
    watermark_ms: int,
) -> None:
    """Whatever the plan: never with people missing, a split or past that is off, or harm.

    The gates are counted here anew, by hand, not read off the lights.
    """
    plan = planned(*family, metric, covariate, splits)
    campaign, variants = campaign_rows(plan)
    rows = grown(plan, size, shares)
    found = evaluate(campaign, variants, rows, HEALTHY, watermark_ms)
    if found.verdict.verdict != "ship":
        return
    counts = {row.variant_id: row.counters for row in rows}
    assert watermark_ms == LATE_MS
    assert family[0] != "fixed" or sum(c.assigned for c in counts.values()) >= 100_000
    assert _split_pvalue(plan, counts) > 1e-9
    winner, control = counts[str(found.verdict.variant_id)], counts["A"]
    rivals = [c for name, c in counts.items() if name not in {"A", HOLDOUT}]
    if winner is not control:
        rivals = [winner]
        rise = winner.opted_out / winner.assigned - control.opted_out / control.assigned
        assert rise < 0.01
        assert covariate or _worth(winner, metric) > _worth(control, metric)
    for rival in rivals:
        converted, people = rival.converted + control.converted, rival.assigned + control.assigned
        expected = converted * min(rival.assigned, control.assigned) / people
        assert expected >= 25 or (metric == "conversion_rate" and not covariate)
    if covariate:
        for rival in rivals:
            assert _past_distance(rows, rival.assigned, control.assigned) < 9


def _worth(arm: Counters, metric: str) -> float:
    """Per recipient; the messages cost the same in all arms."""
    left = 800 * arm.opted_out if metric == "profit_per_recipient" else 0
    return (0.3 * REVENUE_MINOR * arm.converted - left) / arm.assigned


def _split_pvalue(plan: CampaignDefined, counts: dict[str, Counters]) -> float:
    """Pearson's chi-square without the arms that are too small for it."""
    shares = {v.variant_id: v.share * (1 - plan.holdout) for v in plan.variants}
    total = sum(c.assigned for c in counts.values())
    large = {arm: share for arm, share in shares.items() if total * share >= 5}
    seen = [counts[arm].assigned for arm in large]
    wanted = [share / sum(large.values()) * sum(seen) for share in large.values()]
    return float(stats.chisquare(seen, wanted).pvalue) if len(large) > 1 else 1.0


def _past_distance(rows: list[Cohort], rival: int, control: int) -> float:
    """Standard errors between the covariate's means of two arms, by their sizes."""
    first, second = (
        next(row for row in rows if row.counters.assigned == size and row.variant_id != HOLDOUT)
        for size in (control, rival)
    )
    means = [row.moments.sum_v / row.counters.assigned for row in (first, second)]
    squares = [row.moments.sum_vv / row.counters.assigned for row in (first, second)]
    errors = [
        (square - mean * mean) / row.counters.assigned
        for square, mean, row in zip(squares, means, (first, second), strict=True)
    ]
    gap = abs(means[1] - means[0])
    return gap / math.sqrt(sum(errors)) if sum(errors) > 0 else 0.0


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


@settings(deadline=None)
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


def share_of_winners(
    method: str, *, uplift: float, seed: int, audience_size: int | None = AUDIENCE
) -> float:
    """How often any look ships something, over whole campaigns evaluated by the product."""
    rng = np.random.default_rng(seed)
    plan = definition(method=method, audience_size=audience_size, expected_n=AUDIENCE)
    campaign, variants = campaign_rows(msgspec.structs.replace(plan, guardrails={}))
    shipped = 0
    for _ in range(RUNS):
        for cohorts in looks(rng, 0.03, uplift):
            found = evaluate(campaign, variants, cohorts, HEALTHY, LATE_MS).verdict
            if found.verdict == "ship":
                shipped += 1
                break
    return shipped / RUNS


def test_a_plan_without_an_end_is_read_as_if_at_any_time() -> None:
    """Nobody knows that nobody more comes, so every look might be the one.

    With what holds at one look 27 % of these campaigns name a false winner.
    """
    share = share_of_winners("fixed", uplift=0.0, seed=1, audience_size=None)
    assert share <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / RUNS)
    campaign, variants = campaign_rows(definition(audience_size=None))
    found = evaluate(campaign, variants, arms(9000, 200, 400), HEALTHY, LATE_MS)
    assert found.verdict.verdict == "ship"
    assert {c.method for c in found.comparisons if c.decides} == {"confidence_sequence"}


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
    # an audience of one: every look counts as the end
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
