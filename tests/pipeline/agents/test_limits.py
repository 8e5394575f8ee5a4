"""Limits on many events at once say what they say on each."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pipeline.agents.limits import LATEST_MS, are_within_limits, broken_limit
from schemas.events import MessageSubmitted

SUBMITS = st.builds(
    MessageSubmitted,
    event_id=st.just("e"),
    occurred_at_ms=st.sampled_from([0, LATEST_MS - 1, LATEST_MS]),
    subject=st.sampled_from(["s", "s", "s", ""]),
    message_id=st.just("m"),
    connection=st.just("op"),
    source_addr=st.just("Shop"),
    outcome=st.just("accepted"),
    segments=st.sampled_from([0, 1, 255, 256]),
    part=st.sampled_from([1, 1, 0, 256]),
)


@given(st.lists(SUBMITS, max_size=4))
def test_all_are_within_when_each_is(events: list[MessageSubmitted]) -> None:
    """The quick look misses nothing and accuses nobody."""
    each = all(broken_limit(event) is None for event in events)
    assert are_within_limits(MessageSubmitted, events) == each
