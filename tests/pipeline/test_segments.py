"""Segments: looked at once, adjusted for their number, and never a verdict."""

from __future__ import annotations

import math

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.evaluate import campaign_rows, evaluate
from pipeline.rows import Cohort, JoinHealth
from pipeline.segments import SMALLEST, BySegment
from pipeline.stats import adjust_pvalues, compare_proportions, compare_segments
from schemas.events import HOLDOUT
from tests.support.results import WINDOW_MS, cohort, definition

LATE_MS = 10 * WINDOW_MS
HEALTHY = JoinHealth(campaign_id="spring", receipts=1000)
SIZE = 2000


def sliced(arm: str, attribute: str, value: str, converted: int, size: int = SIZE) -> Cohort:
    """A cohort of one segment."""
    return msgspec.structs.replace(
        cohort(arm, size, converted=converted), dimension=attribute, value=value
    )


def segments_of(rows: list[Cohort], *, at_ms: int = LATE_MS, **changes: object) -> BySegment:
    """What the product says about segments, beside equal whole cohorts."""
    whole = [
        cohort("A", 9000, converted=300),
        cohort("B", 9000, converted=310),
        cohort(HOLDOUT, 2000),
    ]
    plan = definition(metric="conversion_rate", minimum_effect=0.0, **changes)  # type: ignore[arg-type]
    campaign, variants = campaign_rows(plan)
    return evaluate(campaign, variants, [*whole, *rows], HEALTHY, at_ms).by_segment


def cities(**counts: tuple[int, int]) -> list[Cohort]:
    """Conversions of A and B by city."""
    return [
        sliced(arm, "city", name, pair[place])
        for name, pair in counts.items()
        for place, arm in enumerate("AB")
    ]


COUNT = st.integers(0, 200)


@settings(deadline=None)
@given(st.dictionaries(st.text("abc", max_size=2), st.tuples(COUNT, COUNT), min_size=1, max_size=5))
def test_every_segment_is_tested_as_if_alone_then_adjusted_for_all(
    counts: dict[str, tuple[int, int]],
) -> None:
    """The same numbers as `pipeline.stats` from the counts; too few events are no test."""
    found = segments_of(cities(**counts))
    rows = {row.value: row for row in found.segments}
    assert set(rows) == set(counts)
    known = {name for name, pair in counts.items() if min(pair) >= SMALLEST}
    for name, (a, b) in counts.items():
        row, alone = rows[name], compare_proportions((a, SIZE), (b, SIZE))
        assert (row.control_value, row.treatment_value) == (a / SIZE, b / SIZE)
        if name in known:
            assert (row.ci_lower, row.ci_upper, row.pvalue) == alone[3:]
        else:
            assert row.method == "too_few"
            assert math.isnan(row.effect_size)
            assert math.isnan(row.pvalue_adjusted)
    ordered = [row for row in found.segments if row.value in known]
    wanted = adjust_pvalues([row.pvalue for row in ordered], method="bh")
    assert [row.pvalue_adjusted for row in ordered] == pytest.approx(wanted)
    (check,) = found.checks
    assert check.segments == len(known)
    if len(known) < 2:
        assert math.isnan(check.heterogeneity_pvalue)
        return
    shares = [(a / SIZE, b / SIZE) for a, b in (counts[row.value] for row in ordered)]
    errors = [math.sqrt(sum(p * (1 - p) / SIZE for p in pair)) for pair in shares]
    q = compare_segments([b - a for a, b in shares], errors, [0.5] * len(shares))
    assert check.heterogeneity == pytest.approx(q.heterogeneity)
    assert check.df == len(known) - 1
    assert check.heterogeneity_pvalue == pytest.approx(q.heterogeneity_pvalue)


def test_differences_of_several_attributes_share_the_error() -> None:
    """Two attributes are two questions: Holm, the smaller p-value times two."""
    rows = cities(x=(50, 100), y=(100, 50)) + [
        sliced(arm, "loyalty", value, 60) for arm in "AB" for value in ("gold", "plus")
    ]
    checks = {check.attribute: check for check in segments_of(rows).checks}
    assert checks["city"].pvalue_adjusted == 2 * checks["city"].heterogeneity_pvalue < 1e-6
    assert checks["loyalty"].pvalue_adjusted > 0.9


@pytest.mark.parametrize("method", ["fixed", "sequential"])
def test_nothing_is_said_before_the_end(method: str) -> None:
    """The tests hold for one look; a sequential verdict before the end does not change that."""
    rows = cities(x=(50, 100), y=(100, 50))
    early = segments_of(rows, method=method, audience_size=50_000, expected_n=20_000)
    assert (early.segments, early.checks) == ((), ())
    assert segments_of(rows, method=method, audience_size=20_000).segments


def test_segments_never_reach_the_verdict() -> None:
    """The same verdict with segments and without, however clear they look."""
    campaign, variants = campaign_rows(definition())
    whole = [
        cohort("A", 9000, converted=300),
        cohort("B", 9000, converted=310),
        cohort(HOLDOUT, 2000),
    ]
    rows = cities(x=(50, 190), y=(190, 50))
    with_them = evaluate(campaign, variants, [*whole, *rows], HEALTHY, LATE_MS)
    without = evaluate(campaign, variants, whole, HEALTHY, LATE_MS)
    assert with_them.verdict == without.verdict


def test_a_missing_arm_is_no_crash() -> None:
    """A segment that only one text has met says its value and nothing more."""
    (row,) = segments_of([sliced("B", "city", "x", 60)]).segments
    assert (row.control_n, row.method) == (0, "too_few")
    assert math.isnan(row.control_value)


def test_equal_effects_are_rarely_more_than_chance() -> None:
    """One effect in six segments of unlike rates: at most 5 % plus 3 Monte Carlo errors."""
    rng, runs, wrong = np.random.default_rng(4), 300, 0
    rates = np.linspace(0.02, 0.08, 6)
    for _ in range(runs):
        a, b = rng.binomial(SIZE, [rates, rates + 0.01]).tolist()
        made = {f"s{n}": pair for n, pair in enumerate(zip(a, b, strict=True))}
        (check,) = segments_of(cities(**made)).checks
        wrong += check.pvalue_adjusted <= 0.05
    assert wrong / runs <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / runs)
