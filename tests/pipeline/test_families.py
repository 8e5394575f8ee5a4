"""Several treatments share the error as the plan says; cap and covariate reach the comparison."""

from __future__ import annotations

import math
from fractions import Fraction

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.evaluate import Evaluation, campaign_rows, evaluate
from pipeline.rows import Campaign, Cohort, Comparison, JoinHealth, Moments
from pipeline.stats import (
    MeanSummary,
    PairSummary,
    adjust_pvalues,
    compare_adjusted_means,
    compare_with_control,
)
from pipeline.verdict import gain
from schemas.events import DIRECTIONS, HOLDOUT, CampaignDefined, Plan, VariantDefinition
from tests.support.results import COST_MICRO, REVENUE_MINOR, WINDOW_MS, cohort, definition

LATE_MS = 100 * WINDOW_MS
HEALTHY = JoinHealth(campaign_id="spring", receipts=1000)
NAMES = ("A", "B", "C", "D")


def planned(*, metric: str = "profit_per_recipient", **plan: object) -> CampaignDefined:
    """Four equal arms, no holdout, no guardrail."""
    variants = tuple(VariantDefinition(variant_id=name, share=0.25, template="x") for name in NAMES)
    made = definition(metric=metric, minimum_effect=0.0, opt_out_margin=None)
    return msgspec.structs.replace(
        made,
        variants=variants,
        holdout=0.0,
        plan=Plan(**plan),  # type: ignore[arg-type]
    )


def found(plan: CampaignDefined, cohorts: list[Cohort], at_ms: int = LATE_MS) -> Evaluation:
    """Evaluate made cohorts."""
    campaign, variants = campaign_rows(plan)
    return evaluate(campaign, variants, cohorts, HEALTHY, at_ms)


def four(*converted: int, size: int = 5000) -> list[Cohort]:
    """Four arms with these conversions."""
    return [
        cohort(name, size, converted=count) for name, count in zip(NAMES, converted, strict=True)
    ]


def deciding(result: Evaluation) -> list[Comparison]:
    """What decides, of mature people."""
    return [c for c in result.comparisons if c.decides and c.maturity == "mature"]


COUNTS = st.tuples(*[st.integers(0, 300)] * 4)


@settings(deadline=None)
@given(
    COUNTS,
    st.sampled_from(
        [
            ("fixed", "holm"),
            ("fixed", "bonferroni"),
            ("fixed", "bh"),
            ("sequential", "holm"),
            ("sequential", "bonferroni"),
        ]
    ),
    st.sampled_from(["profit_per_recipient", "conversion_rate"]),
)
def test_the_family_of_the_plan_adjusts_what_decides_and_nothing_else(
    converted: tuple[int, ...], plan: tuple[str, str], metric: str
) -> None:
    """Adjusted over the treatments; undefined ones count as 1; what is shown beside has none."""
    result = found(planned(metric=metric, method=plan[0], family=plan[1]), four(*converted))
    rows = deciding(result)
    raw = [1.0 if math.isnan(row.pvalue) else row.pvalue for row in rows]
    wanted = adjust_pvalues(raw, method=plan[1])  # type: ignore[arg-type]
    for row, expected in zip(rows, wanted, strict=True):
        assert row.pvalue_adjusted == expected or math.isnan(row.pvalue)
        assert row.confidence_level == pytest.approx(1 - 0.05 / 3)
    assert all(math.isnan(c.pvalue_adjusted) for c in result.comparisons if not c.decides)
    if result.verdict.verdict == "ship":
        winner = [row for row in rows if row.treatment == result.verdict.variant_id]
        assert all(row.pvalue_adjusted <= 0.05 and row.effect_size > 0 for row in winner)
        assert winner or all(row.pvalue_adjusted <= 0.05 and row.effect_size < 0 for row in rows)


