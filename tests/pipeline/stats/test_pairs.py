"""Ratio metrics and variance reduction against tea-tasting and least squares."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pyarrow as pa
import pytest
import tea_tasting as tt
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.regression.linear_model import OLS

from pipeline.stats.cuped import compare_adjusted_means
from pipeline.stats.means import compare_means
from pipeline.stats.pairs import PairSummary
from pipeline.stats.ratios import compare_ratios, estimate_ratio, measure_design_effect

Pairs = list[tuple[int, int]]
PAIRS = st.lists(st.tuples(st.integers(-999, 999), st.integers(0, 99)), min_size=2, max_size=40)
of = PairSummary.from_values


def sample(seed: int, people: int, effect: float) -> Pairs:
    """Outcome and covariate that move together."""
    draw = np.random.default_rng(seed)
    past = draw.gamma(2, 300, people)
    outcome = 0.7 * past + draw.normal(200 + effect, 250, people)
    return [(int(y), int(x)) for y, x in zip(outcome, past, strict=True)]


def table(control: Pairs, treatment: Pairs) -> pa.Table:
    """The rows behind two summaries."""
    rows = control + treatment
    arms = [0] * len(control) + [1] * len(treatment)
    return pa.table({"variant": arms, "y": [y for y, _ in rows], "x": [x for _, x in rows]})


@given(PAIRS, st.integers(0, 40))
def test_summaries_add_up_exactly(pairs: Pairs, cut: int) -> None:
    """Splitting the people in any way changes no digit."""
    assert of(pairs[:cut]) + of(pairs[cut:]) == of(pairs)


def test_a_ratio_metric_equals_tea_tasting() -> None:
    """Delta method for a ratio of sums over people: effect, limits and p-value."""
    control, treatment = sample(1, 800, 0), sample(2, 700, 40)
    metric = tt.RatioOfMeans("y", "x", use_t=False)
    other = tt.Experiment(r=metric).analyze(table(control, treatment))["r"]
    found = compare_ratios(of(control), of(treatment))
    assert found.control == pytest.approx(other.control, rel=1e-12)
    bounds = other.effect_size_ci_lower, other.effect_size_ci_upper
    assert (found.ci_lower, found.ci_upper) == pytest.approx(bounds, rel=1e-9)
    assert found.pvalue == pytest.approx(other.pvalue, rel=1e-9)


def test_a_ratio_of_clustered_values_covers_the_truth() -> None:
    """Messages of one person are alike: the interval still holds the truth about 95 in 100."""
    draw = np.random.default_rng(3)
    hits = 0
    for _ in range(600):
        messages = draw.poisson(3, 300) + 1
        rates = draw.beta(2, 6, 300)
        clicks = draw.binomial(messages, rates)
        found = estimate_ratio(of(list(zip(clicks.tolist(), messages.tolist(), strict=True))))
        hits += found.ci_lower <= 0.25 <= found.ci_upper
    assert abs(hits / 600 - 0.95) < 4 * math.sqrt(0.95 * 0.05 / 600)


@given(PAIRS, PAIRS, st.integers(1, 10**9))
def test_units_of_a_ratio_change_nothing_but_the_unit(a: Pairs, b: Pairs, unit: int) -> None:
    """Scaling the numerator scales the effect and leaves the p-value."""
    one = compare_ratios(of(a), of(b))
    two = compare_ratios(*(of([(unit * y, x) for y, x in rows]) for rows in (a, b)))
    assert two.pvalue == pytest.approx(one.pvalue, rel=1e-6, nan_ok=True)
    assert two.effect_size == pytest.approx(one.effect_size * unit, rel=1e-9, nan_ok=True)


def test_cuped_equals_least_squares_and_is_close_to_tea_tasting() -> None:
    """The adjusted effect is the arm's coefficient in y ~ 1 + arm + x, exactly."""
    control, treatment = sample(5, 900, 0), sample(6, 800, 25)
    found = compare_adjusted_means(of(control), of(treatment))
    rows = np.array(control + treatment, dtype=float)
    arm = np.array([0] * len(control) + [1] * len(treatment), dtype=float)
    model = OLS(rows[:, 0], np.column_stack([np.ones(len(arm)), arm, rows[:, 1]])).fit()
    assert found.effect_size == pytest.approx(model.params[1], rel=1e-9)
    assert found.theta == pytest.approx(model.params[2], rel=1e-9)
    metric = tt.Mean("y", "x", equal_var=False)
    other = tt.Experiment(r=metric).analyze(table(control, treatment))["r"]
    # tea-tasting takes theta from all people at once, ours from within the arms
    assert found.effect_size == pytest.approx(other.effect_size, rel=0.01)
    assert found.ci_lower == pytest.approx(other.effect_size_ci_lower, rel=0.02)
    assert found.pvalue == pytest.approx(other.pvalue, rel=0.05)


