"""Statistics against independent implementations."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pyarrow as pa
import pytest
import tea_tasting as tt
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats import proportion, weightstats

from pipeline.stats.means import MeanSummary, compare_means, mean_interval
from pipeline.stats.proportions import compare_proportions, wilson_interval
from pipeline.stats.ratios import fieller_interval, relative_lift
from pipeline.stats.srm import equal_rates, sample_ratio_mismatch

COUNTS = st.integers(1, 5000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))
VALUES = st.lists(st.integers(-10_000, 10_000), min_size=2, max_size=60)


def summary_of(values: list[int]) -> MeanSummary:
    """The summary of some values."""
    squares = sum(value * value for value in values)
    return MeanSummary(len(values), Fraction(sum(values)), Fraction(squares))


@given(COUNTS)
def test_wilson_equals_statsmodels(counts: tuple[int, int]) -> None:
    """The interval of one proportion is that of statsmodels, for any counts."""
    expected = proportion.proportion_confint(*counts, method="wilson")
    assert wilson_interval(*counts) == pytest.approx(expected, abs=1e-9)


@given(COUNTS, COUNTS)
def test_newcombe_equals_statsmodels(control: tuple[int, int], treatment: tuple[int, int]) -> None:
    """The interval of a difference is that of statsmodels, for any counts."""
    found = compare_proportions(control, treatment)
    expected = proportion.confint_proportions_2indep(
        *treatment, *control, method="newcomb", compare="diff"
    )
    assert (found.ci_lower, found.ci_upper) == pytest.approx(expected, abs=1e-9)


@given(COUNTS, COUNTS)
def test_swapping_the_arms_swaps_the_signs(first: tuple[int, int], second: tuple[int, int]) -> None:
    """Nothing depends on which arm is called control but the sign."""
    one, two = compare_proportions(first, second), compare_proportions(second, first)
    assert one.effect_size == pytest.approx(-two.effect_size)
    assert one.ci_lower == pytest.approx(-two.ci_upper)
    assert one.pvalue == pytest.approx(two.pvalue, nan_ok=True)


def test_the_pooled_z_test_equals_tea_tasting() -> None:
    """The p-value of a difference of proportions is tea-tasting's without correction."""
    found = compare_proportions((400, 1000), (450, 1000))
    experiment = tt.Experiment(metric=tt.Proportion("hit", method="norm", correction=False))
    hits = [1] * 400 + [0] * 600 + [1] * 450 + [0] * 550
    data = pa.table({"variant": [0] * 1000 + [1] * 1000, "hit": hits})
    assert found.pvalue == pytest.approx(experiment.analyze(data)["metric"].pvalue, rel=1e-9)


@given(VALUES, VALUES)
def test_welch_equals_scipy(control: list[int], treatment: list[int]) -> None:
    """Interval and p-value of a difference of means are those of scipy on the raw values."""
    assume(np.var(control) > 0 and np.var(treatment) > 0)  # scipy warns about constant values
    found = compare_means(summary_of(control), summary_of(treatment))
    expected = stats.ttest_ind(treatment, control, equal_var=False)
    interval = expected.confidence_interval()
    assert found.pvalue == pytest.approx(expected.pvalue, rel=1e-6, abs=1e-12)
    assert (found.ci_lower, found.ci_upper) == pytest.approx(tuple(interval), rel=1e-6)


