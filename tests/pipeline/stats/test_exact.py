"""Boschloo's exact test against scipy's search over all tables."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from pipeline.stats.exact import compare_exactly
from pipeline.stats.proportions import compare_proportions

ARM = st.integers(1, 25).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


@given(ARM, ARM)
@settings(max_examples=40, deadline=None)
def test_the_exact_test_equals_scipy(control: tuple[int, int], treatment: tuple[int, int]) -> None:
    """One sum over the sums of a table gives what scipy's optimiser finds over all tables."""
    (hits1, n1), (hits2, n2) = control, treatment
    found = compare_exactly(control, treatment, nuisance_alpha=0)
    if hits1 + hits2 in {0, n1 + n2}:
        assert math.isnan(found)
        return
    table = [[hits1, hits2], [n1 - hits1, n2 - hits2]]
    expected = stats.boschloo_exact(table, n=128).pvalue
    assert found == pytest.approx(expected, rel=2e-4, abs=1e-9)


@given(ARM, ARM)
@settings(max_examples=40, deadline=None)
def test_arms_and_outcomes_can_be_swapped(
    control: tuple[int, int], treatment: tuple[int, int]
) -> None:
    """The p-value depends neither on the order of the arms nor on which outcome is counted."""
    found = compare_exactly(control, treatment)
    assert compare_exactly(treatment, control) == pytest.approx(found, nan_ok=True)
    misses = [(n - k, n) for k, n in (control, treatment)]
    assert compare_exactly(*misses) == pytest.approx(found, nan_ok=True, rel=1e-6)


@pytest.mark.parametrize(("n1", "n2", "share"), [(20, 20, 0.05), (15, 30, 0.1), (400, 400, 0.004)])
def test_a_true_null_is_rejected_at_most_as_often_as_promised(
    n1: int, n2: int, share: float
) -> None:
    """Summed over all tables, the chance of p ≤ 5 % is at most 5 %; that of the z test is not."""
    size = 0.0
    for a in range(min(n1, 12) + 1):
        for b in range(min(n2, 14) + 1):
            weight = stats.binom.pmf(a, n1, share) * stats.binom.pmf(b, n2, share)
            size += weight * (compare_exactly((a, n1), (b, n2)) <= 0.05)
    assert 0 < size <= 0.05


def test_small_counts_take_the_exact_test() -> None:
    """Below 5 expected in a cell the exact p-value is given, from there on the normal one."""
    few, many = ((1, 1000), (7, 1000)), ((2, 1000), (8, 1000))
    assert compare_proportions(*few).pvalue == compare_exactly(*few)
    pooled = 10 / 2000
    z = 0.006 / math.sqrt(pooled * (1 - pooled) * 2 / 1000)
    assert compare_proportions(*many).pvalue == pytest.approx(2 * stats.norm.sf(z))


def test_huge_arms_with_few_events_are_answered() -> None:
    """A dozen events in two million recipients: near the conditional test of the split."""
    found = compare_exactly((3, 10**6), (9, 10**6))
    assert 0.05 < found < stats.binomtest(3, 12).pvalue


@pytest.mark.parametrize("arms", [((0, 0), (1, 2)), ((0, 5), (0, 5)), ((5, 5), (3, 3))])
def test_what_is_undefined_is_nan(arms: tuple[tuple[int, int], tuple[int, int]]) -> None:
    """An empty arm, or no difference in outcome at all, says nothing."""
    assert math.isnan(compare_exactly(*arms))


def test_a_mistake_of_the_caller_is_told() -> None:
    """Impossible counts and levels are named."""
    with pytest.raises(ValueError, match="must be 0 to 2"):
        compare_exactly((3, 2), (1, 2))
    with pytest.raises(ValueError, match=r"nuisance_alpha == 1, must be in \[0, 1\)"):
        compare_exactly((1, 2), (1, 2), nuisance_alpha=1)


def test_p_values_of_rare_events_are_nearly_uniform_at_worst() -> None:
    """Simulated rare events: p ≤ 10 % happens in at most 10 % of 4,000 runs, plus 4 errors."""
    draw = np.random.default_rng(11)
    pairs = draw.binomial(2000, 0.002, (4000, 2))
    hits = sum(compare_exactly((int(a), 2000), (int(b), 2000)) <= 0.1 for a, b in pairs)
    assert hits / 4000 <= 0.1 + 4 * math.sqrt(0.1 * 0.9 / 4000)
