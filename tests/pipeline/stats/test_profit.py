"""Profit per recipient and incremental return from exact sums."""

from __future__ import annotations

import math
from fractions import Fraction
from functools import reduce
from operator import add

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.stats.means import MeanSummary, compare_means
from pipeline.stats.profit import (
    MoneySummary,
    Prices,
    compare_profit,
    estimate_incremental_roi,
    summarize_gain,
    summarize_profit,
)

PEOPLE = st.lists(
    st.tuples(
        st.integers(-(10**15), 10**15),
        st.fractions(0, 50, max_denominator=10_000),
        st.integers(0, 1),
    ),
    min_size=1,
    max_size=25,
)
FIELDS = ("r", "c", "o", "rr", "rc", "ro", "cc", "co")
PRICES = st.builds(
    Prices,
    st.fractions(0, 1, max_denominator=1000),
    st.fractions(0, 2000, max_denominator=100),
    st.fractions(0, 10, max_denominator=100),
)


def total(people: list[tuple[int, Fraction, int]]) -> MoneySummary:
    """The summary of some recipients."""
    return reduce(add, (MoneySummary.from_recipient(*person) for person in people), MoneySummary())


@given(PEOPLE, PRICES)
def test_profit_of_sums_is_the_sum_of_profits(
    people: list[tuple[int, Fraction, int]], prices: Prices
) -> None:
    """Computed per recipient first, or from the sums of products: the same to the last digit."""
    each = [prices.margin * r - c - prices.opt_out_cost * o - prices.fee for r, c, o in people]
    assert summarize_profit(total(people), prices) == MeanSummary.from_values(each)
    each = [prices.margin * r - prices.opt_out_cost * o for r, _, o in people]
    assert summarize_gain(total(people), prices) == MeanSummary.from_values(each)


@given(PEOPLE, st.integers(0, 25))
def test_money_adds_up_exactly(people: list[tuple[int, Fraction, int]], cut: int) -> None:
    """Splitting the people in any way changes no digit."""
    assert total(people[:cut]) + total(people[cut:]) == total(people)


def test_profit_is_compared_by_welch() -> None:
    """The comparison is Welch's of the profits of the recipients."""
    prices = Prices(Fraction(3, 10), Fraction(800))
    a = [(1000, Fraction(9, 2), 0), (0, Fraction(9, 2), 1), (0, Fraction(9, 2), 0)]
    b = [(2000, Fraction(9), 0), (0, Fraction(9), 0), (500, Fraction(9), 0)]
    profits = [
        MeanSummary.from_values(prices.margin * r - c - 800 * o for r, c, o in people)
        for people in (a, b)
    ]
    assert compare_profit(total(a), total(b), prices) == compare_means(*profits)


def test_the_return_covers_the_truth_as_often_as_it_says() -> None:
    """Of 1,000 simulated campaigns with a holdout about 95 % of the intervals hold the truth."""
    draw = np.random.default_rng(17)
    prices, runs, hits = Prices(Fraction(1, 2)), 1000, 0
    truth = 0.5 * (0.05 - 0.03) * 1000 / 4.5
    for _ in range(runs):
        arms = []
        for people, rate, cost in ((8000, 0.05, (3, 6)), (4000, 0.03, (0, 0))):
            buyers = int(draw.binomial(people, rate))
            long = int(draw.binomial(buyers, 0.5)), int(draw.binomial(people - buyers, 0.5))
            arm = MoneySummary()
            for count, revenue, price in (
                (long[0], 1000, cost[1]),
                (buyers - long[0], 1000, cost[0]),
                (long[1], 0, cost[1]),
                (people - buyers - long[1], 0, cost[0]),
            ):
                one = MoneySummary.from_recipient(revenue, price, 0)
                arm += MoneySummary(
                    count,
                    *(
                        getattr(one, f) * count
                        for f in ["r", "c", "o", "rr", "rc", "ro", "cc", "co"]
                    ),
                )
            arms.append(arm)
        found = estimate_incremental_roi(*arms, prices)
        hits += found.roi_incremental_lower <= truth <= found.roi_incremental_upper
    assert abs(hits / runs - 0.95) < 4 * math.sqrt(0.95 * 0.05 / runs)


def test_what_is_undefined_is_nan() -> None:
    """No holdout, nobody sent to, or no cost: no return is invented."""
    prices, nobody = Prices(Fraction(1, 2)), MoneySummary()
    some = MoneySummary.from_recipient(5, 1, 0) + MoneySummary.from_recipient(0, 1, 0)
    free = MoneySummary.from_recipient(5, 0, 0) + MoneySummary.from_recipient(0, 0, 0)
    for arm, holdout in ((some, nobody), (nobody, free), (free, free)):
        assert math.isnan(estimate_incremental_roi(arm, holdout, prices).roi_incremental)
    one = MoneySummary.from_recipient(5, 1, 0)
    assert math.isnan(estimate_incremental_roi(one, free, prices).roi_incremental_lower)
    with pytest.raises(ValueError, match="confidence_level == 0"):
        estimate_incremental_roi(nobody, nobody, prices, confidence_level=0)