def test_welch_equals_statsmodels_and_tea_tasting() -> None:
    """Two further implementations agree on skewed values with unequal spread and size."""
    draw = np.random.default_rng(4)
    control = [int(value) for value in draw.lognormal(6, 1.0, 300)]
    treatment = [int(value) for value in draw.lognormal(6.2, 1.3, 170)]
    found = compare_means(summary_of(control), summary_of(treatment))
    compared = weightstats.CompareMeans.from_data(treatment, control)
    interval = compared.tconfint_diff(usevar="unequal")
    _, pvalue, _ = compared.ttest_ind(usevar="unequal")
    assert (found.ci_lower, found.ci_upper) == pytest.approx(interval, rel=1e-9)
    assert found.pvalue == pytest.approx(pvalue, rel=1e-9)
    arms = [0] * len(control) + [1] * len(treatment)
    data = pa.table({"variant": arms, "spent": control + treatment})
    other = tt.Experiment(spent=tt.Mean("spent", equal_var=False)).analyze(data)["spent"]
    assert found.pvalue == pytest.approx(other.pvalue, rel=1e-9)
    bounds = (other.effect_size_ci_lower, other.effect_size_ci_upper)
    assert (found.ci_lower, found.ci_upper) == pytest.approx(bounds, rel=1e-9)


@given(VALUES)
def test_the_interval_of_a_mean_equals_scipy(values: list[int]) -> None:
    """Student's interval from the sums is that from the values."""
    found = mean_interval(summary_of(values))
    error = stats.sem(values)
    if error == 0:
        assert found.lower == found.upper == values[0]
        return
    expected = stats.t.interval(0.95, len(values) - 1, np.mean(values), error)
    assert found == pytest.approx(expected, rel=1e-9)


@given(VALUES, st.integers(0, 60))
def test_summaries_add_up_exactly(values: list[int], cut: int) -> None:
    """Splitting the people in any way changes no digit."""
    parts = summary_of(values[:cut]) + summary_of(values[cut:])
    assert parts == summary_of(values)


def test_huge_values_do_not_cancel() -> None:
    """A variance of 1 beside a mean of 10^12 is still 1."""
    base = 10**12
    assert summary_of([base - 1, base, base + 1]).variance == 1.0


def test_fieller_covers_the_true_ratio_as_often_as_it_says() -> None:
    """Of 4,000 simulated ratios about 95 % of the intervals hold the truth."""
    draw = np.random.default_rng(5)
    covariance = [[0.04, 0.01], [0.01, 0.0225]]
    pairs = draw.multivariate_normal([3.0, 2.0], covariance, 4000)
    hits = 0
    for numerator, denominator in pairs:
        bounds = fieller_interval(numerator, denominator, 0.04, 0.0225, 0.01)
        hits += bounds.lower <= 1.5 <= bounds.upper
    assert abs(hits / 4000 - 0.95) < 4 * math.sqrt(0.95 * 0.05 / 4000)


def test_a_lift_covers_the_true_ratio_as_often_as_it_says() -> None:
    """The log interval of two proportions holds the true lift about 95 times in 100."""
    draw = np.random.default_rng(6)
    hits = 0
    for first, second in draw.binomial(5000, [0.1, 0.12], (3000, 2)):
        p, q = first / 5000, second / 5000
        errors = (math.sqrt(p * (1 - p) / 5000), math.sqrt(q * (1 - q) / 5000))
        _, bounds = relative_lift(p, q, *errors)
        hits += bounds.lower <= 0.2 <= bounds.upper
    assert abs(hits / 3000 - 0.95) < 4 * math.sqrt(0.95 * 0.05 / 3000)


def test_chi_squares_equal_scipy() -> None:
    """The split and the equality of rates are tested by Pearson's chi-square."""
    counts, shares = {"A": 480, "B": 520, "C": 950}, {"A": 0.25, "B": 0.25, "C": 0.5}
    expected = stats.chisquare([480, 520, 950], [487.5, 487.5, 975]).pvalue
    assert sample_ratio_mismatch(counts, shares) == pytest.approx(expected)
    table = [[90, 80], [10, 20]]
    found = equal_rates({"A": 90, "B": 80}, {"A": 100, "B": 100})
    assert found == pytest.approx(stats.chi2_contingency(table, correction=False).pvalue)


