"""How long receipts took."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from pipeline.join.facts import Receipt, Submit
from pipeline.join.latency import BOUNDS_MS, DAY_MS, count_latencies, latency_of, up_to_ms

MOMENTS = st.integers(0, 800 * DAY_MS)


def submit(at_ms: int, connection: str) -> Submit:
    """Accepted."""
    return Submit(at_ms, "m", 1, "accepted", connection, "id", 1, None)


def receipt(at_ms: int) -> Receipt:
    """Delivered."""
    return Receipt(at_ms, "c", "id", (), "DELIVERED", is_final=True, err="", done_at_ms=None)


@given(st.lists(st.tuples(MOMENTS, st.sampled_from("ab"), MOMENTS), max_size=20))
def test_a_batch_is_counted_as_each_of_it(found: list[tuple[int, str, int]]) -> None:
    """Also receipts before their submit, and later than any bound."""
    parts = [(submit(sent, name), receipt(came)) for sent, name, came in found]
    each = Counter(latency_of(sent, came.at_ms) for sent, came in parts)
    assert count_latencies(parts) == each


def test_a_bucket_ends_with_its_bound() -> None:
    """A second is within a second; less than nothing is the first, more than a year the last."""
    assert [up_to_ms(bound) for bound in BOUNDS_MS] == list(BOUNDS_MS)
    assert [up_to_ms(after_ms) for after_ms in (-5, 1_001, 999 * DAY_MS)] == [
        BOUNDS_MS[0],
        BOUNDS_MS[1],
        BOUNDS_MS[-1],
    ]
