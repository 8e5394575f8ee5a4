"""P(best), expected loss and the shares that follow from them."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, special, stats

from pipeline.stats.bandit import allocate_shares, compare_within_periods, update_shares
from pipeline.stats.best import compare_losses, rank_means, rank_proportions
from pipeline.stats.means import MeanSummary, compare_means

ARMS = st.lists(st.tuples(st.floats(-50, 50), st.floats(0.01, 20)), min_size=2, max_size=8)
COUNTS = st.integers(1, 4000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


@given(ARMS)
def test_chances_to_be_best_add_up_to_one(arms: list[tuple[float, float]]) -> None:
    """However different the errors are, in both directions; one arm is best or another is."""
    means, errors = [m for m, _ in arms], [e for _, e in arms]
    for higher in (True, False):
        ranked = rank_means(means, errors, higher_is_better=higher)
        assert sum(r.p_best for r in ranked) == pytest.approx(1.0, abs=1e-7)
        assert all(r.expected_loss >= 0 for r in ranked)


@given(st.lists(COUNTS, min_size=2, max_size=6))
@settings(deadline=None)
def test_chances_of_proportions_add_up_to_one(counts: list[tuple[int, int]]) -> None:
    """Zero, full and huge counts included, in both directions."""
    for higher in (True, False):
        ranked = rank_proportions(counts, higher_is_better=higher)
        assert sum(r.p_best for r in ranked) == pytest.approx(1.0, abs=1e-6)


@given(st.floats(-30, 30), st.floats(0.1, 5), st.floats(0.1, 5))
def test_two_normal_arms_equal_the_closed_form(gap: float, first: float, second: float) -> None:
    """Quadrature and closed form agree to nine digits, tails and tiny losses included."""
    ranked = rank_means([0.0, gap], [first, second])
    closed = compare_losses(gap, math.hypot(first, second))
    assert ranked[1].p_best == pytest.approx(closed.p_best, rel=1e-7, abs=1e-12)
    assert ranked[1].expected_loss == pytest.approx(closed.expected_loss, rel=1e-6, abs=1e-13)


@given(st.floats(-60, 60), st.floats(0.01, 100))
def test_the_closed_form_equals_integration(z: float, error: float) -> None:
    """E[(−d)⁺] by the closed form is the integral of the tail, safe for huge |μ/σ|."""
    found = compare_losses(z * error, error)
    expected = integrate.quad(lambda t: stats.norm.cdf(-z - t), 0, 12 + abs(z), limit=400)[0]
    assert found.expected_loss == pytest.approx(error * expected, rel=1e-6, abs=1e-9 * error)
    assert found.p_best == pytest.approx(stats.norm.cdf(z), rel=1e-9, abs=1e-300)


def test_a_tiny_loss_keeps_its_digits() -> None:
    """At μ/σ = 30 and 300 the loss is Mills' series, not a difference of large numbers."""
    for z in (6.0, 30.0, 37.0):
        mills = stats.norm.pdf(z) * sum(
            c / z ** (2 + 2 * k) for k, c in enumerate((1, -3, 15, -105, 945))
        )
        tolerance = 1e-2 if z < 10 else 1e-6 if z < 35 else 3e-5
        assert compare_losses(z, 1.0).expected_loss == pytest.approx(mills, rel=tolerance)
    assert compare_losses(300.0, 1.0).expected_loss == 0.0


def test_proportions_equal_millers_closed_form() -> None:
    """P(B > A) for beta posteriors as the finite sum of Miller (2014)."""
    for (a, n), (b, m) in (((10, 100), (18, 100)), ((0, 50), (2, 60)), ((400, 1000), (430, 1000))):
        first, second = (1 + a, 1 + n - a), (1 + b, 1 + m - b)
        expected = sum(
            math.exp(
                special.betaln(first[0] + i, second[1] + first[1])
                - math.log(second[1] + i)
                - special.betaln(1 + i, second[1])
                - special.betaln(*first)
            )
            for i in range(second[0])
        )
        found = rank_proportions([(a, n), (b, m)])[1].p_best
        assert found == pytest.approx(expected, rel=1e-8)


def test_losses_of_proportions_equal_integration() -> None:
    """Expected loss of three beta arms against adaptive integration of the definition."""
    counts = [(3, 500), (7, 480), (1, 50)]
    posteriors = [stats.beta(1 + k, 1 + n - k) for k, n in counts]
    for i, found in enumerate(rank_proportions(counts)):
        rivals = [p for j, p in enumerate(posteriors) if j != i]

        def shortfall(
            x: float, own: object = posteriors[i], rivals: list[object] = rivals
        ) -> float:
            above = 1 - math.prod(float(r.cdf(x)) for r in rivals)  # type: ignore[attr-defined]
            return float(own.cdf(x)) * above  # type: ignore[attr-defined]

        expected = integrate.quad(shortfall, 0, 1, points=[0.005, 0.02, 0.1], limit=200)[0]
        assert found.expected_loss == pytest.approx(expected, rel=1e-7)


@given(ARMS, st.floats(1e-6, 1e6), st.floats(-1e6, 1e6))
def test_ranks_do_not_depend_on_unit_or_origin(
    arms: list[tuple[float, float]], unit: float, shift: float
) -> None:
    """Cents or euros, profit or profit plus a constant: the chances stay, losses scale."""
    one = rank_means([m for m, _ in arms], [e for _, e in arms])
    two = rank_means([unit * m for m, _ in arms], [unit * e for _, e in arms])
    three = rank_means([m + shift for m, _ in arms], [e for _, e in arms])
    for a, b, c in zip(one, two, three, strict=True):
        assert b.p_best == pytest.approx(a.p_best, abs=1e-8)
        assert b.expected_loss == pytest.approx(unit * a.expected_loss, rel=1e-6, abs=1e-8 * unit)
        assert c.p_best == pytest.approx(a.p_best, abs=1e-5)


