"""The test of the split, at one look and live."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import special, stats

from pipeline.stats.srm import check_equal_rates, check_sample_ratio, watch_sample_ratio

HALVES = {"A": 0.5, "B": 0.5}


def test_chi_squares_equal_scipy() -> None:
    """The split and the equality of rates are tested by Pearson's chi-square."""
    counts, shares = {"A": 480, "B": 520, "C": 950}, {"A": 0.25, "B": 0.25, "C": 0.5}
    expected = stats.chisquare([480, 520, 950], [487.5, 487.5, 975]).pvalue
    assert check_sample_ratio(counts, shares) == pytest.approx(expected)
    table = [[90, 80], [10, 20]]
    found = check_equal_rates({"A": 90, "B": 80}, {"A": 100, "B": 100})
    assert found == pytest.approx(stats.chi2_contingency(table, correction=False).pvalue)


def test_shares_written_with_seven_digits_are_usable() -> None:
    """Three thirds that a campaign file accepts must not raise in the test of the split."""
    thirds = dict.fromkeys("ABC", 0.3333333)
    assert check_sample_ratio({"A": 300, "B": 300, "C": 300}, thirds) == pytest.approx(1.0)
    assert watch_sample_ratio({"A": 300, "B": 300, "C": 300}, thirds).pvalue == 1.0


def test_fair_splits_rarely_raise_the_alarm() -> None:
    """Of 20,000 fair splits, small ones and a 1 % holdout included, about 0.1 % are alarms."""
    draw = np.random.default_rng(8)
    shares = {"A": 0.495, "B": 0.495, "holdout": 0.01}
    for people, allowed in ((2_000, 0.006), (100_000, 0.002)):
        splits = draw.multinomial(people, list(shares.values()), 10_000)
        alarms = sum(
            check_sample_ratio(dict(zip(shares, map(int, split), strict=True)), shares) < 0.001
            for split in splits
        )
        assert alarms / 10_000 < allowed


@given(st.integers(0, 5000), st.integers(0, 5000), st.integers(0, 5000))
def test_the_live_factor_equals_the_product_of_predictions(a: int, b: int, c: int) -> None:
    """The factor is the Dirichlet-multinomial of scipy over the multinomial of the plan."""
    if a + b + c == 0:
        return
    shares = np.array([0.5, 0.3, 0.2])
    counts = dict(zip("ABC", (a, b, c), strict=True))
    found = watch_sample_ratio(counts, dict(zip("ABC", shares, strict=True)), concentration=100)
    numerator = stats.dirichlet_multinomial.logpmf([a, b, c], 100 * shares, a + b + c)
    denominator = stats.multinomial.logpmf([a, b, c], a + b + c, shares)
    expected = min(1.0, math.exp(min(0.0, denominator - numerator)))
    assert found.pvalue == pytest.approx(expected, rel=1e-6, abs=1e-300)


def test_the_live_factor_is_a_fair_bet_under_the_plan() -> None:
    """The mean factor over every possible split of 200 people is exactly 1: a martingale."""
    mean = sum(
        watch_sample_ratio({"A": k, "B": 200 - k}, HALVES, concentration=50).bayes_factor
        * float(special.binom(200, k))
        / 2.0**200
        for k in range(201)
    )
    assert mean == pytest.approx(1.0, rel=1e-9)


def test_the_live_test_finds_a_broken_split_and_names_its_price() -> None:
    """A clear mismatch is found; at one look the chi-square is the sharper test."""
    counts = {"A": 821_588, "B": 815_482}
    live = watch_sample_ratio(counts, HALVES)
    assert check_sample_ratio(counts, HALVES) < live.pvalue < 0.001
    assert watch_sample_ratio({"A": 10**9, "B": 1}, HALVES).pvalue == 0.0


@pytest.mark.parametrize(
    "call",
    [
        lambda: check_sample_ratio({"A": 0, "B": 0}, HALVES),
        lambda: check_sample_ratio({"A": 0, "B": 1}, {"A": 0.99, "B": 0.01}),
        lambda: check_sample_ratio({"A": 9, "B": 0}, {"A": 1.0, "B": 0.0}),
        lambda: watch_sample_ratio({"A": 9}, {"A": 1.0}).pvalue,
        lambda: check_equal_rates({"A": 1}, {"A": 2}),
        lambda: check_equal_rates({"A": 2, "B": 2}, {"A": 2, "B": 2}),
    ],
)
def test_what_is_undefined_is_nan(call: object) -> None:
    """No plausible number stands where there is none, and data never raise."""
    assert math.isnan(call())  # type: ignore[operator]


@pytest.mark.parametrize("test", [check_sample_ratio, watch_sample_ratio])
def test_a_mistake_of_the_caller_is_told(test: object) -> None:
    """Shares that are no plan are named."""
    with pytest.raises(ValueError, match="add up to 1"):
        test({"A": 1}, {"A": 0.5})  # type: ignore[operator]
    with pytest.raises(ValueError, match="0 or more"):
        test({"A": 1, "B": 1}, {"A": 1.5, "B": -0.5})  # type: ignore[operator]
    with pytest.raises(ValueError, match="concentration == 0, must be positive"):
        watch_sample_ratio({"A": 1, "B": 1}, HALVES, concentration=0)
