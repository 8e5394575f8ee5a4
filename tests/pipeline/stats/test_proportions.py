"""One and two proportions against published tables and independent implementations."""

from __future__ import annotations

import math
from decimal import Decimal, localcontext
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
import tea_tasting as tt
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize, stats
from statsmodels.stats import proportion

from pipeline.stats.proportions import compare_proportions, estimate_proportion
from pipeline.stats.score import score_statistic

COUNTS = st.integers(1, 5000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))
SMALL = st.integers(2, 60).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))

NEWCOMBE = [
    # Newcombe (1998b), Stat Med 17:873, table II: counts, method 10 (hybrid), method 6 (score)
    ((48, 80), (56, 70), (0.0524, 0.3339), (0.0528, 0.3382)),
    ((3, 10), (9, 10), (0.1705, 0.8090), (0.1700, 0.8406)),
    ((2, 7), (6, 7), (0.0582, 0.8062), (0.0342, 0.8534)),
    ((0, 29), (5, 56), (-0.0381, 0.1926), (-0.0326, 0.1933)),
    ((0, 20), (0, 10), (-0.1611, 0.2775), (-0.1658, 0.2844)),
    ((0, 10), (0, 10), (-0.2775, 0.2775), (-0.2879, 0.2879)),
    ((0, 20), (10, 10), (0.6791, 1.0000), (0.7156, 1.0000)),
    ((0, 10), (10, 10), (0.6075, 1.0000), (0.6636, 1.0000)),
]


@given(COUNTS)
def test_wilson_equals_statsmodels(counts: tuple[int, int]) -> None:
    """The interval of one proportion is that of statsmodels, for any counts."""
    expected = proportion.proportion_confint(*counts, method="wilson")
    assert estimate_proportion(*counts)[1:] == pytest.approx(expected, abs=1e-9)


@given(COUNTS, st.sampled_from([0.8, 0.95, 0.999]))
def test_clopper_pearson_equals_scipy(counts: tuple[int, int], level: float) -> None:
    """The exact interval of one proportion is that of scipy, for any counts and level."""
    found = estimate_proportion(*counts, confidence_level=level, method="clopper_pearson")
    expected = stats.binomtest(*counts).proportion_ci(level, method="exact")
    assert found[1:] == pytest.approx((expected.low, expected.high), abs=1e-10)


def test_clopper_pearson_covers_at_least_its_level() -> None:
    """For each true proportion of a grid the exact chance to cover it is 95 % or more."""
    bounds = [estimate_proportion(k, 40, method="clopper_pearson") for k in range(41)]
    for truth in np.linspace(0.005, 0.995, 199):
        weights = stats.binom.pmf(np.arange(41), 40, truth)
        covered = [bound.ci_lower <= truth <= bound.ci_upper for bound in bounds]
        assert weights[covered].sum() >= 0.95 - 1e-12


@given(COUNTS, COUNTS)
def test_newcombe_equals_statsmodels(control: tuple[int, int], treatment: tuple[int, int]) -> None:
    """The interval of a difference is that of statsmodels, for any counts."""
    found = compare_proportions(control, treatment)
    expected = proportion.confint_proportions_2indep(
        *treatment, *control, method="newcomb", compare="diff"
    )
    assert (found.ci_lower, found.ci_upper) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(("control", "treatment", "hybrid", "score"), NEWCOMBE)
def test_intervals_equal_the_published_table(
    control: tuple[int, int],
    treatment: tuple[int, int],
    hybrid: tuple[float, float],
    score: tuple[float, float],
) -> None:
    """Newcombe's eight cases, zero and full counts among them, to the four printed digits."""
    found = compare_proportions(control, treatment)
    assert (found.ci_lower, found.ci_upper) == pytest.approx(hybrid, abs=6e-5)
    found = compare_proportions(control, treatment, method="score")
    assert (found.ci_lower, found.ci_upper) == pytest.approx(score, abs=6e-5)


