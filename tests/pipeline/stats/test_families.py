"""Families of tests, many arms, segments and guardrails."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats import multitest, proportion
from statsmodels.stats.meta_analysis import combine_effects

from pipeline.stats.guardrails import (
    check_guardrail,
    check_mean_guardrail,
    is_equivalent,
    judge_bounds,
)
from pipeline.stats.means import MeanSummary, compare_means
from pipeline.stats.multiplicity import adjust_pvalues, compare_with_control, dunnett_critical
from pipeline.stats.proportions import compare_proportions
from pipeline.stats.segments import compare_segments, shrink_effects

PVALUES = st.lists(st.floats(0, 1), min_size=1, max_size=30)
METHODS = {"holm": "holm", "bonferroni": "bonferroni", "bh": "fdr_bh", "by": "fdr_by"}
ARM = st.integers(1, 3000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))
VALUES = st.lists(st.integers(-100, 100), min_size=2, max_size=30)


@pytest.mark.parametrize("method", METHODS)
@given(pvalues=PVALUES)
@settings(max_examples=25, deadline=None)  # statsmodels collects garbage at every call
def test_adjusted_p_values_equal_statsmodels(method: str, pvalues: list[float]) -> None:
    """All four adjustments, ties and zeros included; never below the raw p, never above 1."""
    found = adjust_pvalues(pvalues, method=method)  # type: ignore[arg-type]
    expected = multitest.multipletests(pvalues, method=METHODS[method])[1]
    assert found == pytest.approx(list(expected), rel=1e-9, abs=1e-15)
    assert all(raw <= p * (1 + 1e-12) <= 1 + 1e-12 for raw, p in zip(pvalues, found, strict=True))


@given(PVALUES)
def test_bh_equals_scipy(pvalues: list[float]) -> None:
    """A second independent source for the one that segments use."""
    expected = stats.false_discovery_control(pvalues)
    assert adjust_pvalues(pvalues, method="bh") == pytest.approx(list(expected))


def test_published_adjustments() -> None:
    """Benjamini & Hochberg (1995), section 3.2: 15 tests, four rejected at 5 %, Holm only three."""
    paper = [0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344]
    paper += [0.0459, 0.3240, 0.4262, 0.5719, 0.6528, 0.7590, 1.0]
    assert sum(p <= 0.05 for p in adjust_pvalues(paper, method="bh")) == 4
    assert sum(p <= 0.05 for p in adjust_pvalues(paper)) == 3


def test_undefined_tests_do_not_count() -> None:
    """A nan stays a nan and makes nobody else's p-value larger."""
    found = adjust_pvalues([0.01, math.nan, 0.04])
    assert (found[0], found[2]) == (0.02, 0.04)
    assert math.isnan(found[1])
    assert adjust_pvalues([]) == []


def test_dunnett_equals_scipy() -> None:
    """Adjusted p-values and simultaneous limits of arms of different size."""
    draw = np.random.default_rng(14)
    arms = [[int(v) for v in draw.normal(m, 30, n)] for m, n in ((100, 20), (110, 15), (130, 25))]
    samples = [np.array(arm, dtype=float) for arm in arms]
    expected = stats.dunnett(*samples[1:], control=samples[0], rng=np.random.default_rng(1))
    interval = expected.confidence_interval()
    summaries = [MeanSummary.from_values(arm) for arm in arms]
    found = compare_with_control(summaries[0], summaries[1:])
    assert [r.pvalue for r in found] == pytest.approx(list(expected.pvalue), abs=2e-4)
    assert [r.ci_lower for r in found] == pytest.approx(list(interval.low), abs=0.02)
    assert [r.ci_upper for r in found] == pytest.approx(list(interval.high), abs=0.02)


def test_dunnett_equals_the_published_table() -> None:
    """Dunnett (1964), two-sided 5 %, equal counts: k treatments, degrees of freedom."""
    table = [(1, 20, 2.09), (2, 20, 2.38), (5, 20, 2.73), (9, 20, 2.95), (2, 5, 3.03)]
    table += [(2, 120, 2.24), (5, 120, 2.55), (9, 120, 2.73), (9, math.inf, 2.69)]
    for count, freedom, expected in table:
        found = dunnett_critical(np.full(count, math.sqrt(0.5)), freedom, 0.95)
        assert found == pytest.approx(expected, abs=0.0051)


