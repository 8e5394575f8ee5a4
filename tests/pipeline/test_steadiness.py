"""A verdict does not waver: no opposite word without new data, no reason that comes and goes."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.evaluate import Evaluation, campaign_rows, evaluate
from pipeline.rows import Cohort, JoinHealth, Verdict
from pipeline.snapshot import changed
from schemas.events import HOLDOUT
from tests.support.results import WINDOW_MS, cohort, definition

HEALTHY = JoinHealth(campaign_id="spring", receipts=1000)
WIDTH_MS = 1000


def are_opposite(one: Verdict, other: Verdict) -> bool:
    """Two arms shipped, two arms stopped, or one arm shipped and stopped."""
    kinds = one.verdict, other.verdict
    if kinds in {("ship", "ship"), ("stop", "stop")}:
        return one.variant_id != other.variant_id
    return kinds in {("ship", "stop"), ("stop", "ship")}


def seen(result: Evaluation) -> tuple[Any, ...]:
    """The data behind an evaluation: every arm's counters, mature and live."""
    rows = sorted(result.variant_results, key=lambda r: (r.variant_id, r.maturity))
    return tuple((r.variant_id, r.maturity, r.counters) for r in rows)


waves = st.lists(
    st.tuples(
        st.integers(0, 4000),
        st.floats(0, 0.3),
        st.floats(0, 0.3),
        st.floats(0, 0.1),
        st.floats(0, 0.1),
    ),
    min_size=1,
    max_size=5,
)