def test_shares_written_with_seven_digits_are_usable() -> None:
    """Three thirds that a campaign file accepts must not raise in the test of the split."""
    thirds = dict.fromkeys("ABC", 0.3333333)
    assert sample_ratio_mismatch({"A": 300, "B": 300, "C": 300}, thirds) == pytest.approx(1.0)


def test_an_arm_without_a_share_is_no_degree_of_freedom() -> None:
    """An empty one changes nothing; a person in it is a mismatch whatever the other counts say."""
    two, shares = {"A": 480, "B": 520}, {"A": 0.5, "B": 0.5, "C": 0.0}
    assert sample_ratio_mismatch(two | {"C": 0}, shares) == sample_ratio_mismatch(two, shares)
    assert sample_ratio_mismatch(two | {"C": 1}, shares) == 0.0


def test_fair_splits_rarely_raise_the_alarm() -> None:
    """Of 20,000 fair splits, small ones and a 1 % holdout included, about 0.1 % are alarms."""
    draw = np.random.default_rng(8)
    shares = {"A": 0.495, "B": 0.495, "holdout": 0.01}
    for people, allowed in ((2_000, 0.006), (100_000, 0.002)):
        splits = draw.multinomial(people, list(shares.values()), 10_000)
        alarms = sum(
            sample_ratio_mismatch(dict(zip(shares, map(int, split), strict=True)), shares) < 0.001
            for split in splits
        )
        assert alarms / 10_000 < allowed


def test_an_unfair_split_raises_the_alarm() -> None:
    """A split of 50.2 to 49.8 among 1.6 million people is found in about 96 % of cases."""
    draw = np.random.default_rng(9)
    found = [
        sample_ratio_mismatch({"A": int(a), "B": 1_600_000 - int(a)}, {"A": 0.5, "B": 0.5}) < 0.001
        for a in draw.binomial(1_600_000, 0.502, 1000)
    ]
    assert 0.93 < sum(found) / 1000 < 0.99


@pytest.mark.parametrize(
    "call",
    [
        lambda: wilson_interval(0, 0).lower,
        lambda: compare_proportions((0, 0), (1, 2)).pvalue,
        lambda: compare_proportions((0, 5), (0, 5)).pvalue,
        lambda: compare_means(MeanSummary(), MeanSummary()).effect_size,
        lambda: compare_means(summary_of([2, 2]), summary_of([3, 3])).pvalue,
        lambda: mean_interval(summary_of([3])).lower,
        lambda: relative_lift(0.0, 1.0, 0.1, 0.1)[0],
        lambda: fieller_interval(1, 0, 1, 1, 0).lower,
        lambda: sample_ratio_mismatch({"A": 0, "B": 0}, {"A": 0.5, "B": 0.5}),
        lambda: sample_ratio_mismatch({"A": 0, "B": 1}, {"A": 0.99, "B": 0.01}),
        lambda: sample_ratio_mismatch({"A": 9, "B": 0}, {"A": 1.0, "B": 0.0}),
        lambda: equal_rates({"A": 1}, {"A": 2}),
    ],
)
def test_what_is_undefined_is_nan(call: object) -> None:
    """No plausible number stands where there is none, and data never raise."""
    assert math.isnan(call())  # type: ignore[operator]


@pytest.mark.parametrize(
    ("call", "rule"),
    [
        (lambda: wilson_interval(3, 2), "must be 0 to 2"),
        (lambda: wilson_interval(1, 2, confidence_level=1.0), r"must be in \(0, 1\)"),
        (lambda: sample_ratio_mismatch({"A": 1}, {"A": 0.5}), "add up to 1"),
        (lambda: sample_ratio_mismatch({"A": 1, "B": 1}, {"A": 1.5, "B": -0.5}), "0 or more"),
    ],
)
def test_a_mistake_of_the_caller_is_told(call: object, rule: str) -> None:
    """The value and the rule are named."""
    with pytest.raises(ValueError, match=rule):
        call()  # type: ignore[operator]
