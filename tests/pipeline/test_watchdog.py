"""The watchdog tells standing still from having nothing to do."""

from __future__ import annotations

import pytest

from pipeline.watchdog import StalledError, Watchdog, Watchdogs


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


def test_a_partition_that_stands_is_not_hidden_by_the_others() -> None:
    """Others are stored again and again: the message names the one that is not."""
    watchdogs = Watchdogs(10)
    for now in range(10):
        watchdogs.check(now, lags={0: 5, 1: 7, 2: 0}, steps={0: now, 1: 3, 2: 3})
    with pytest.raises(StalledError, match=r"^partition 1: 7 records wait"):
        watchdogs.check(11, lags={0: 5, 1: 7, 2: 0}, steps={0: 11, 1: 3, 2: 3})


def test_a_partition_begins_anew_when_it_comes_back() -> None:
    """What another worker did with it meanwhile says nothing about us."""
    watchdogs = Watchdogs(10)
    watchdogs.check(0, lags={1: 7}, steps={1: 3})
    watchdogs.check(9, lags=None, steps={})
    watchdogs.check(18, lags={1: 7}, steps={1: 0})
    watchdogs.check(28, lags={1: 7}, steps={1: 0})
    with pytest.raises(StalledError):
        watchdogs.check(29, lags={1: 7}, steps={1: 0})