@given(SMALL, SMALL, st.floats(-0.9, 0.9).filter(lambda d: abs(d) > 1e-3))
@settings(max_examples=60)
def test_the_score_maximises_the_likelihood(
    control: tuple[int, int], treatment: tuple[int, int], difference: float
) -> None:
    """The closed form of the restricted shares is the maximum that a search finds.

    statsmodels 0.15 is no oracle here: for equal arms, 4 of 9 each, it prints limits that are
    not symmetric about 0.
    """
    (hits1, n1), (hits2, n2) = control, treatment

    def surprise(p: float) -> float:
        return -float(
            stats.binom.logpmf(hits1, n1, p) + stats.binom.logpmf(hits2, n2, p + difference)
        )

    low, high = max(0.0, -difference) + 1e-12, min(1.0, 1 - difference) - 1e-12
    best = optimize.minimize_scalar(
        surprise, bounds=(low, high), method="bounded", options={"xatol": 1e-12}
    ).x
    total = n1 + n2
    other = best + difference
    variance = best * (1 - best) / n1 + other * (1 - other) / n2
    expected = (hits2 / n2 - hits1 / n1 - difference) / math.sqrt(variance * total / (total - 1))
    found = score_statistic(control, treatment, difference)
    assert found == pytest.approx(expected, rel=2e-4, abs=1e-5)


@pytest.mark.parametrize(
    ("control", "treatment", "difference"),
    [((3, 10**6), (9, 10**6), 2e-6), ((40, 10_000), (60, 10_000), 0.002)],
)
def test_the_score_of_rare_events_keeps_its_digits(
    control: tuple[int, int], treatment: tuple[int, int], difference: float
) -> None:
    """Rates of a few in a million: the statistic equals one computed with 50 digits."""
    (hits1, n1), (hits2, n2) = control, treatment
    with localcontext() as context:
        context.prec = 50
        gap = Decimal(difference)
        low, high = Decimal(0), 1 - gap
        for _ in range(150):  # where the likelihood stops rising
            p = (low + high) / 2
            q = p + gap
            slope = hits1 / p - (n1 - hits1) / (1 - p) + hits2 / q - (n2 - hits2) / (1 - q)
            low, high = (p, high) if slope > 0 else (low, p)
        variance = (low * (1 - low) / n1 + q * (1 - q) / n2) * (n1 + n2) / (n1 + n2 - 1)
        expected = (Decimal(hits2) / n2 - Decimal(hits1) / n1 - gap) / variance.sqrt()
    found = score_statistic(control, treatment, difference)
    assert found == pytest.approx(float(expected), rel=1e-9)


@given(SMALL, SMALL)
def test_score_interval_and_test_agree(
    control: tuple[int, int], treatment: tuple[int, int]
) -> None:
    """One variance for both: 0 is outside the interval exactly when p is below 5 %."""
    found = compare_proportions(control, treatment, method="score")
    if not math.isnan(found.pvalue) and abs(found.pvalue - 0.05) > 1e-9:
        excludes = found.ci_lower > 0 or found.ci_upper < 0
        assert excludes == (found.pvalue < 0.05)


@given(COUNTS, COUNTS, st.sampled_from(["newcombe", "score"]))
@settings(max_examples=60, deadline=None)
def test_swapping_the_arms_swaps_the_signs(
    first: tuple[int, int], second: tuple[int, int], method: str
) -> None:
    """Nothing depends on which arm is called control but the sign."""
    one = compare_proportions(first, second, method=method)  # type: ignore[arg-type]
    two = compare_proportions(second, first, method=method)  # type: ignore[arg-type]
    assert one.effect_size == pytest.approx(-two.effect_size)
    assert one.ci_lower == pytest.approx(-two.ci_upper, abs=1e-9)
    assert one.pvalue == pytest.approx(two.pvalue, nan_ok=True)


@given(COUNTS, COUNTS, st.sampled_from(["newcombe", "score"]))
@settings(max_examples=60, deadline=None)
def test_counting_failures_instead_mirrors_the_result(
    first: tuple[int, int], second: tuple[int, int], method: str
) -> None:
    """A drop of failures is the same rise of successes, with the same p-value."""
    hits = compare_proportions(first, second, method=method)  # type: ignore[arg-type]
    flipped = [(n - k, n) for k, n in (first, second)]
    misses = compare_proportions(*flipped, method=method)  # type: ignore[arg-type, misc]
    assert hits.ci_lower == pytest.approx(-misses.ci_upper, abs=1e-9)
    assert hits.pvalue == pytest.approx(misses.pvalue, nan_ok=True)