@settings(deadline=None)
@given(COUNTS, st.sampled_from(["fixed", "sequential"]), st.sampled_from(sorted(DIRECTIONS)))
def test_interval_and_p_value_of_what_decides_agree(
    converted: tuple[int, ...], method: str, metric: str
) -> None:
    """Bonferroni: adjusted p ≤ α exactly where the interval excludes 0, on every page."""
    plan = planned(metric=metric, method=method, family="bonferroni")
    for row in deciding(found(plan, four(*converted))):
        excludes = row.ci_lower > 0 or row.ci_upper < 0
        at_the_edge = math.isclose(row.pvalue_adjusted, 0.05, rel_tol=1e-6)
        assert excludes == (row.pvalue_adjusted <= 0.05) or at_the_edge


def test_holm_names_more_than_bonferroni() -> None:
    """Two texts at p ≈ 0.02 beside a clear one: the second is compared with two, not with three."""
    cohorts = four(200, 262, 247, 205)
    rows = {
        family: {row.treatment: row.pvalue_adjusted for row in deciding(found(plan, cohorts))}
        for family in ("holm", "bonferroni")
        for plan in (planned(metric="conversion_rate", family=family),)
    }
    assert rows["holm"]["C"] < 0.05 < rows["bonferroni"]["C"]
    assert rows["holm"]["B"] == rows["bonferroni"]["B"]


def test_dunnett_holds_all_intervals_together() -> None:
    """Level 1 − α for all at once, sharper than Bonferroni, p-values adjusted as they come."""
    cohorts = four(200, 240, 230, 190)
    rows = deciding(found(planned(metric="revenue_per_recipient", family="dunnett"), cohorts))
    arms = [
        MeanSummary(5000, Fraction(n * REVENUE_MINOR), Fraction(n * REVENUE_MINOR**2))
        for n in (200, 240, 230, 190)
    ]
    wanted = compare_with_control(arms[0], arms[1:])
    for row, each in zip(rows, wanted, strict=True):
        assert (row.method, row.confidence_level) == ("dunnett", 0.95)
        assert (row.ci_lower, row.ci_upper) == (each.ci_lower, each.ci_upper)
        assert row.pvalue_adjusted == row.pvalue == each.pvalue
        assert row.relative_lift_lower < row.relative_lift < row.relative_lift_upper
    plain = deciding(found(planned(metric="revenue_per_recipient"), cohorts))
    assert rows[0].ci_upper - rows[0].ci_lower < plain[0].ci_upper - plain[0].ci_lower


@pytest.mark.parametrize("family", ["dunnett", "bh"])
def test_before_the_end_a_family_for_one_look_is_shown_as_bonferroni(family: str) -> None:
    """A fixed plan decides nothing yet; whoever looks sees sequences."""
    plan = msgspec.structs.replace(planned(family=family), audience_size=100_000)
    for row in deciding(found(plan, four(200, 240, 230, 190))):
        assert row.method == "confidence_sequence"
        assert row.pvalue_adjusted == min(1.0, 3 * row.pvalue)


@pytest.mark.parametrize(
    ("plan", "metric", "rule"),
    [
        ({"method": "sequential", "family": "bh"}, "profit_per_recipient", "one look only"),
        ({"method": "bandit", "family": "dunnett"}, "profit_per_recipient", "one look only"),
        ({"family": "dunnett"}, "click_rate", "equal spread"),
        ({"family": "dunnett", "covariate": "past"}, "profit_per_recipient", "no covariate"),
        ({"cap_minor": 0}, "profit_per_recipient", "cap_minor == 0"),
    ],
)
def test_a_plan_that_cannot_keep_its_promise_is_not_evaluated(
    plan: dict[str, object], metric: str, rule: str
) -> None:
    """Also where the definition did not come from a file of ours; the verdict names the rule."""
    verdict = found(planned(metric=metric, **plan), four(200, 300, 200, 200)).verdict
    assert (verdict.verdict, verdict.reason) == ("do_not_trust", "plan_unusable")
    assert rule in str(verdict.evidence["fault"])


