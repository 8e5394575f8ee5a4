"""Sample sizes, detectable effects and run time before anything is sent."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats import power as sm_power
from statsmodels.stats import proportion

from pipeline.stats.power import (
    compute_power,
    detect_mean,
    detect_proportion,
    estimate_run_days,
    inflate_for_looks,
    size_guardrail,
    size_means,
    size_proportions,
)
from pipeline.stats.sequential import widen_for_looks

TABLE = {
    # R: power.prop.test(p1 = base, p2 = base * (1 + rise), power = 0.8), measured
    0.005: (1_280_619, 327_922, 85_862, 39_885),
    0.01: (637_010, 163_095, 42_693, 19_827),
    0.02: (315_206, 80_682, 21_109, 9_798),
    0.05: (122_124, 31_234, 8_158, 3_780),
    0.1: (57_763, 14_751, 3_841, 1_774),
}


@pytest.mark.parametrize("base", TABLE)
def test_sizes_equal_the_measured_table(base: float) -> None:
    """Relative rises of 5, 10, 20 and 30 % at conversion and click rates."""
    found = [size_proportions(base, base * rise) for rise in (0.05, 0.1, 0.2, 0.3)]
    assert found == pytest.approx(list(TABLE[base]), abs=1)


def test_sizes_of_delivery_and_guardrail_equal_the_table() -> None:
    """A fall of delivery by 1 or 2 %, and an opt-out margin of 0.2 points at 0.4 %."""
    assert size_proportions(0.98, -0.0098) == pytest.approx(3_968, abs=1)
    assert size_proportions(0.95, -0.0095) == pytest.approx(9_001, abs=1)
    assert size_proportions(0.95, -0.019) == pytest.approx(2_433, abs=1)
    assert size_guardrail(0.004, 0.002) == 12_316


@given(
    st.floats(0.005, 0.5),
    st.floats(0.05, 0.5),
    st.sampled_from([0.8, 0.9]),
)
def test_sizes_equal_statsmodels(base: float, rise: float, power: float) -> None:
    """Pooled null and other powers, for equal arms."""
    expected = proportion.samplesize_proportions_2indep_onetail(
        base * rise, base, power, alpha=0.025, value=0, alternative="larger"
    )
    found = size_proportions(base, base * rise, power=power)
    assert found == pytest.approx(expected, rel=1e-6, abs=1)


@pytest.mark.parametrize("ratio", [0.5, 2.0])
def test_the_size_of_unequal_arms_has_the_planned_power(ratio: float) -> None:
    """Summed over all outcomes of both arms, the pooled z test rejects as often as planned."""
    n = size_proportions(0.3, 0.12, ratio=ratio)
    m = round(n * ratio)
    a, b = np.arange(n + 1)[:, None], np.arange(m + 1)[None, :]
    pooled = (a + b) / (n + m)
    with np.errstate(invalid="ignore"):
        z = np.abs(b / m - a / n) / np.sqrt(pooled * (1 - pooled) * (1 / n + 1 / m))
    chances = stats.binom.pmf(a, n, 0.3) * stats.binom.pmf(b, m, 0.42)
    assert float(chances[z > stats.norm.isf(0.025)].sum()) == pytest.approx(0.8, abs=0.01)


def test_mean_sizes_are_close_to_the_t_test() -> None:
    """The normal formula is within two recipients of statsmodels' exact t power."""
    for effect in (0.05, 0.1, 0.3):
        expected = sm_power.TTestIndPower().solve_power(effect, power=0.8, alpha=0.05)
        assert size_means(2.0, 2.0 * effect) == pytest.approx(expected, abs=2)


@given(st.floats(0.001, 0.9), st.integers(50, 10**7), st.sampled_from([0.5, 1.0, 2.0]))
def test_the_detectable_effect_is_the_inverse_of_the_size(
    base: float, n: int, ratio: float
) -> None:
    """The size for the MDE is the n it came from, and the power there is the planned one."""
    effect = detect_proportion(base, n, ratio=ratio)
    if math.isnan(effect):
        return
    if base + effect < 0.999:
        assert size_proportions(base, effect, ratio=ratio) == pytest.approx(n, rel=1e-6, abs=1)
        assert compute_power(base, effect, n, ratio=ratio) == pytest.approx(0.8, abs=1e-6)
    assert size_means(3.0, detect_mean(3.0, n, ratio=ratio), ratio=ratio) == pytest.approx(n, abs=1)


def test_more_people_show_smaller_effects() -> None:
    """The MDE falls with n, the size grows with the power and with a smaller alpha."""
    effects = [detect_proportion(0.02, n) for n in (500, 5000, 50_000, 5_000_000)]
    assert all(many < few for few, many in pairwise(effects))
    assert size_proportions(0.02, 0.004, power=0.9) > size_proportions(0.02, 0.004)
    assert size_proportions(0.02, 0.004, alpha=0.01) > size_proportions(0.02, 0.004)


def test_too_few_people_show_nothing() -> None:
    """Three recipients cannot show any rise of a rate of 90 %."""
    assert math.isnan(detect_proportion(0.9, 3))


def test_the_computed_power_is_the_simulated_one() -> None:
    """20,000 simulated tests at the planned size reject as often as planned."""
    n = size_proportions(0.05, 0.02)
    draw = np.random.default_rng(16)
    a, b = draw.binomial(n, 0.05, 20_000) / n, draw.binomial(n, 0.07, 20_000) / n
    pooled = (a + b) / 2
    z = np.abs(b - a) / np.sqrt(pooled * (1 - pooled) * 2 / n)
    rejected = float((z > stats.norm.isf(0.025)).mean())
    assert abs(rejected - 0.8) < 4 * math.sqrt(0.16 / 20_000) + 0.005


def test_the_price_of_looks_is_the_ratio_of_sizes() -> None:
    """With that many more recipients the sequence at N* reaches the planned power."""
    factor = inflate_for_looks(power=0.9)
    drift = (stats.norm.isf(0.025) + stats.norm.isf(0.1)) * math.sqrt(factor)
    assert stats.norm.sf(widen_for_looks(7.0, 7.0) - drift) == pytest.approx(0.9)


def test_run_time_is_filling_plus_window() -> None:
    """Days to fill the smallest arm, then until its outcomes are mature."""
    assert estimate_run_days(900, 0.45, 1000, window_days=3) == 5.0
    assert estimate_run_days(0, 0.45, 0, window_days=3) == 3
    assert estimate_run_days(1, 0.5, 0) == math.inf


@pytest.mark.parametrize(
    ("call", "rule"),
    [
        (lambda: size_proportions(0.0, 0.1), "base == 0.0"),
        (lambda: size_proportions(0.5, 0.5), "base + effect == 1.0"),
        (lambda: size_proportions(0.5, 0.0), "effect == 0"),
        (lambda: size_proportions(0.5, 0.1, power=1.0), "power == 1.0"),
        (lambda: size_proportions(0.5, 0.1, ratio=0), "ratio == 0"),
        (lambda: size_means(0.0, 1.0), "deviation == 0.0"),
        (lambda: size_means(1.0, 0.0), "effect == 0"),
        (lambda: detect_proportion(0.1, 0), "n == 0"),
        (lambda: estimate_run_days(1, 0.0, 1), "smallest_share == 0.0"),
        (lambda: estimate_run_days(1, 0.5, -1), "eligible_per_day == -1"),
    ],
)
def test_a_mistake_of_the_caller_is_told(call: object, rule: str) -> None:
    """The value and the rule are named."""
    with pytest.raises(ValueError, match=rule.replace(".", r"\.").replace("+", r"\+")):
        call()  # type: ignore[operator]
