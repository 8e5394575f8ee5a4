"""Poisson rates per message against statsmodels and scipy."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats import rates

from pipeline.stats.event_rates import compare_event_rates, estimate_event_rate

EVENTS = st.tuples(st.integers(0, 300), st.integers(1, 10**6))


@given(EVENTS, st.sampled_from([0.9, 0.95]))
def test_the_interval_equals_statsmodels(arm: tuple[int, int], level: float) -> None:
    """Garwood's exact interval, no events included."""
    found = estimate_event_rate(*arm, confidence_level=level)
    low, high = rates.confint_poisson(*arm, method="exact-c", alpha=1 - level)
    assert (found.ci_lower, found.ci_upper) == pytest.approx((low, high), rel=1e-8, abs=1e-15)


@given(EVENTS, EVENTS)
def test_the_comparison_is_the_conditional_binomial(
    control: tuple[int, int], treatment: tuple[int, int]
) -> None:
    """The p-value doubles scipy's smaller tail; the limits are Clopper-Pearson's as odds."""
    found = compare_event_rates(control, treatment)
    total = control[0] + treatment[0]
    if not total:
        assert (found.effect_size, found.pvalue) == (0.0, 1.0)
        return
    share = treatment[1] / (control[1] + treatment[1])
    tails = [
        stats.binomtest(treatment[0], total, share, alternative=side).pvalue
        for side in ("less", "greater")
    ]
    assert found.pvalue == pytest.approx(min(1.0, 2 * min(tails)), rel=1e-6, abs=1e-300)
    exact = stats.binomtest(treatment[0], total).proportion_ci(0.95, method="exact")
    scale = control[1] / treatment[1]
    for p, bound in (
        (exact.low, found.relative_lift_lower),
        (exact.high, found.relative_lift_upper),
    ):
        expected = scale * p / (1 - p) - 1 if p < 1 else math.inf
        assert bound == pytest.approx(expected, rel=1e-6, abs=1e-9)


@given(EVENTS, EVENTS)
def test_interval_and_p_value_agree_and_arms_can_be_swapped(
    control: tuple[int, int], treatment: tuple[int, int]
) -> None:
    """A lift of 0 is outside exactly when p is below 5 %; swapping inverts the ratio."""
    found = compare_event_rates(control, treatment)
    if control[0] + treatment[0] and abs(found.pvalue - 0.05) > 1e-9:
        excludes = found.relative_lift_lower > 0 or found.relative_lift_upper < 0
        assert excludes == (found.pvalue < 0.05)
    swapped = compare_event_rates(treatment, control)
    assert swapped.pvalue == pytest.approx(found.pvalue, rel=1e-6)
    assert swapped.effect_size == pytest.approx(-found.effect_size)


def test_nothing_sent_says_nothing_and_mistakes_are_told() -> None:
    """Without exposure everything is nan; negative counts are named."""
    assert math.isnan(estimate_event_rate(0, 0).estimate)
    assert math.isnan(compare_event_rates((0, 0), (1, 5)).pvalue)
    assert compare_event_rates((0, 5), (3, 5)).relative_lift == math.inf
    with pytest.raises(ValueError, match="events == -1, must be 0 or more"):
        estimate_event_rate(-1, 5)
    with pytest.raises(ValueError, match="exposure == -5, must be 0 or more"):
        compare_event_rates((1, -5), (1, 5))