@pytest.mark.parametrize(("metric", "winner"), [("reply_rate", "B"), ("opt_out_rate", "C")])
def test_the_direction_belongs_to_the_metric(metric: str, winner: str) -> None:
    """More replies win, fewer opt-outs win; the plan has no say in it."""
    sizes = {"A": 200, "B": 400, "C": 60, "D": 200}
    cohorts = [
        msgspec.structs.replace(
            row,
            counters=msgspec.structs.replace(
                row.counters, replied=sizes[row.variant_id], opted_out=sizes[row.variant_id]
            ),
        )
        for row in four(0, 0, 0, 0)
    ]
    campaign, variants = campaign_rows(planned())
    campaign = msgspec.structs.replace(campaign, metric=metric)
    result = evaluate(campaign, variants, cohorts, HEALTHY, LATE_MS)
    assert (result.verdict.verdict, result.verdict.variant_id) == ("ship", winner)
    best = max(
        (r for r in result.variant_results if r.maturity == "mature"), key=lambda r: r.p_best
    )
    assert best.variant_id == winner
    assert all(
        row.effect_size > 0 and (gain(row) > 0) == (metric == "reply_rate")
        for row in deciding(result)
        if row.treatment == "B"
    )


WHALE = 50_000_000


def with_whale(row: Cohort, cap: int | None) -> Cohort:
    """One person spent a fortune; the sums are those of one more recipient's money."""
    extra, capped = WHALE, WHALE if cap is None else cap
    counters, m = row.counters, row.moments
    return msgspec.structs.replace(
        row,
        counters=msgspec.structs.replace(
            counters,
            converted=counters.converted + 1,
            revenue_minor=counters.revenue_minor + extra,
        ),
        moments=msgspec.structs.replace(
            m,
            sum_rr=m.sum_rr + extra**2,
            sum_rc=m.sum_rc + extra * COST_MICRO,
            sum_k=m.sum_k + capped,
            sum_kk=m.sum_kk + capped**2,
            sum_kc=m.sum_kc + capped * COST_MICRO,
        ),
    )


@pytest.mark.parametrize("cap", [None, 20_000])
def test_one_whale_does_not_hide_a_better_text(cap: int | None) -> None:
    """Under the plan's cap the comparison sees the text; finance sees the whole sum."""
    plan = definition(opt_out_margin=None, audience_size=None, minimum_effect=3.0)
    plan = msgspec.structs.replace(plan, plan=Plan(cap_minor=cap))
    cohorts = [
        with_whale(cohort("A", 10_000, converted=100), cap),
        cohort("B", 10_000, converted=300),
        cohort(HOLDOUT, 2222, converted=10),
    ]
    result = found(plan, cohorts)
    assert result.verdict.verdict == ("your_call" if cap is None else "ship")
    (row,) = deciding(result)
    whole = 0.3 * (300 * REVENUE_MINOR - 100 * REVENUE_MINOR - WHALE) / 10_000
    assert row.raw_effect_size == pytest.approx(whole)
    (arm,) = [r for r in result.variant_results if (r.variant_id, r.maturity) == ("A", "mature")]
    assert arm.revenue_per_recipient_minor == (100 * REVENUE_MINOR + WHALE) / 10_000
    gross = 0.3 * (100 * REVENUE_MINOR + WHALE) / 45_000
    assert arm.roi_gross == pytest.approx(gross)


