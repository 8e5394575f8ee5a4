"""The watchdog tells standing still from having nothing to do."""

from __future__ import annotations

import pytest

from pipeline.watchdog import StalledError, Watchdog


def test_lag_without_progress_is_a_stall() -> None:
    """Records that wait for longer than the limit end the process."""
    watchdog = Watchdog(10, 0)
    watchdog.check(1, lag=5, steps=3)
    watchdog.check(11, lag=5, steps=3)
    with pytest.raises(StalledError, match="5 records wait"):
        watchdog.check(11.1, lag=5, steps=3)


@pytest.mark.parametrize("lag", [0, None])
def test_nothing_to_do_is_no_stall(lag: int | None) -> None:
    """Without lag, or without a broker to tell it, standing still is right."""
    watchdog = Watchdog(10, 0)
    for now in range(0, 100, 5):
        watchdog.check(now, lag=lag, steps=3)


def test_slow_progress_is_no_stall() -> None:
    """One flush within the limit is enough."""
    watchdog = Watchdog(10, 0)
    for now in range(0, 100, 9):
        watchdog.check(now, lag=1000, steps=now)