@given(PAIRS, PAIRS)
def test_swapping_the_arms_swaps_the_signs(a: Pairs, b: Pairs) -> None:
    """Neither adjustment nor ratio depends on which arm is called control but for the sign."""
    for compare in (compare_adjusted_means, compare_ratios):
        one, two = compare(of(a), of(b)), compare(of(b), of(a))
        assert one.effect_size == pytest.approx(-two.effect_size, nan_ok=True)
        assert one.ci_lower == pytest.approx(-two.ci_upper, nan_ok=True)
        assert one.pvalue == pytest.approx(two.pvalue, nan_ok=True)


def test_a_covariate_without_spread_leaves_the_plain_comparison() -> None:
    """Nobody bought before: the result is Welch's on the outcome."""
    a, b = of([(1, 0), (5, 0), (4, 0)]), of([(3, 0), (9, 0), (7, 0)])
    found = compare_adjusted_means(a, b)
    assert found[:6] == pytest.approx(compare_means(a.outcome, b.outcome))
    assert (found.theta, found.variance_ratio) == (0.0, 1.0)


def test_adjustment_of_huge_money_does_not_cancel() -> None:
    """Amounts around 10^15 give the same adjusted effect and p-value as amounts around 0."""
    control, treatment = sample(7, 200, 0), sample(8, 200, 60)
    one = compare_adjusted_means(of(control), of(treatment))
    shift = 10**15
    moved = [[(y + shift, x + shift) for y, x in rows] for rows in (control, treatment)]
    two = compare_adjusted_means(*(of(rows) for rows in moved))
    assert two.effect_size == pytest.approx(one.effect_size, rel=1e-12)
    assert two.pvalue == pytest.approx(one.pvalue, rel=1e-9)


def test_the_design_effect_of_twins_is_two_and_of_strangers_one() -> None:
    """Values that always agree in pairs count half; independent ones count in full."""
    draw = np.random.default_rng(9)
    strangers = of([(int(k), 2) for k in draw.binomial(2, 0.3, 20_000)])
    assert measure_design_effect(strangers) == pytest.approx(1.0, abs=0.04)
    twins = of([(2 * int(k), 2) for k in draw.binomial(1, 0.3, 20_000)])
    assert measure_design_effect(twins) == pytest.approx(2.0, abs=0.01)


EMPTY, ONE = PairSummary(), PairSummary.from_values([(1, 1)])


@pytest.mark.parametrize(
    "call",
    [
        lambda: estimate_ratio(EMPTY).estimate,
        lambda: estimate_ratio(ONE).ci_lower,
        lambda: compare_ratios(EMPTY, ONE).effect_size,
        lambda: compare_ratios(ONE, ONE).pvalue,
        lambda: compare_adjusted_means(EMPTY, ONE).effect_size,
        lambda: compare_adjusted_means(ONE, ONE).pvalue,
        lambda: compare_adjusted_means(ONE, ONE).variance_ratio,
        lambda: measure_design_effect(EMPTY),
        lambda: measure_design_effect(of([(0, 1), (0, 1)])),
    ],
)
def test_what_is_undefined_is_nan(call: object) -> None:
    """No plausible number stands where there is none, and data never raise."""
    assert math.isnan(call())  # type: ignore[operator]


def test_one_arm_of_one_person_still_shows_its_value() -> None:
    """The values are there, the test is not."""
    found = compare_adjusted_means(ONE, of([(3, 1), (5, 1)]))
    assert (found.control, found.treatment, found.effect_size) == (1.0, 4.0, 3.0)
    assert isinstance(of([(Fraction(1, 3), 1)]).y, Fraction)
