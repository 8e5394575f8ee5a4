"""Slices of assignment time."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.join import cohorts
from pipeline.join.cohorts import (
    VECTOR,
    WIDTHS_MS,
    Cohorts,
    Crowd,
    KnownCohorts,
    Profile,
    cohort_width_ms,
    sum_crowds,
    vector_of,
)
from pipeline.join.facts import Assignment, Attributes
from pipeline.rows import Counters, Moments
from schemas.events import CampaignDefined
from tests.support.join_events import definition

MINUTE_MS = 60_000


@pytest.mark.parametrize(
    ("window_ms", "width_ms"),
    [
        (0, 1_000),
        (12_000, 1_000),
        (2 * MINUTE_MS - 1, 1_000),
        (2 * MINUTE_MS, 10_000),
        (12 * MINUTE_MS, MINUTE_MS),
        (120 * MINUTE_MS, 10 * MINUTE_MS),
        (12 * 60 * MINUTE_MS, 60 * MINUTE_MS),
        (7 * 24 * 60 * MINUTE_MS, 60 * MINUTE_MS),
    ],
)
def test_width_is_the_largest_below_a_twelfth_of_the_window(window_ms: int, width_ms: int) -> None:
    """Known windows have known widths."""
    assert cohort_width_ms(window_ms) == width_ms


@given(st.integers(12_000, 10**12))
def test_width_divides_the_hour(window_ms: int) -> None:
    """Cohorts of every width line up with the clock and never exceed a twelfth of the window."""
    width = cohort_width_ms(window_ms)
    assert width in WIDTHS_MS
    assert 3_600_000 % width == 0
    assert 12 * width <= window_ms


def test_vector_is_the_public_column_order() -> None:
    """Counters first, then moments, each in the order of its Struct."""
    assert (*Counters.__struct_fields__, *Moments.__struct_fields__) == VECTOR
    assert len(set(VECTOR)) == len(VECTOR)


def assigned(at_ms: int, *attributes: tuple[str, str]) -> Assignment:
    """To arm a of campaign c1."""
    found: Attributes = attributes
    return Assignment(at_ms, "c1", "a", is_blocked=False, covariate=0, attributes=found)


def test_equal_cohorts_are_one_object(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever attributes people have that are not analysed, and however many are remembered."""
    monkeypatch.setattr(cohorts, "LIMIT", 2)
    known = KnownCohorts({"c1": definition("c1", analyse_by=("city",))})
    known.forget()
    some = [known.of(assigned(n, ("city", "x"), ("id", str(n)))) for n in range(5)]
    assert len(set(some)) == 1
    assert some[0].keys == (("c1", "a", 0, 1_000, "", ""), ("c1", "a", 0, 1_000, "city", "x"))
    others = {known.of(each) for each in (assigned(1_000, ("city", "x")), assigned(0))}
    assert len(others | {some[0]}) == 3


def test_without_a_definition_nobody_is_of_a_cohort() -> None:
    """The definition may come later; until then nothing is added up."""
    definitions: dict[str, CampaignDefined] = {}
    known = KnownCohorts(definitions)
    assert known.of(assigned(5)).keys == ()
    definitions["c1"] = definition("c1")
    known.forget()
    assert known.of(assigned(5)).keys == (("c1", "a", 0, 1_000, "", ""),)


@given(
    st.tuples(*[st.integers(0, 9) for _ in Counters.__struct_fields__]),
    st.integers(0, 9),
    st.integers(0, 1),
    st.lists(st.tuples(*[st.integers(-50, 50)] * 3), max_size=3),
)
def test_crowds_of_a_story_add_what_the_vector_says(
    counters: tuple[int, ...], capped: int, counted: int, sums: list[tuple[int, ...]]
) -> None:
    """The short way over what is not zero against the vector itself; people come and leave."""
    profile = Profile((), counters, capped, counted)
    crowds = []
    for each in sums:
        crowds.append(Crowd())
        crowds[-1].add(*each)
    key = ("c1", "a", 0, 1_000, "", "")
    found = sum_crowds({}, {Cohorts((key,)): [(profile, crowd) for crowd in crowds]})
    vectors = [vector_of(profile, crowd) for crowd in crowds]
    expected = [sum(column) for column in zip(*vectors, strict=True)]
    assert found == ({key: expected} if any(expected) else {})