@given(ARMS)
def test_the_direction_belongs_to_the_metric(arms: list[tuple[float, float]]) -> None:
    """Lower is better is the same as higher is better of the negated values."""
    means, errors = [m for m, _ in arms], [e for _, e in arms]
    lower = rank_means(means, errors, higher_is_better=False)
    assert lower == rank_means([-m for m in means], errors)


def test_more_people_make_the_better_arm_surer() -> None:
    """The chance to be best grows and the loss falls with the sample."""
    found = [rank_proportions([(10 * k, 100 * k), (13 * k, 100 * k)])[1] for k in (1, 4, 16, 1000)]
    for few, many in pairwise(found):
        assert many.p_best > few.p_best
        assert many.expected_loss < few.expected_loss


def test_unknown_arms_are_nan_and_mistakes_are_told() -> None:
    """A missing error makes the rank undefined; lengths and priors are checked."""
    assert all(math.isnan(r.p_best) for r in rank_means([1.0, math.nan], [1.0, 1.0]))
    assert all(math.isnan(r.p_best) for r in rank_means([1.0, 2.0], [1.0, 0.0]))
    assert math.isnan(compare_losses(1.0, 0.0).p_best)
    assert rank_means([], []) == rank_proportions([]) == []
    with pytest.raises(ValueError, match="must be one per mean"):
        rank_means([1.0], [])
    with pytest.raises(ValueError, match="prior == "):
        rank_proportions([(1, 2)], prior=(0.0, 1.0))


@given(st.lists(st.floats(0.001, 1), min_size=2, max_size=10), st.floats(0, 0.3), st.floats(0, 0.5))
def test_every_arm_keeps_its_floor_and_the_holdout_its_share(
    weights: list[float], floor: float, holdout: float
) -> None:
    """Shares add up to 1 − holdout, none is below the floor, the order is that of the chances."""
    total = sum(weights)
    chances = {str(i): w / total for i, w in enumerate(weights)}
    shares = allocate_shares(chances, floor=floor, holdout=holdout)
    assert sum(shares.values()) == pytest.approx(1 - holdout)
    least = min(floor, 1 / len(weights)) * (1 - holdout)
    assert all(share >= least - 1e-12 for share in shares.values())
    best = max(chances, key=chances.__getitem__)
    assert shares[best] == pytest.approx(max(shares.values()))


def test_shares_stay_until_every_arm_is_mature() -> None:
    """One young arm holds all still; then the better one grows, lower-is-better too."""
    good, bad = (MeanSummary.from_moments(500, m, 1.0) for m in (1.2, 1.0))
    current = {"A": 0.4, "B": 0.4}
    young = {"A": good, "B": MeanSummary.from_moments(99, 1.0, 1.0)}
    assert update_shares(young, current, minimum_n=100, floor=0.05) == current
    grown = update_shares({"A": good, "B": bad}, current, minimum_n=100, floor=0.05, holdout=0.2)
    assert grown["A"] > 0.7
    assert sum(grown.values()) == pytest.approx(0.8)
    fewer = update_shares(
        {"A": good, "B": bad}, current, minimum_n=100, floor=0.05, higher_is_better=False
    )
    assert fewer["B"] > fewer["A"]
    flat = MeanSummary.from_values([1] * 200)
    assert update_shares({"A": flat, "B": bad}, current, minimum_n=100, floor=0.05) == current


def test_periods_do_not_mix() -> None:
    """With shares that follow the time of day the sum is biased, the weighted difference is not."""
    draw = np.random.default_rng(15)
    counts = ((900, 100, 0.0), (100, 900, 3.0))
    arms: tuple[list[MeanSummary], list[MeanSummary]] = ([], [])
    for *sizes, level in counts:
        for arm, size in zip(arms, sizes, strict=True):
            values = draw.normal(level, 1.0, size)
            arm.append(MeanSummary.from_moments(size, float(values.mean()), float(values.var())))
    found = compare_within_periods(*arms)
    assert found.ci_lower < 0 < found.ci_upper
    pooled = compare_means(arms[0][0] + arms[0][1], arms[1][0] + arms[1][1])
    assert pooled.ci_lower > 1
    single = compare_within_periods(arms[0][:1], arms[1][:1])
    assert single.effect_size == compare_means(arms[0][0], arms[1][0]).effect_size


def test_bandit_mistakes_and_gaps() -> None:
    """Impossible settings are named; nothing known gives equal shares or nan."""
    assert allocate_shares({"A": math.nan, "B": 0.5}, floor=0.1) == {"A": 0.5, "B": 0.5}
    assert allocate_shares({}, floor=0.1) == {}
    assert math.isnan(compare_within_periods([], []).effect_size)
    constant = MeanSummary.from_values([1, 1])
    assert math.isnan(compare_within_periods([constant], [constant]).pvalue)
    with pytest.raises(ValueError, match="floor == 1, must be in"):
        allocate_shares({"A": 1.0}, floor=1)
    with pytest.raises(ValueError, match="must add up to 1"):
        allocate_shares({"A": 0.3}, floor=0.1)
    with pytest.raises(ValueError, match="must name the arms"):
        update_shares({"A": constant}, {"B": 1.0}, minimum_n=1, floor=0.1)
    with pytest.raises(ValueError, match="treatment == 0 periods, must be 1"):
        compare_within_periods([constant], [])
