"""Cohorts by attribute: few rows, nobody left out, no order in it."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from pipeline.dimensions import MAX_VALUES, fold, most_frequent
from pipeline.rows import Cohort, Counters, Moments
from tests.support.join_events import definition


def cohort(value: str, assigned: int, variant_id: str = "a", dimension: str = "city") -> Cohort:
    """A cohort by city."""
    return Cohort(
        campaign_id="c1",
        variant_id=variant_id,
        cohort_start_ms=0,
        cohort_width_ms=1000,
        dimension=dimension,
        value=value,
        counters=Counters(assigned=assigned, converted=1),
        moments=Moments(sum_rr=10**20),
    )


@given(st.dictionaries(st.text(max_size=3), st.integers(1, 4), max_size=80), st.randoms())
def test_the_choice_does_not_look_at_the_order(counted: dict[str, int], rng: st.DrawFn) -> None:
    """Whatever order the values come in, the same ones are kept: the frequent, then by name."""
    values = list(counted)
    rng.shuffle(values)  # type: ignore[attr-defined] # a random.Random
    kept = most_frequent({value: counted[value] for value in values})
    assert kept == most_frequent(counted)
    assert len(kept) == min(MAX_VALUES, len(set(counted) - {""}))
    left = set(counted) - {"", *kept}
    assert all(counted[one] >= counted[other] for one in kept for other in left)


@given(st.permutations(range(70)))
def test_folding_keeps_every_person(order: list[int]) -> None:
    """Sums over all values stay; fifty values, the absent one and `other` are left, per arm."""
    rows = [cohort(f"v{n:02}", n + 1, arm) for n in order for arm in "ab"]
    rows += [cohort("", 3), cohort("", 5, dimension="")]
    found = fold(rows, [definition("c1", analyse_by=("city",))])
    assert {row.value for row in found} == {f"v{n:02}" for n in range(20, 70)} | {"", "other"}
    for arm in "ab":
        (other,) = [row for row in found if row.value == "other" and row.variant_id == arm]
        assert other.counters == Counters(assigned=sum(range(1, 21)), converted=20)
        assert other.moments.sum_rr == 20 * 10**20
    total: Counter[str] = Counter()
    for row in found:
        total[row.dimension] += row.counters.assigned
    assert total == {"city": 2 * sum(range(1, 71)) + 3, "": 5}


def test_listed_values_are_left_to_the_join() -> None:
    """Where the definition lists its values, what is stored is what is shown."""
    rows = [cohort(f"v{n:02}", 1) for n in range(60)]
    assert fold(rows, [definition("c1", dimension_values={"city": ("v00",)})]) == rows
