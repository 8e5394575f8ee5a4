"""Numbers as people read them."""

from __future__ import annotations

import doctest
import math
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboards import format as text_of
from dashboards.axis import axis_for

NUMBERS = st.floats(-1e15, 1e15)


def test_the_examples_hold() -> None:
    """The documentation shows what the code does."""
    found = doctest.testmod(text_of)
    assert found.attempted >= 10
    assert found.failed == 0


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_undefined_is_never_a_number(value: float) -> None:
    """Nothing plausible stands for what is not known."""
    shown = {
        text_of.count(value),
        text_of.percent(value),
        text_of.lift(value),
        text_of.points(value),
        text_of.money(value, "CNY"),
        text_of.ratio(value),
        text_of.decimal(value),
    }
    assert shown == {text_of.UNKNOWN}


@given(value=NUMBERS)
def test_signs_tell_the_truth(value: float) -> None:
    """A minus stands before losses only, and never before zero."""
    for shown in (text_of.money(value, "CNY", sign=True), text_of.lift(value)):
        assert not (shown.startswith(text_of.MINUS) and value >= 0)
        assert not (shown.startswith("+") and value <= 0)
        assert shown not in {"−¥0", "+¥0", "−0%", "+0%"}


@given(minor=st.integers(-(10**12), 10**12))
def test_money_follows_iso_4217(minor: int) -> None:
    """The yen has no minor unit, the dinar a thousandth."""
    by_exponent = {"JPY": 1, "CNY": 100, "KWD": 1000}
    for currency, size in by_exponent.items():
        text = text_of.money(minor, currency)
        digits = text.replace(",", "").replace(text_of.MINUS, "-").replace(text_of.NARROW, "")
        amount = float(digits.replace("JP¥", "").replace("¥", "").replace("KWD", ""))
        tolerance = 0.5 if abs(minor) >= 1000 * size else 0.5 / size
        assert abs(amount - minor / size) <= tolerance + 1e-6


@given(at_ms=st.integers(-(2**62), 2**62))
def test_any_time_can_be_shown(at_ms: int) -> None:
    """A broken clock of an operator is shown, not raised."""
    zone = ZoneInfo("Asia/Shanghai")
    assert len(text_of.clock(at_ms, zone)) == 8
    assert len(text_of.moment(at_ms, zone)) == 16


def test_times_follow_the_zone() -> None:
    """Noon in UTC is evening in Shanghai."""
    assert text_of.clock(43_200_000, ZoneInfo("Asia/Shanghai")) == "20:00:00"


ANY = st.floats(allow_nan=True, allow_infinity=True)


@given(main=st.lists(ANY, max_size=9), others=st.lists(ANY, max_size=9), probe=ANY)
def test_an_axis_holds_zero_and_what_decides(
    main: list[float], others: list[float], probe: float
) -> None:
    """Whatever the numbers, every mark stands inside the plot and the ticks rise."""
    bounded = [v for v in main if abs(v) < 50]
    axis = axis_for(bounded, [v for v in others if not abs(v) > 1e6])
    assert axis.low < 0 < axis.high
    assert list(axis.ticks) == sorted(set(axis.ticks))
    assert all(axis.low <= v <= axis.high for v in bounded if math.isfinite(v))
    if not math.isnan(probe):
        assert 0 <= axis.at(probe) <= 1