def test_dunnett_lies_between_one_test_and_bonferroni() -> None:
    """Sharper than Bonferroni, stricter than no adjustment; huge arms included."""
    for n in (5, 1000, 10**8):
        control = MeanSummary.from_moments(n, 10.0, 4.0)
        arms = [MeanSummary.from_moments(n, 10.0 + k / 10, 4.0) for k in range(9)]
        for found, arm in zip(compare_with_control(control, arms), arms, strict=True):
            fixed = compare_means(control, arm)
            assert found.ci_lower < fixed.ci_lower + (0.2 if n == 5 else 0)
            wide = compare_means(control, arm, confidence_level=1 - 0.05 / 9)
            assert found.ci_lower > wide.ci_lower
            assert (found.pvalue <= 0.05) == (found.ci_lower > 0 or found.ci_upper < 0)


def test_dunnett_without_spread_is_nan() -> None:
    """One value an arm, constant values, or no treatment: nothing is invented."""
    one, two = MeanSummary.from_values([1]), MeanSummary.from_values([1, 1])
    assert math.isnan(compare_with_control(one, [two])[0].pvalue)
    assert math.isnan(compare_with_control(two, [two])[0].ci_lower)
    assert compare_with_control(two, []) == []


def test_cochrans_q_equals_statsmodels() -> None:
    """Pooled effect, Q and the moments estimate behind the shrinkage."""
    effects, errors = [0.1, 0.3, -0.2, 0.5], [0.1, 0.12, 0.2, 0.15]
    other = combine_effects(np.array(effects), np.array(errors) ** 2, method_re="dl")
    found = compare_segments(effects, errors, [0.3, 0.01, 0.3, 0.001])
    assert found.effect_size == pytest.approx(other.mean_effect_fe)
    assert found.heterogeneity == pytest.approx(other.q)
    assert found.heterogeneity_pvalue == pytest.approx(other.test_homogeneity().pvalue)
    between = other.tau2
    expected = [
        other.mean_effect_fe + between / (between + e**2) * (d - other.mean_effect_fe)
        for d, e in zip(effects, errors, strict=True)
    ]
    assert shrink_effects(effects, errors) == pytest.approx(expected)


@given(
    st.lists(st.tuples(st.floats(-9, 9), st.floats(0.01, 9)), min_size=2, max_size=20),
    st.floats(1e-6, 1e6),
)
def test_segments_do_not_depend_on_the_unit(rows: list[tuple[float, float]], unit: float) -> None:
    """Q stays, effects scale; shrunken effects lie between the effect and the mean."""
    effects, errors = [d for d, _ in rows], [e for _, e in rows]
    one = compare_segments(effects, errors, [0.5] * len(rows))
    two = compare_segments(
        [unit * d for d in effects], [unit * e for e in errors], [0.5] * len(rows)
    )
    assert two.heterogeneity == pytest.approx(one.heterogeneity, rel=1e-6, abs=1e-9)
    assert two.effect_size == pytest.approx(unit * one.effect_size, rel=1e-6, abs=1e-6 * unit)
    for effect, shrunk in zip(effects, shrink_effects(effects, errors), strict=True):
        low, high = sorted((effect, one.effect_size))
        assert low - 1e-9 <= shrunk <= high + 1e-9


def test_segments_without_data_do_not_count() -> None:
    """An empty segment is nan and takes no degree of freedom."""
    found = compare_segments([0.1, math.nan, 0.2], [0.1, math.nan, 0.1], [0.3, math.nan, 0.05])
    assert found.df == 1
    assert found.pvalues == pytest.approx([0.3, math.nan, 0.1], nan_ok=True)
    alone = compare_segments([0.1], [0.1], [0.3])
    assert (alone.effect_size, alone.df) == (pytest.approx(0.1), 0)
    assert math.isnan(alone.heterogeneity_pvalue)
    assert math.isnan(compare_segments([], [], []).effect_size)
    assert shrink_effects([0.3, math.nan], [0.1, 0.1]) == pytest.approx(
        [0.3, math.nan], nan_ok=True
    )


