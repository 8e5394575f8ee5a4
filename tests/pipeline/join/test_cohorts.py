"""Slices of assignment time."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.join.cohorts import VECTOR, WIDTHS_MS, cohort_width_ms
from pipeline.rows import Counters, Moments

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