def cohorts_of(wave: tuple[Any, ...], number: int) -> list[Cohort]:
    """One slice of assignment time."""
    size, a, b, left_a, left_b = wave
    start_ms = number * WIDTH_MS
    return [
        cohort("A", size, converted=int(size * a), opted_out=int(size * left_a), start_ms=start_ms),
        cohort("B", size, converted=int(size * b), opted_out=int(size * left_b), start_ms=start_ms),
        cohort(HOLDOUT, size * 2 // 9, converted=int(size * a) // 9, start_ms=start_ms),
    ]


@settings(deadline=None)
@given(
    waves,
    st.sampled_from(["fixed", "sequential", "bandit"]),
    st.sampled_from([None, 3000, 20_000]),
    st.lists(st.integers(0, 2 * WINDOW_MS), min_size=2, max_size=12),
)
def test_never_two_opposite_verdicts_without_new_data_in_between(
    made: list[tuple[Any, ...]], method: str, audience_size: int | None, moments: list[int]
) -> None:
    """Looks at rising moments, each told the last verdict: an opposite word has other numbers."""
    campaign, variants = campaign_rows(
        definition(method=method, audience_size=audience_size, expected_n=5000)
    )
    cohorts = [row for number, wave in enumerate(made) for row in cohorts_of(wave, number)]
    last: Evaluation | None = None
    for at_ms in sorted(moments):
        previous = None if last is None else last.verdict
        here = evaluate(campaign, variants, cohorts, HEALTHY, at_ms, previous)
        if last is not None and are_opposite(last.verdict, here.verdict):
            assert seen(last) != seen(here)
        if last is not None and seen(last) == seen(here):
            assert not changed([here.verdict], [last.verdict])
        last = here


@settings(deadline=None)
@given(waves, st.sampled_from(["fixed", "sequential"]))
def test_what_was_said_before_touches_nothing_but_one_reason(
    made: list[tuple[Any, ...]], method: str
) -> None:
    """Whatever the last verdict was, ship, stop and the rest follow from the data alone."""
    campaign, variants = campaign_rows(definition(method=method, expected_n=5000))
    cohorts = [row for number, wave in enumerate(made) for row in cohorts_of(wave, number)]
    fresh = evaluate(campaign, variants, cohorts, HEALTHY, WINDOW_MS).verdict
    for kind, arm, reason in (
        ("ship", "B", "treatment_earns_more"),
        ("stop", "B", "opt_outs_in_limit"),
        ("collecting", None, "list_too_small"),
    ):
        said = msgspec.structs.replace(fresh, verdict=kind, variant_id=arm, reason=reason)
        again = evaluate(campaign, variants, cohorts, HEALTHY, WINDOW_MS, said).verdict
        assert (again.verdict, again.variant_id) == (fresh.verdict, fresh.variant_id)
        assert again.reason == fresh.reason or fresh.verdict == "collecting"


LOOKS = 200


def growing(rng: np.random.Generator) -> Iterator[list[Cohort]]:
    """A campaign near its limit, look by look: the spread of few events wavers."""
    converted = 0
    for look in range(1, LOOKS + 1):
        converted += int(rng.binomial(200, 0.05))
        n = 200 * look
        yield [cohort("A", n, converted=converted), cohort("B", n, converted=converted)]


def reasons(limit: float, seed: int, *, remembers: bool) -> list[str]:
    """What is said at each look."""
    campaign, variants = campaign_rows(
        msgspec.structs.replace(
            definition(audience_size=100_000, minimum_effect=limit, opt_out_margin=None),
            holdout=0.0,
        )
    )
    said: list[Verdict] = []
    for cohorts in growing(np.random.default_rng(seed)):
        previous = said[-1] if said and remembers else None
        said.append(evaluate(campaign, variants, cohorts, HEALTHY, 0, previous).verdict)
    return [verdict.reason for verdict in said]


def the_figure() -> float:
    """The smallest effect that this list shows, once it is well known."""
    campaign, variants = campaign_rows(
        msgspec.structs.replace(definition(audience_size=100_000, opt_out_margin=None), holdout=0.0)
    )
    made = [cohort(arm, 40_000, converted=2000) for arm in "AB"]
    found = evaluate(campaign, variants, made, HEALTHY, 0)
    return float(found.verdict.evidence["detectable_effect"])


@pytest.mark.parametrize("near", [0.97, 1.0, 1.03])
def test_a_list_near_its_limit_does_not_flap(near: float) -> None:
    """Two hundred looks, a dozen campaigns: the reason changes about once, not all the time.

    Without memory it would come and go, which the last line proves to be seen here.
    """
    changes = changes_of(near, remembers=True)
    assert max(changes) <= 3
    assert sum(changes) / len(changes) < 1.2
    if near == 1.0:
        assert max(changes_of(0.93, remembers=False)) > 3


def changes_of(near: float, *, remembers: bool) -> list[int]:
    """How often the reason changes in each of a dozen campaigns."""
    figure = the_figure()
    return [
        sum(one != other for one, other in pairwise(said))
        for seed in range(12)
        for said in (reasons(figure * near, seed, remembers=remembers),)
    ]


def test_a_list_far_too_small_is_told() -> None:
    """As soon as the control has a hundred events, and to the end."""
    said = reasons(the_figure() * 0.6, 1, remembers=True)
    first = said.index("list_too_small")
    assert first < 20
    assert set(said[first:]) == {"list_too_small"}


def test_the_figure_is_of_this_moment_and_a_new_plan_starts_anew() -> None:
    """A verdict keeps its first evidence; the light has the newest. Another plan, another word."""
    campaign, variants = campaign_rows(definition(audience_size=3000))
    rows = [cohort("A", 900, converted=200), cohort("B", 900, converted=200), cohort(HOLDOUT, 200)]
    first = evaluate(campaign, variants, rows, HEALTHY, 0)
    assert first.verdict.reason == "list_too_small"
    light = next(c for c in first.health_checks if c.check == "outcomes_mature")
    assert light.evidence["detectable_effect"] > campaign.minimum_effect
    doubt = 1 / math.sqrt(200)
    near = float(light.evidence["detectable_effect"]) * (1 + doubt / 2)
    limited = msgspec.structs.replace(campaign, minimum_effect=near)
    kept = evaluate(limited, variants, rows, HEALTHY, 0, first.verdict).verdict
    assert kept.reason == "list_too_small"
    other = msgspec.structs.replace(limited, plan_hash="another")
    anew = evaluate(other, variants, rows, HEALTHY, 0, first.verdict).verdict
    assert anew.reason == "outcomes_not_mature"
