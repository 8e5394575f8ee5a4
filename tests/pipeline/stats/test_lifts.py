"""Quotients of estimates: lifts and returns."""

from __future__ import annotations

import math

import numpy as np
import pyarrow as pa
import pytest
import tea_tasting as tt
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from pipeline.stats.lifts import divide_estimates, estimate_lift, lift_proportions
from pipeline.stats.means import MeanSummary

HITS = st.tuples(st.integers(1, 500), st.integers(500, 5000))


@given(HITS, HITS)
def test_katz_equals_scipy(control: tuple[int, int], treatment: tuple[int, int]) -> None:
    """The lift of two proportions is scipy's relative risk less one, interval included."""
    found = lift_proportions(control, treatment)
    risk = stats.contingency.relative_risk(*treatment, *control)
    interval = risk.confidence_interval(0.95)
    expected = risk.relative_risk - 1, interval.low - 1, interval.high - 1
    assert found == pytest.approx(expected, rel=1e-9, abs=1e-9)


def test_the_log_ratio_of_means_is_close_to_tea_tasting() -> None:
    """For 4,000 people the lift interval is tea-tasting's with normal quantiles."""
    draw = np.random.default_rng(4)
    control = [int(value) for value in draw.gamma(2, 500, 2000)]
    treatment = [int(value) for value in draw.gamma(2, 550, 2000)]
    data = pa.table({"variant": [0] * 2000 + [1] * 2000, "spent": control + treatment})
    other = tt.Experiment(spent=tt.Mean("spent", use_t=False)).analyze(data)["spent"]
    one, two = MeanSummary.from_values(control), MeanSummary.from_values(treatment)
    errors = math.sqrt(one.mean_variance), math.sqrt(two.mean_variance)
    found = estimate_lift(one.mean, two.mean, *errors)
    expected = other.rel_effect_size, other.rel_effect_size_ci_lower, other.rel_effect_size_ci_upper
    assert found == pytest.approx(expected, rel=1e-9)


@given(st.floats(0.01, 100), st.floats(0.01, 100), st.floats(1e-4, 0.3), st.floats(1e-4, 0.3))
def test_swapping_the_arms_inverts_the_ratio(a: float, b: float, e: float, f: float) -> None:
    """1 + lift of one way is 1 over that of the other, limits too; the point is inside."""
    one = estimate_lift(a, b, a * e, b * f)
    two = estimate_lift(b, a, b * f, a * e)
    assert 1 + one.relative_lift_lower == pytest.approx(1 / (1 + two.relative_lift_upper))
    assert one.relative_lift_lower <= one.relative_lift <= one.relative_lift_upper


@pytest.mark.parametrize("method", ["log_ratio", "fieller"])
def test_a_lift_covers_the_true_ratio_as_often_as_it_says(method: str) -> None:
    """Both intervals of two proportions hold the true lift about 95 times in 100."""
    draw = np.random.default_rng(6)
    hits = 0
    for first, second in draw.binomial(5000, [0.1, 0.12], (3000, 2)):
        p, q = first / 5000, second / 5000
        errors = (math.sqrt(p * (1 - p) / 5000), math.sqrt(q * (1 - q) / 5000))
        found = estimate_lift(p, q, *errors, method=method)  # type: ignore[arg-type]
        hits += found.relative_lift_lower <= 0.2 <= found.relative_lift_upper
    assert abs(hits / 3000 - 0.95) < 4 * math.sqrt(0.95 * 0.05 / 3000)


def test_fieller_covers_the_true_ratio_as_often_as_it_says() -> None:
    """Of 4,000 simulated ratios about 95 % of the intervals hold the truth."""
    draw = np.random.default_rng(5)
    covariance = [[0.04, 0.01], [0.01, 0.0225]]
    pairs = draw.multivariate_normal([3.0, 2.0], covariance, 4000)
    hits = 0
    for numerator, denominator in pairs:
        found = divide_estimates(numerator, denominator, 0.04, 0.0225, 0.01)
        hits += found.ci_lower <= 1.5 <= found.ci_upper
    assert abs(hits / 4000 - 0.95) < 4 * math.sqrt(0.95 * 0.05 / 4000)


@given(st.floats(-50, 50), st.floats(1, 50), st.floats(0.01, 2), st.floats(0.001, 0.1))
def test_fieller_limits_are_where_the_test_stops_rejecting(
    y: float, x: float, vy: float, vx: float
) -> None:
    """At each limit ρ the statistic of y − ρx is the normal quantile, by definition."""
    found = divide_estimates(y, x, vy, vx, 0.0)
    for limit in (found.ci_lower, found.ci_upper):
        z = abs(y - limit * x) / math.sqrt(vy + limit * limit * vx)
        assert z == pytest.approx(1.959963984540054, rel=1e-6)


def test_fieller_of_money_does_not_overflow() -> None:
    """Amounts of 10^200 give the same ratio as amounts of 1."""
    small = divide_estimates(10, 5, 1.0, 0.25, 0.0)
    large = divide_estimates(1e151, 5e150, 1e300, 0.25e300, 0.0)
    assert large == pytest.approx(small)


@pytest.mark.parametrize(
    "call",
    [
        lambda: estimate_lift(0.0, 1.0, 0.1, 0.1).relative_lift,
        lambda: estimate_lift(-1.0, 1.0, 0.1, 0.1, method="fieller").relative_lift,
        lambda: estimate_lift(1.0, 0.0, 0.1, 0.1).relative_lift,
        lambda: estimate_lift(1.0, 1.0, math.nan, 0.1).relative_lift_lower,
        lambda: estimate_lift(1.0, 2.0, 0.9, 0.1, method="fieller").relative_lift_lower,
        lambda: lift_proportions((0, 9), (3, 9)).relative_lift,
        lambda: lift_proportions((0, 0), (3, 9)).relative_lift,
        lambda: divide_estimates(1, 0, 1, 1, 0).estimate,
        lambda: divide_estimates(1, 1, 1, 1, 0).ci_lower,
    ],
)
def test_what_is_undefined_is_nan(call: object) -> None:
    """A ratio to nothing says nothing."""
    assert math.isnan(call())  # type: ignore[operator]


def test_hopeless_spread_is_an_open_end_not_an_error() -> None:
    """A relative error of thousands gives a limit of infinity."""
    assert estimate_lift(1.0, 1.0, 1000.0, 1000.0).relative_lift_upper == math.inf
