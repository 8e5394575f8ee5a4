"""Caps on money, quantiles of latency."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from pipeline.stats.means import MeanSummary
from pipeline.stats.quantiles import estimate_quantile
from pipeline.stats.winsor import cap_amount, choose_cap, summarize_capped

AMOUNTS = st.dictionaries(
    st.integers(-(10**15), 10**15), st.integers(1, 9), min_size=1, max_size=30
)
CAPS = st.integers(1, 10**15)


@given(AMOUNTS, CAPS)
def test_a_capped_summary_is_the_summary_of_capped_values(counts: dict[int, int], cap: int) -> None:
    """The same to the last digit as capping every recipient's amount first."""
    values = [cap_amount(amount, cap) for amount, n in counts.items() for _ in range(n)]
    assert summarize_capped(counts, cap) == MeanSummary.from_values(values)
    assert all(-cap <= value <= cap for value in values)


@given(AMOUNTS, CAPS, CAPS)
def test_capping_twice_is_capping_at_the_smaller(
    counts: dict[int, int], one: int, two: int
) -> None:
    """A cap changes nothing that a lower cap has already cut."""
    for amount in counts:
        assert cap_amount(cap_amount(amount, one), two) == cap_amount(amount, min(one, two))


@given(AMOUNTS, st.sampled_from([0.5, 0.9, 0.99, 0.999]))
def test_the_chosen_cap_is_numpys_quantile(counts: dict[int, int], quantile: float) -> None:
    """The smallest amount that enough recipients do not exceed."""
    values = sorted(amount for amount, n in counts.items() for _ in range(n))
    expected = np.quantile(np.array(values), quantile, method="inverted_cdf")
    assert choose_cap(counts, quantile=quantile) == max(1, int(expected))


def test_a_cap_tames_a_whale() -> None:
    """One order of a million cannot decide a test any more."""
    plain = {0: 999, 10**8: 1}
    assert summarize_capped(plain, 1000).variance < MeanSummary.from_values([0, 10**8]).variance
    assert summarize_capped(plain, 1000).mean == 1.0


@pytest.mark.parametrize("quantile", [0.1, 0.5, 0.9, 0.99])
@pytest.mark.parametrize("n", [10, 57, 400])
def test_ranks_equal_scipys_quantile_test(n: int, quantile: float) -> None:
    """Limits are those of the interval that scipy's quantile test gives for distinct values."""
    values = np.arange(1, n + 1)
    expected = stats.quantile_test(values, p=quantile).confidence_interval(0.95)
    found = estimate_quantile({float(v): 1 for v in values}, quantile)
    low = -math.inf if math.isnan(expected.low) else expected.low
    high = math.inf if math.isnan(expected.high) else expected.high
    assert (found.ci_lower, found.ci_upper) == (low, high)


def test_the_interval_of_a_quantile_covers_it() -> None:
    """Of 2,000 samples of 300 latencies at least 95 % of the intervals hold the true p90."""
    draw = np.random.default_rng(12)
    truth = stats.expon.ppf(0.9)
    hits = 0
    for row in draw.exponential(1.0, (2000, 300)):
        found = estimate_quantile({float(v): 1 for v in row}, 0.9)
        hits += found.ci_lower <= truth <= found.ci_upper
    assert hits / 2000 >= 0.95 - 4 * math.sqrt(0.95 * 0.05 / 2000)


def test_resemblance_widens_the_interval() -> None:
    """With a design effect of 4 the ranks lie twice as far out."""
    counts = {float(v): 1 for v in range(1, 10_001)}
    one = estimate_quantile(counts, 0.5)
    four = estimate_quantile(counts, 0.5, design_effect=4)
    assert four.ci_upper - 5000 == pytest.approx(2 * (one.ci_upper - 5000), abs=2)


def test_large_histograms_agree_with_small_ones() -> None:
    """The normal ranks of a huge count are the binomial's, scaled."""
    edges = {float(v): 20_000 for v in range(1, 101)}
    found = estimate_quantile(edges, 0.905)
    assert (found.estimate, found.ci_lower, found.ci_upper) == (91.0, 91.0, 91.0)


def test_nothing_seen_is_nan_and_mistakes_are_told() -> None:
    """No value has no quantile; impossible settings are named."""
    assert math.isnan(estimate_quantile({}, 0.9).estimate)
    assert math.isnan(estimate_quantile({1.0: 0}, 0.9).estimate)
    with pytest.raises(ValueError, match=r"quantile == 1.0, must be in \(0, 1\)"):
        estimate_quantile({1.0: 1}, 1.0)
    with pytest.raises(ValueError, match=r"design_effect == 0\.5, must be 1 or more"):
        estimate_quantile({1.0: 1}, 0.5, design_effect=0.5)
    with pytest.raises(ValueError, match="cap == 0, must be positive"):
        cap_amount(1, 0)
    with pytest.raises(ValueError, match="recipients == 0, must be positive"):
        choose_cap({})