@given(ARM, ARM, st.floats(0.001, 0.2), st.booleans())
@settings(max_examples=80, deadline=None)
def test_a_guardrail_says_the_same_in_bound_and_p_value(
    control: tuple[int, int],
    treatment: tuple[int, int],
    margin: float,
    higher: bool,  # noqa: FBT001
) -> None:
    """Status ok exactly when p is below alpha, in both directions: one statistic for both."""
    found = check_guardrail(control, treatment, margin=margin, higher_is_better=higher)
    if abs(found.pvalue - 0.05) > 1e-6:
        assert (found.status == "ok") == (found.pvalue < 0.05)
    mirrored = check_guardrail(
        (control[1] - control[0], control[1]),
        (treatment[1] - treatment[0], treatment[1]),
        margin=margin,
        higher_is_better=not higher,
    )
    assert mirrored.status == found.status
    assert mirrored.pvalue == pytest.approx(found.pvalue, abs=1e-9)


def test_the_guardrail_is_statsmodels_score_test() -> None:
    """Equal arms (where statsmodels 0.15 is sound): z at the margin for a one-sided test."""
    found = check_guardrail((49, 12_316), (60, 12_316), margin=0.002)
    other = proportion.test_proportions_2indep(
        60, 12_316, 49, 12_316, value=0.002, method="score", alternative="smaller"
    )
    assert found.pvalue == pytest.approx(other.pvalue, rel=0.02)


@given(VALUES, VALUES, st.floats(0.1, 50), st.booleans())
def test_a_mean_guardrail_equals_scipys_one_sided_test(
    control: list[int],
    treatment: list[int],
    margin: float,
    higher: bool,  # noqa: FBT001
) -> None:
    """The p-value is Welch's one-sided one at the margin; ok exactly when it is below alpha."""
    one, two = MeanSummary.from_values(control), MeanSummary.from_values(treatment)
    found = check_mean_guardrail(one, two, margin=margin, higher_is_better=higher)
    if not one.mean_variance + two.mean_variance > 0:
        assert found.status == "pending"
        return
    assume(one.variance > 0 and two.variance > 0)  # scipy warns about constant values
    shift = -margin if higher else margin
    side = "greater" if higher else "less"
    expected = stats.ttest_ind(
        np.array(treatment) - shift, control, equal_var=False, alternative=side
    )
    assert found.pvalue == pytest.approx(float(expected.pvalue), rel=1e-6, abs=1e-12)
    if abs(found.pvalue - 0.05) > 1e-9:
        assert (found.status == "ok") == (found.pvalue < 0.05)


def test_no_data_is_no_proof() -> None:
    """An empty arm is pending, a small one never ok."""
    assert check_guardrail((0, 0), (0, 10), margin=0.002).status == "pending"
    assert check_guardrail((0, 10), (0, 10), margin=0.002).status == "warn"
    assert judge_bounds(math.nan, 1.0, margin=1, higher_is_better=True) == "pending"
    assert not is_equivalent(compare_proportions((0, 0), (0, 0)), 1.0)


def test_equivalence_is_two_one_sided_tests() -> None:
    """A 90 % interval inside the limit is TOST at 5 %, as statsmodels computes it."""
    control, treatment = (500, 5000), (505, 5000)
    for limit in (0.005, 0.01, 0.012, 0.02):
        tests = [
            proportion.test_proportions_2indep(
                *treatment, *control, value=v, method="wald", alternative=side
            ).pvalue
            for v, side in ((-limit, "larger"), (limit, "smaller"))
        ]
        found = compare_proportions(control, treatment, confidence_level=0.9)
        assert is_equivalent(found, limit) == (max(tests) < 0.05)


@pytest.mark.parametrize(
    ("call", "rule"),
    [
        (lambda: adjust_pvalues([1.5]), "pvalue == 1.5, must be in"),
        (lambda: compare_segments([1.0], [], [0.5]), "must be one per effect"),
        (lambda: shrink_effects([1.0], []), "must be one per effect"),
        (lambda: check_guardrail((0, 1), (0, 1), margin=0), "margin == 0"),
        (lambda: check_mean_guardrail(MeanSummary(), MeanSummary(), margin=0), "margin == 0"),
        (
            lambda: check_mean_guardrail(MeanSummary(), MeanSummary(), margin=1, alpha=0.7),
            "alpha == 0.7",
        ),
        (lambda: is_equivalent(compare_proportions((1, 2), (1, 2)), 0), "limit == 0"),
    ],
)
def test_a_mistake_of_the_caller_is_told(call: object, rule: str) -> None:
    """The value and the rule are named."""
    with pytest.raises(ValueError, match=rule.replace(".", r"\.")):
        call()  # type: ignore[operator]