@given(COUNTS, COUNTS)
def test_intervals_contain_the_estimate_and_stay_possible(
    first: tuple[int, int], second: tuple[int, int]
) -> None:
    """The point is inside its interval, and no limit is an impossible difference."""
    found = compare_proportions(first, second)
    assert -1 - 1e-12 <= found.ci_lower <= found.effect_size + 1e-12
    assert found.effect_size - 1e-12 <= found.ci_upper <= 1 + 1e-12


@pytest.mark.parametrize("method", ["newcombe", "score"])
def test_more_people_narrow_the_interval(method: str) -> None:
    """The same rates with ever more recipients give ever narrower intervals and smaller p."""
    found = [
        compare_proportions((10 * k, 100 * k), (15 * k, 100 * k), method=method)  # type: ignore[arg-type]
        for k in (1, 10, 100, 10_000)
    ]
    for wide, narrow in pairwise(found):
        assert narrow.ci_upper - narrow.ci_lower < wide.ci_upper - wide.ci_lower
        assert narrow.pvalue < wide.pvalue


def test_the_pooled_z_test_equals_tea_tasting() -> None:
    """The p-value of a difference of proportions is tea-tasting's without correction."""
    found = compare_proportions((400, 1000), (450, 1000))
    experiment = tt.Experiment(metric=tt.Proportion("hit", method="norm", correction=False))
    hits = [1] * 400 + [0] * 600 + [1] * 450 + [0] * 550
    data = pa.table({"variant": [0] * 1000 + [1] * 1000, "hit": hits})
    assert found.pvalue == pytest.approx(experiment.analyze(data)["metric"].pvalue, rel=1e-9)


@pytest.mark.parametrize("method", ["newcombe", "score"])
@pytest.mark.parametrize(
    ("control", "treatment"),
    [
        ((0, 1), (1, 1)),
        ((1, 1), (1, 1)),
        ((0, 1), (0, 10**12)),
        ((0, 10**12), (10**12, 10**12)),
        ((5 * 10**11, 10**12), (5 * 10**11 + 10**7, 10**12)),
    ],
)
def test_extreme_counts_give_possible_numbers(
    control: tuple[int, int], treatment: tuple[int, int], method: str
) -> None:
    """One recipient, nobody, everybody, and a million million recipients are all answered."""
    found = compare_proportions(control, treatment, method=method)  # type: ignore[arg-type]
    assert -1 <= found.ci_lower <= found.effect_size + 1e-9
    assert found.effect_size - 1e-9 <= found.ci_upper <= 1
    assert math.isnan(found.pvalue) or 0 <= found.pvalue <= 1


@pytest.mark.parametrize(
    "call",
    [
        lambda: estimate_proportion(0, 0).estimate,
        lambda: estimate_proportion(0, 0).ci_lower,
        lambda: compare_proportions((0, 0), (1, 2)).effect_size,
        lambda: compare_proportions((0, 0), (1, 2)).pvalue,
        lambda: compare_proportions((0, 5), (0, 5)).pvalue,
        lambda: compare_proportions((5, 5), (7, 7), method="score").pvalue,
    ],
)
def test_what_is_undefined_is_nan(call: object) -> None:
    """No plausible number stands where there is none, and data never raise."""
    assert math.isnan(call())  # type: ignore[operator]


@pytest.mark.parametrize(
    ("call", "rule"),
    [
        (lambda: estimate_proportion(3, 2), "must be 0 to 2"),
        (lambda: compare_proportions((-1, 2), (1, 2)), "must be 0 to 2"),
        (lambda: estimate_proportion(1, 2, confidence_level=1.0), r"must be in \(0, 1\)"),
        (lambda: compare_proportions((1, 2), (1, 2), confidence_level=0), r"must be in \(0, 1\)"),
    ],
)
def test_a_mistake_of_the_caller_is_told(call: object, rule: str) -> None:
    """The value and the rule are named."""
    with pytest.raises(ValueError, match=rule):
        call()  # type: ignore[operator]