def with_past(
    campaign: Campaign, rng: np.random.Generator, arm: str, n: int, extra: int
) -> tuple[Cohort, PairSummary]:
    """A cohort of people whose revenue goes with their past, and the same as (profit, past)."""
    past = rng.integers(0, 1000, n)
    revenue = np.where(rng.random(n) < 0.5, 3 * past + rng.integers(0, 800, n) + extra, 0)
    r, v = revenue.astype(object), past.astype(object)
    margin, cost = Fraction(repr(campaign.margin)), Fraction(COST_MICRO, 10_000)
    profit = [margin * int(x) - cost for x in revenue]
    moments = Moments(
        sum_v=int(v.sum()),
        sum_rr=int((r * r).sum()),
        sum_rc=int(r.sum()) * COST_MICRO,
        sum_rv=int((r * v).sum()),
        sum_cc=n * COST_MICRO**2,
        sum_cv=int(v.sum()) * COST_MICRO,
        sum_vv=int((v * v).sum()),
        sum_k=int(r.sum()),
        sum_kk=int((r * r).sum()),
        sum_kc=int(r.sum()) * COST_MICRO,
        sum_kv=int((r * v).sum()),
    )
    made = cohort(arm, n, converted=int((revenue > 0).sum()))
    counters = msgspec.structs.replace(made.counters, revenue_minor=int(r.sum()))
    row = msgspec.structs.replace(made, counters=counters, moments=moments)
    return row, PairSummary.from_values(zip(profit, past.tolist(), strict=True))


@pytest.mark.parametrize("method", ["fixed", "sequential"])
def test_the_covariate_takes_noise_out_of_what_decides(method: str) -> None:
    """Exactly as from the people one by one; nothing that is shown beside is adjusted."""
    plan = msgspec.structs.replace(
        definition(opt_out_margin=None, audience_size=8000),
        plan=Plan(method=method, covariate="past_revenue", expected_n=8000),  # type: ignore[arg-type]
        holdout=0.0,
    )
    campaign, variants = campaign_rows(plan)
    rng = np.random.default_rng(11)
    (a, control), (b, treatment) = (
        with_past(campaign, rng, arm, 4000, extra) for arm, extra in (("A", 0), ("B", 90))
    )
    result = evaluate(campaign, variants, [a, b], HEALTHY, LATE_MS)
    (row,) = deciding(result)
    wanted = compare_adjusted_means(control, treatment)
    assert row.effect_size == pytest.approx(wanted.effect_size, rel=1e-9)
    assert row.variance_ratio == pytest.approx(wanted.variance_ratio, rel=1e-12)
    assert row.variance_ratio < 0.9
    assert row.raw_effect_size == pytest.approx(
        treatment.outcome.mean - control.outcome.mean, rel=1e-9
    )
    if method == "fixed":
        assert row.method == "cuped_welch"
        assert row.ci_lower == pytest.approx(wanted.ci_lower, rel=1e-6)
    else:
        assert row.method == "cuped_confidence_sequence"
        assert row.ci_lower < wanted.ci_lower
    assert all(math.isnan(c.variance_ratio) for c in result.comparisons if not c.decides)
    plain = evaluate(
        msgspec.structs.replace(campaign, covariate=None), variants, [a, b], HEALTHY, LATE_MS
    )
    (without,) = deciding(plain)
    assert row.ci_upper - row.ci_lower < without.ci_upper - without.ci_lower


def test_a_rate_is_adjusted_too() -> None:
    """Σ of covariate over those who converted is all that a rate needs."""
    rng = np.random.default_rng(2)
    plan = planned(metric="conversion_rate", covariate="orders")
    cohorts, pairs = [], []
    for name in NAMES:
        past = rng.integers(0, 2, 5000)
        hit = rng.random(5000) < np.where(past == 1, 0.2, 0.01)
        made = cohort(name, 5000, converted=int(hit.sum()))
        sums = msgspec.structs.replace(
            made.moments,
            sum_v=int(past.sum()),
            sum_vv=int(past.sum()),
            sum_yv=int((past * hit).sum()),
        )
        cohorts.append(msgspec.structs.replace(made, moments=sums))
        pairs.append(
            PairSummary.from_values(zip(hit.astype(int).tolist(), past.tolist(), strict=True))
        )
    for row, treatment in zip(deciding(found(plan, cohorts)), pairs[1:], strict=True):
        wanted = compare_adjusted_means(pairs[0], treatment, confidence_level=1 - 0.05 / 3)
        assert row.method == "cuped_welch"
        assert (row.ci_lower, row.pvalue) == pytest.approx((wanted.ci_lower, wanted.pvalue))
        assert row.variance_ratio < 0.95
