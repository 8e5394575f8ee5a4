"""Rate, brake and backoff, with the time passed in."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smpp_bridge.pacing import (
    BACKOFF_S,
    BRAKE_S,
    BURST_S,
    REFUSED_BACKOFF_S,
    Brake,
    LearnedRate,
    TokenBucket,
    reconnect_wait_s,
)
from smpp_bridge.protocol.constants import REFUSED_BINDS, CommandStatus


@given(
    st.floats(0.5, 1000),
    st.lists(st.floats(0, 2), min_size=1, max_size=200),
)
def test_no_stretch_of_time_exceeds_the_rate(rate: float, pauses: list[float]) -> None:
    """Between any two takes there are at most rate × time + burst of them."""
    bucket = TokenBucket(rate)
    now, taken = 0.0, []
    for pause in pauses:
        now += pause
        while bucket.take(now):
            taken.append(now)
    burst = max(1.0, rate * BURST_S)
    for first in range(0, len(taken), 7):
        span = taken[-1] - taken[first]
        assert len(taken) - first <= rate * span + burst + 1e-6


@given(st.floats(0.5, 1000), st.floats(0, 10))
def test_the_next_token_is_there_when_it_was_promised(rate: float, start: float) -> None:
    """`wait_s` is neither too short nor for ever."""
    bucket = TokenBucket(rate, now=start)
    while bucket.take(start):
        pass
    wait_s = bucket.wait_s(start)
    assert wait_s <= 1 / rate + 1e-9
    assert not bucket.take(start + wait_s * 0.9)
    assert bucket.take(start + wait_s + 1e-6)


def test_without_a_rate_nothing_waits() -> None:
    """`None` is no limit."""
    bucket = TokenBucket(None)
    assert all(bucket.take(0.0) for _ in range(10_000))
    assert bucket.wait_s(0.0) == 0


def test_a_rate_of_nothing_is_a_mistake() -> None:
    """The value and the rule are named."""
    with pytest.raises(ValueError, match="rate_per_s == 0"):
        TokenBucket(0)


def test_a_window_full_of_throttling_answers_is_one_pause() -> None:
    """64 answers of one moment must not add up to the longest pause."""
    brake = Brake()
    waits = {brake.pull(10.0) for _ in range(64)}
    assert waits == {BRAKE_S[0]}
    assert brake.holds(10.4)
    assert not brake.holds(10.5)


def test_pauses_grow_until_a_message_is_accepted() -> None:
    """Doubled each time up to the longest; an answer during the pause is to an older message."""
    brake, now, waits = Brake(), 0.0, []
    for _ in range(9):
        waits.append(brake.pull(now))
        brake.release(now)
        now = brake.until
    assert waits == [0.5, 1, 2, 4, 8, 16, 30, 30, 30]
    brake.release(now)
    assert brake.pull(now) == 0.5


@given(st.integers(0, 10_000), st.sampled_from([None, *REFUSED_BINDS, CommandStatus.RSYSERR]))
def test_reconnects_wait_within_their_bounds(failures: int, status: int | None) -> None:
    """Refused credentials wait longer; no number of failures overflows."""
    least, most = REFUSED_BACKOFF_S if status in REFUSED_BINDS else BACKOFF_S
    low = reconnect_wait_s(failures, status, lambda low, _high: low)
    high = reconnect_wait_s(failures, status, lambda _low, high: high)
    assert least / 2 == low <= high <= most
    assert reconnect_wait_s(failures + 1, status, lambda _low, high: high) >= high


@pytest.mark.parametrize("allowed_per_s", [2, 10, 100, 1000])
def test_an_operator_that_throttles_is_soon_met_at_its_own_rate(allowed_per_s: int) -> None:
    """Without a configured rate: after a search, few refusals and most of what is allowed."""
    bucket, learned, brake = TokenBucket(None), LearnedRate(), Brake()
    taken: Counter[int] = Counter()
    accepted, refused = 0, 0
    for step in range(60_000):
        now = step / 1000
        for _ in range(4):
            if brake.holds(now) or not bucket.take(now):
                break
            second = int(now)
            taken[second] += 1
            is_late = second >= 20
            if taken[second] <= allowed_per_s:
                accepted += is_late
                brake.release(now)
                learned.accepted(now)
                if learned.limit is not None:
                    bucket.limit_to(learned.limit, now)
                continue
            refused += is_late
            bucket.limit_to(learned.throttled(now), now)
            brake.pull(now)
    assert accepted >= 0.6 * 40 * allowed_per_s
    assert refused <= 0.12 * accepted
