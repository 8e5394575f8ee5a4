"""Means and their difference against scipy, statsmodels and tea-tasting."""

from __future__ import annotations

import math
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
import tea_tasting as tt
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats import weightstats

from pipeline.stats.means import MeanSummary, compare_means, estimate_mean

VALUES = st.lists(st.integers(-10_000, 10_000), min_size=2, max_size=60)
of = MeanSummary.from_values


@given(VALUES, VALUES)
def test_welch_equals_scipy(control: list[int], treatment: list[int]) -> None:
    """Interval and p-value of a difference of means are those of scipy on the raw values."""
    assume(np.var(control) > 0 and np.var(treatment) > 0)  # scipy warns about constant values
    found = compare_means(of(control), of(treatment))
    expected = stats.ttest_ind(treatment, control, equal_var=False)
    interval = expected.confidence_interval()
    assert found.pvalue == pytest.approx(expected.pvalue, rel=1e-6, abs=1e-12)
    assert (found.ci_lower, found.ci_upper) == pytest.approx(tuple(interval), rel=1e-6, abs=1e-9)


def test_welch_equals_statsmodels_and_tea_tasting() -> None:
    """Two further implementations agree on skewed values with unequal spread and size."""
    draw = np.random.default_rng(4)
    control = [int(value) for value in draw.lognormal(6, 1.0, 300)]
    treatment = [int(value) for value in draw.lognormal(6.2, 1.3, 170)]
    found = compare_means(of(control), of(treatment))
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
    found = estimate_mean(of(values))
    error = stats.sem(values)
    if error == 0:
        assert found.ci_lower == found.ci_upper == values[0]
        return
    expected = stats.t.interval(0.95, len(values) - 1, np.mean(values), error)
    assert found[1:] == pytest.approx(expected, rel=1e-9, abs=1e-9)


@given(VALUES, st.integers(0, 60))
def test_summaries_add_up_exactly(values: list[int], cut: int) -> None:
    """Splitting the people in any way changes no digit."""
    assert of(values[:cut]) + of(values[cut:]) == of(values)


@given(VALUES, VALUES, st.fractions(Fraction(1, 10**6), 10**6))
def test_units_change_nothing_but_the_unit(
    control: list[int], treatment: list[int], unit: Fraction
) -> None:
    """In cents or in euros: the p-value is the same, effect and limits scale."""
    assume(np.var(control) > 0)
    one = compare_means(of(control), of(treatment))
    two = compare_means(of([unit * v for v in control]), of([unit * v for v in treatment]))
    assert two.pvalue == pytest.approx(one.pvalue, rel=1e-6, abs=1e-300)
    for field in ("effect_size", "ci_lower", "ci_upper"):
        expected = getattr(one, field) * float(unit)
        assert getattr(two, field) == pytest.approx(expected, rel=1e-6, abs=1e-6 * float(unit))


@given(VALUES, VALUES)
def test_swapping_the_arms_swaps_the_signs(first: list[int], second: list[int]) -> None:
    """Nothing depends on which arm is called control but the sign; the point is inside."""
    assume(np.var(first) > 0)
    one, two = compare_means(of(first), of(second)), compare_means(of(second), of(first))
    assert (one.effect_size, one.ci_lower) == pytest.approx((-two.effect_size, -two.ci_upper))
    assert one.pvalue == pytest.approx(two.pvalue)
    assert one.ci_lower <= one.effect_size <= one.ci_upper


def test_more_people_narrow_the_interval() -> None:
    """The same values seen ever more often give ever narrower intervals."""
    found = [compare_means(of([1, 2, 3] * k), of([2, 3, 4] * k)) for k in (1, 5, 50)]
    for wide, narrow in pairwise(found):
        assert narrow.ci_upper - narrow.ci_lower < wide.ci_upper - wide.ci_lower
        assert narrow.pvalue < wide.pvalue


def test_huge_values_do_not_cancel() -> None:
    """A variance of 1 beside a mean of 10^15 minor units is still 1."""
    for base in (10**12, 10**15, 10**18):
        assert of([base - 1, base, base + 1]).variance == 1.0
    first, second = of([10**15, 10**15 + 2] * 50), of([10**15 + 1, 10**15 + 3] * 50)
    found = compare_means(first, second)
    assert found.effect_size == 1.0
    assert found.pvalue == pytest.approx(compare_means(of([0, 2] * 50), of([1, 3] * 50)).pvalue)


def test_printed_moments_give_the_summary_back() -> None:
    """Count, mean and variance of a paper lead to the same test as the values behind them."""
    values = [3, 5, 9, 10, 14]
    printed = MeanSummary.from_moments(5, float(np.mean(values)), float(np.var(values, ddof=1)))
    one, two = compare_means(of([1, 2, 9]), printed), compare_means(of([1, 2, 9]), of(values))
    assert one == pytest.approx(two, rel=1e-12)


@pytest.mark.parametrize(
    "call",
    [
        lambda: compare_means(MeanSummary(), MeanSummary()).effect_size,
        lambda: compare_means(MeanSummary(), of([1, 2])).pvalue,
        lambda: compare_means(of([1]), of([1, 2])).ci_lower,
        lambda: compare_means(of([2, 2]), of([3, 3])).pvalue,
        lambda: estimate_mean(of([3])).ci_lower,
        lambda: estimate_mean(MeanSummary()).estimate,
        lambda: MeanSummary().mean_variance,
    ],
)
def test_what_is_undefined_is_nan(call: object) -> None:
    """No plausible number stands where there is none, and data never raise."""
    assert math.isnan(call())  # type: ignore[operator]


def test_a_single_recipient_has_a_mean() -> None:
    """Of one value the mean is known, its spread is not."""
    assert estimate_mean(of([3])).estimate == 3.0


@pytest.mark.parametrize("level", [0.0, 1.0, math.nan])
def test_a_mistake_of_the_caller_is_told(level: float) -> None:
    """The value and the rule are named."""
    with pytest.raises(ValueError, match=r"confidence_level == .*, must be in \(0, 1\)"):
        compare_means(of([1, 2]), of([1, 2]), confidence_level=level)
    with pytest.raises(ValueError, match=r"confidence_level == .*, must be in \(0, 1\)"):
        estimate_mean(of([1, 2]), confidence_level=level)
