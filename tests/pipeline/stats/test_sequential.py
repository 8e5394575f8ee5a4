"""Confidence sequences and alpha spending against formulas, tables and brute force."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special, stats

from pipeline.stats.means import MeanSummary, compare_means
from pipeline.stats.pairs import PairSummary
from pipeline.stats.proportions import compare_proportions, estimate_proportion
from pipeline.stats.rare import watch_rare_proportion, watch_rare_proportions
from pipeline.stats.sequential import (
    tune_sequence,
    watch_estimate,
    watch_means,
    watch_proportions,
    watch_ratios,
    widen_for_looks,
)
from pipeline.stats.spending import (
    crossing_chances,
    design_boundaries,
    find_boundaries,
    spend_alpha,
)

ARM = st.integers(20, 5000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))
LEVEL = st.sampled_from([0.9, 0.95, 0.99])


@given(st.floats(-1, 1), st.floats(0.001, 1), st.integers(1, 10**7), LEVEL)
def test_the_p_value_is_below_alpha_exactly_when_zero_is_outside(
    estimate: float, error: float, n: int, level: float
) -> None:
    """Sequence and always-valid p-value are two sides of one martingale."""
    lower, upper, pvalue = watch_estimate(
        estimate, error, n, expected_n=10_000, confidence_level=level
    )
    if abs(pvalue - (1 - level)) > 1e-9:
        assert (pvalue < 1 - level) == (lower > 0 or upper < 0)
    assert lower <= estimate <= upper


def test_the_p_value_is_the_mixture_sprt() -> None:
    """1/p is the likelihood ratio averaged over effects N(0, ρ²σ²), integrated numerically."""
    n, error, estimate = 4000, 0.01, 0.035
    spread = math.sqrt(tune_sequence(10_000, 0.05)) * error * math.sqrt(n)
    effects = np.linspace(-9 * spread, 9 * spread, 200_001)
    ratios = np.exp((effects * estimate - effects**2 / 2) / error**2)
    mixed = float(np.trapezoid(ratios * stats.norm.pdf(effects, scale=spread), effects))
    found = watch_estimate(estimate, error, n, expected_n=10_000)[2]
    assert found == pytest.approx(1 / mixed, rel=1e-6)


def test_the_sequence_is_narrowest_where_it_was_tuned() -> None:
    """At n = N* no other ρ² gives a narrower interval than the closed form by more than 1 %."""
    tuned = widen_for_looks(10_000, 10_000)
    others = [widen_for_looks(10_000, 10_000 * factor) for factor in np.geomspace(0.2, 5, 41)]
    assert tuned <= min(others) * 1.01


@given(ARM, ARM, st.integers(100, 10**6), LEVEL)
def test_a_sequence_is_wider_than_the_fixed_interval(
    control: tuple[int, int], treatment: tuple[int, int], expected_n: int, level: float
) -> None:
    """Looking at any time costs width: the fixed normal interval lies inside."""
    shares = [hits / n for hits, n in (control, treatment)]
    error = math.sqrt(
        sum(p * (1 - p) / n for p, (_, n) in zip(shares, (control, treatment), strict=True))
    )
    found = watch_proportions(control, treatment, expected_n=expected_n, confidence_level=level)
    if error > 0:
        spread = stats.norm.ppf((1 + level) / 2) * error
        assert found.ci_lower < found.effect_size - spread
        assert found.ci_upper > found.effect_size + spread
        assert found.pvalue >= 2 * stats.norm.sf(abs(found.effect_size) / error) * 0.999


@given(ARM, ARM)
@settings(max_examples=50)
def test_swapping_the_arms_swaps_the_signs(first: tuple[int, int], second: tuple[int, int]) -> None:
    """Nothing depends on which arm is called control but the sign."""
    for watch in (
        lambda a, b: watch_proportions(a, b, expected_n=5000),
        lambda a, b: watch_rare_proportions(a, b, expected_rate=0.01, expected_n=5000),
    ):
        one, two = watch(first, second), watch(second, first)
        assert one.ci_lower == pytest.approx(-two.ci_upper, nan_ok=True, abs=1e-12)
        assert one.pvalue == pytest.approx(two.pvalue, nan_ok=True, rel=1e-6)


def test_means_and_ratios_use_the_same_sequence() -> None:
    """For 0/1 values mean, ratio (with x = 1) and proportion give one interval."""
    rows = {True: [1] * 300 + [0] * 2700, False: [1] * 240 + [0] * 2760}
    means = [MeanSummary.from_values(rows[key]) for key in (False, True)]
    pairs = [PairSummary.from_values([(v, 1) for v in rows[key]]) for key in (False, True)]
    one = watch_means(*means, expected_n=6000)
    two = watch_ratios(*pairs, expected_n=6000)
    three = watch_proportions((240, 3000), (300, 3000), expected_n=6000)
    assert two == pytest.approx(one, rel=1e-9)
    assert three == pytest.approx(one, rel=2e-2)
    assert one.ci_lower < compare_means(*means).ci_lower
    assert three.ci_lower < compare_proportions((240, 3000), (300, 3000)).ci_lower


@given(ARM, st.sampled_from([0.004, 0.02, 0.3]), LEVEL)
def test_the_rare_sequence_equals_brute_force(
    counts: tuple[int, int], rate: float, level: float
) -> None:
    """Just inside each limit the mixture is below 1/α, just outside it is not."""
    successes, n = counts
    found = watch_rare_proportion(
        *counts, expected_rate=rate, expected_n=2000, confidence_level=level
    )
    weight = 1 / tune_sequence(2000, 1 - level)
    a, b = rate * weight, (1 - rate) * weight

    def mixture(p: float) -> float:
        logs = special.betaln(a + successes, b + n - successes) - special.betaln(a, b)
        return float(logs - special.xlogy(successes, p) - special.xlog1py(n - successes, -p))

    limit = -math.log(1 - level)
    assert 0 <= found.ci_lower <= found.estimate <= found.ci_upper <= 1
    for bound, outside in ((found.ci_lower, -1e-6), (found.ci_upper, 1e-6)):
        beyond = bound * (1 + outside)
        if 0 < beyond < 1 and 0 < bound < 1:
            assert mixture(beyond) >= limit - 1e-9
            assert mixture(bound * (1 - outside)) <= limit + 1e-9


def test_the_rare_mixture_is_a_fair_bet() -> None:
    """Its mean over every outcome of 60 people at the true rate is 1: a martingale."""
    mean = 0.0
    for hits in range(61):
        found = watch_rare_proportion(hits, 60, expected_rate=0.05, expected_n=500)
        assert found.ci_lower <= hits / 60 <= found.ci_upper
        weight = 1 / tune_sequence(500, 0.05)
        a, b = 0.05 * weight, 0.95 * weight
        logs = special.betaln(a + hits, b + 60 - hits) - special.betaln(a, b)
        mean += math.exp(logs - hits * math.log(0.1) - (60 - hits) * math.log(0.9)) * float(
            stats.binom.pmf(hits, 60, 0.1)
        )
    assert mean == pytest.approx(1.0, rel=1e-9)


@given(ARM, ARM, LEVEL)
def test_the_rare_p_value_agrees_with_the_joined_intervals(
    control: tuple[int, int], treatment: tuple[int, int], level: float
) -> None:
    """It is at most α exactly when the joined interval excludes 0 at a prior tuned to α."""
    found = watch_rare_proportions(
        control, treatment, expected_rate=0.02, expected_n=3000, confidence_level=level
    )
    if abs(found.pvalue / (1 - level) - 1) > 1e-6:
        assert (found.pvalue < 1 - level) == (found.ci_lower > 0 or found.ci_upper < 0)


def test_the_rare_sequence_contains_wilsons_interval() -> None:
    """Looking at any time costs width for rare events as well."""
    found = watch_rare_proportion(40, 10_000, expected_rate=0.004, expected_n=10_000)
    fixed = estimate_proportion(40, 10_000)
    assert found.ci_lower < fixed.ci_lower
    assert found.ci_upper > fixed.ci_upper


def test_nothing_seen_says_nothing() -> None:
    """Without recipients the rare sequence is everything possible, the others are nan."""
    rare = watch_rare_proportions((0, 0), (0, 0), expected_rate=0.01, expected_n=100)
    assert (rare.ci_lower, rare.ci_upper, rare.pvalue) == (-1.0, 1.0, 1.0)
    assert math.isnan(watch_proportions((0, 0), (1, 2), expected_n=10).effect_size)
    assert math.isnan(watch_proportions((0, 9), (0, 9), expected_n=10).pvalue)
    assert math.isnan(watch_means(MeanSummary(), MeanSummary(), expected_n=10).ci_lower)
    assert math.isnan(watch_ratios(PairSummary(), PairSummary(), expected_n=10).ci_lower)


def test_extreme_counts_are_answered() -> None:
    """One recipient, everybody, and 10^9 recipients give ordered limits."""
    for counts in ((1, 1), (0, 1), (10**9, 10**9), (0, 10**9), (4 * 10**6, 10**9)):
        found = watch_rare_proportion(*counts, expected_rate=0.004, expected_n=10**6)
        assert 0 <= found.ci_lower <= found.estimate <= found.ci_upper <= 1


PUBLISHED = [
    # Jennison & Turnbull (2000), tables 2.1 and 2.3, alpha = 0.05 two-sided
    (2, 2.178, 1.977),
    (3, 2.289, 2.004),
    (4, 2.361, 2.024),
    (5, 2.413, 2.040),
    (10, 2.555, 2.087),
]


@pytest.mark.parametrize(("looks", "pocock", "obrien_fleming"), PUBLISHED)
def test_designs_equal_the_published_constants(
    looks: int, pocock: float, obrien_fleming: float
) -> None:
    """Both classical designs to the three printed digits."""
    assert design_boundaries(looks, shape="pocock")[-1] == pytest.approx(pocock, abs=6e-4)
    assert design_boundaries(looks)[-1] == pytest.approx(obrien_fleming, abs=6e-4)


def test_spending_boundaries_equal_the_published_ones() -> None:
    """Five even looks by Lan-DeMets: the values of ld98 (Reboussin et al. 2000) and gsDesign."""
    looks = [0.2, 0.4, 0.6, 0.8, 1.0]
    expected = [4.8769, 3.3569, 2.6803, 2.2898, 2.0310]
    assert find_boundaries(looks) == pytest.approx(expected, abs=2e-3)
    expected = [2.4380, 2.4268, 2.4101, 2.3966, 2.3859]
    assert find_boundaries(looks, shape="pocock") == pytest.approx(expected, abs=2e-3)


@given(
    st.lists(st.floats(0.02, 0.5), min_size=1, max_size=6),
    st.sampled_from(["obrien_fleming", "pocock"]),
)
@settings(max_examples=25, deadline=None)
def test_uneven_looks_never_spend_more_than_alpha(gaps: list[float], shape: str) -> None:
    """Whatever the looks, overrun included, the recursion finds exactly the spent alpha."""
    fractions = list(np.cumsum(gaps))
    bounds = find_boundaries(fractions, shape=shape)  # type: ignore[arg-type]
    spent = [spend_alpha(t, shape=shape) for t in fractions]  # type: ignore[arg-type]
    assert crossing_chances(bounds, fractions) == pytest.approx(spent, abs=2e-6)
    assert spent[-1] <= 0.05


def test_the_recursion_equals_simulation() -> None:
    """20,000 simulated score paths with an effect cross as often as the recursion says."""
    draw = np.random.default_rng(13)
    fractions = np.array([0.3, 0.5, 0.9, 1.2])
    steps = np.diff(fractions, prepend=0.0)
    paths = np.cumsum(draw.normal(2.0 * steps, np.sqrt(steps), (20_000, 4)), axis=1)
    bounds = [2.8, 2.5, 2.2, 2.0]
    crossed = (np.abs(paths) >= bounds * np.sqrt(fractions)).cumsum(axis=1) > 0
    expected = crossing_chances(bounds, fractions.tolist(), drift=2.0)
    assert crossed.mean(axis=0) == pytest.approx(expected, abs=4 * math.sqrt(0.25 / 20_000))


@pytest.mark.parametrize(
    ("call", "rule"),
    [
        (lambda: tune_sequence(0, 0.05), "expected_n == 0, must be positive"),
        (lambda: watch_estimate(1, 1, 1, expected_n=1, confidence_level=2), "must be in"),
        (lambda: watch_rare_proportion(1, 0, expected_rate=0.1, expected_n=1), "must be 0 to 0"),
        (lambda: watch_rare_proportion(0, 1, expected_rate=0, expected_n=1), "expected_rate == 0"),
        (lambda: spend_alpha(-1), "fraction == -1, must be 0 or more"),
        (lambda: spend_alpha(0.5, alpha=0), "alpha == 0"),
        (lambda: find_boundaries([0.5, 0.5]), "must rise from above 0"),
        (lambda: design_boundaries(0), "looks == 0, must be 1 to 100"),
        (lambda: crossing_chances([1.0], [0.5, 1]), "must be one per fraction"),
    ],
)
def test_a_mistake_of_the_caller_is_told(call: object, rule: str) -> None:
    """The value and the rule are named."""
    with pytest.raises(ValueError, match=rule):
        call()  # type: ignore[operator]


def test_nothing_is_spent_before_the_first_look() -> None:
    """At fraction 0 nothing; with everything spent the next boundary cannot be reached."""
    assert spend_alpha(0.0) == 0.0
    assert find_boundaries([1.0, 1.1])[1] == math.inf
