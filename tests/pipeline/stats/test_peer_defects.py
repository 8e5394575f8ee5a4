"""Defects found in other packages, each with a test that it is not here (statistics.md §2)."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import special, stats

from pipeline.stats import (
    MeanSummary,
    adjust_pvalues,
    allocate_shares,
    check_guardrail,
    check_sample_ratio,
    compare_event_rates,
    compare_losses,
    compare_means,
    compare_proportions,
    compute_power,
    crossing_chances,
    design_boundaries,
    estimate_lift,
    estimate_proportion,
    rank_means,
    rank_proportions,
    size_proportions,
    spend_alpha,
    update_shares,
    watch_sample_ratio,
)
from pipeline.stats.score import score_statistic


@pytest.mark.parametrize("arms", [2, 3, 5])
def test_gbstats_top_two_with_lower_is_better(arms: int) -> None:
    """Every rule is right in both directions and with two arms: fewer opt-outs win."""
    counts = [(30 + 10 * k, 10_000) for k in range(arms)]
    fewer = [r.p_best for r in rank_proportions(counts, higher_is_better=False)]
    more = [r.p_best for r in rank_proportions(counts)]
    assert fewer == sorted(fewer, reverse=True)
    assert more == sorted(more)
    normal = [MeanSummary.from_moments(n, h / n, h / n) for h, n in counts]
    named = dict(zip("ABCDE", normal, strict=False))
    current = dict.fromkeys(named, 1 / arms)
    shares = update_shares(named, current, minimum_n=1, floor=0.01, higher_is_better=False)
    assert max(shares, key=shares.__getitem__) == "A"
    harmed = check_guardrail((40, 10_000), (120, 10_000), margin=0.002)
    helped = check_guardrail((40, 10_000), (120, 10_000), margin=0.002, higher_is_better=True)
    assert (harmed.status, helped.status) == ("bad", "ok")


def test_gbstats_top_two_with_two_arms_never_optimises() -> None:
    """Two arms get the shares of plain Thompson sampling, not half and half."""
    ranked = rank_means([1.0, 1.3], [0.1, 0.1])
    shares = allocate_shares({"A": ranked[0].p_best, "B": ranked[1].p_best}, floor=0.05)
    assert shares["B"] == pytest.approx(0.05 + 0.9 * ranked[1].p_best)
    assert shares["B"] > 0.9


def test_gbstats_srm_counts_arms_of_weight_zero() -> None:
    """They take no degree of freedom; people in one are a fault of their own."""
    two, shares = {"A": 480, "B": 520}, {"A": 0.5, "B": 0.5, "C": 0.0}
    assert check_sample_ratio(two | {"C": 0}, shares) == check_sample_ratio(two, shares)
    assert check_sample_ratio(two | {"C": 1}, shares) == 0.0
    live = watch_sample_ratio(two, shares)
    assert watch_sample_ratio(two | {"C": 0}, shares) == live
    assert watch_sample_ratio(two | {"C": 1}, shares) == (0.0, math.inf)


@pytest.mark.parametrize(
    "call",
    [
        lambda: compare_proportions((1, 2), (1, 2), method="Newcombe"),  # type: ignore[arg-type]
        lambda: estimate_proportion(1, 2, method="wald"),  # type: ignore[arg-type]
        lambda: estimate_lift(1, 1, 1, 1, method="delta"),  # type: ignore[arg-type]
        lambda: adjust_pvalues([0.5], method="fdr"),  # type: ignore[arg-type]
        lambda: spend_alpha(0.5, shape="obf"),  # type: ignore[arg-type]
        lambda: design_boundaries(2, shape="obf"),  # type: ignore[arg-type]
    ],
)
def test_gbstats_branch_that_a_wrong_comparison_never_runs(call: object) -> None:
    """A word that names no method is refused, not answered by another method."""
    with pytest.raises(ValueError, match="must be one of"):
        call()  # type: ignore[operator]


def test_posthog_sixteen_variances_miss_the_power() -> None:
    """The rule of thumb has too little power for a rise of 2 to 3 %; the planned size has it."""
    thumb = 16 * 0.02 * 0.98 / 0.01**2
    assert compute_power(0.02, 0.01, thumb) < 0.75
    assert compute_power(0.02, 0.01, size_proportions(0.02, 0.01)) == pytest.approx(0.8, abs=1e-3)


def test_growthbook_intervals_from_adjusted_p_values() -> None:
    """Intervals never come out of p-values: at p = 1 the interval is as wide as the data say."""
    same = compare_proportions((100, 1000), (100, 1000))
    assert same.pvalue == 1.0
    assert same.ci_upper - same.ci_lower == pytest.approx(0.0526, abs=1e-3)
    a, b = MeanSummary.from_moments(90, 0.0, 1.0), MeanSummary.from_moments(90, 0.36, 1.0)
    for family in (1, 2, 5, 10):
        wide = compare_means(a, b, confidence_level=1 - 0.05 / family)
        adjusted = adjust_pvalues([wide.pvalue] * family, method="bonferroni")[0]
        assert (wide.ci_lower > 0) == (adjusted < 0.05)


def test_r_fisher_prints_a_coarse_limit() -> None:
    """Limits solve their equation: to nine digits the tail, or the score, is what it should be."""
    exact = estimate_proportion(3, 17, method="clopper_pearson")
    assert stats.binom.sf(2, 17, exact.ci_lower) == pytest.approx(0.025, rel=1e-9)
    assert stats.binom.cdf(3, 17, exact.ci_upper) == pytest.approx(0.025, rel=1e-9)
    score = compare_proportions((3, 17), (9, 19), method="score")
    z = float(special.ndtri(0.975))
    assert score_statistic((3, 17), (9, 19), score.ci_lower) == pytest.approx(z, rel=1e-9)
    assert score_statistic((3, 17), (9, 19), score.ci_upper) == pytest.approx(-z, rel=1e-9)
    rates = compare_event_rates((5, 100), (12, 100))
    odds = 1 + rates.relative_lift_upper
    assert stats.binom.cdf(12, 17, odds / (1 + odds)) == pytest.approx(0.025, rel=1e-9)


def test_obrien_fleming_with_pococks_row() -> None:
    """The two designs differ as published: 2.413 throughout, 4.56 falling to 2.04."""
    pocock, obrien = design_boundaries(5, shape="pocock"), design_boundaries(5)
    assert pocock == pytest.approx([2.413] * 5, abs=1e-3)
    assert obrien == pytest.approx([4.562, 3.226, 2.634, 2.281, 2.040], abs=2e-3)


def test_peeks_taken_as_independent() -> None:
    """Five peeks at 1.96 err in 14.2 %, not in 1 − 0.95⁵ = 22.6 % of tests."""
    found = crossing_chances([1.959964] * 5, [0.2, 0.4, 0.6, 0.8, 1.0])[-1]
    assert found == pytest.approx(0.142, abs=5e-4)
    assert found < 1 - 0.95**5 - 0.08


def test_three_meanings_of_a_lift_interval() -> None:
    """One default, the log ratio: not symmetric; Fieller only by name; the linear delta never."""
    args = 0.02, 0.025, 0.002, 0.0022
    log = estimate_lift(*args)
    fieller = estimate_lift(*args, method="fieller")
    assert math.log1p(log.relative_lift_upper) + math.log1p(
        log.relative_lift_lower
    ) == pytest.approx(2 * math.log1p(log.relative_lift))
    middle = (log.relative_lift_upper + log.relative_lift_lower) / 2
    assert middle > log.relative_lift + 0.01
    assert fieller.relative_lift_upper != pytest.approx(log.relative_lift_upper, rel=1e-3)


def test_monte_carlo_for_the_chance_to_be_best() -> None:
    """No random numbers: the same value at every call, right to nine digits."""
    state = np.random.get_state()[1].copy()  # type: ignore[union-attr, index] # noqa: NPY002
    found = [rank_means([10.0, 10.4], [0.3, 0.4])[1].p_best for _ in range(3)]
    assert len(set(found)) == 1
    assert found[0] == pytest.approx(compare_losses(0.4, 0.5).p_best, rel=1e-9)
    assert (np.random.get_state()[1] == state).all()  # type: ignore[index] # noqa: NPY002


def test_gbstats_error_that_looks_like_data() -> None:
    """What cannot be computed is nan, never p = 1 with an interval from 0 to 0."""
    for found in (
        compare_proportions((0, 0), (3, 9)),
        compare_means(MeanSummary(), MeanSummary.from_values([1, 2])),
    ):
        assert math.isnan(found.pvalue)
        assert math.isnan(found.ci_lower)
        assert math.isnan(found.ci_upper)
