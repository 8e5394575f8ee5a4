"""Numbers, money, shares and times as a person reads them. Pure; no sentence is made here."""

from __future__ import annotations

import math
from datetime import UTC, datetime, tzinfo
from typing import Final

from campaigns.currency import exponent_of

UNKNOWN: Final = "–"
"""Undefined numbers are shown as unknown, never as zero."""
MINUS: Final = "−"
NARROW: Final = "\u2009"
_SYMBOLS: Final = {
    "BRL": "R$",
    "CNY": "¥",
    "EUR": "€",
    "GBP": "£",
    "HKD": "HK$",
    "INR": "₹",
    "JPY": "JP¥",
    "KRW": "₩",
    "SGD": "S$",
    "TWD": "NT$",
    "USD": "$",
}


def count(value: float) -> str:
    """A whole number with separators.

    >>> count(1234567)
    '1,234,567'
    """
    return f"{value:,.0f}" if math.isfinite(value) else UNKNOWN


def average(value: float) -> str:
    """A mean of whole numbers: with digits while it is small.

    >>> average(1234.5), average(0.25)
    ('1,234', '0.25')
    """
    return count(value) if not abs(value) < 100 else f"{value:.2f}"


def percent(share: float) -> str:
    """A share of 0 to 1, with as many digits as tell small rates apart.

    >>> percent(1), percent(0.4567), percent(0.0712), percent(0.0004)
    ('100%', '45.7%', '7.12%', '0.04%')
    """
    if not math.isfinite(share):
        return UNKNOWN
    digits = 0 if share in {0, 1} else 1 if abs(share) >= 0.09995 else 2
    return f"{share * 100:.{digits}f}%"


def lift(change: float) -> str:
    """A relative change, signed.

    >>> lift(0.214), lift(-0.034), lift(0.0)
    ('+21%', '−3.4%', '0%')
    """
    if not math.isfinite(change):
        return UNKNOWN
    digits = 0 if abs(change) >= 0.1 else 1
    return _signed(change * 100, digits) + "%"


def points(difference: float) -> str:
    """A difference of two shares, in percentage points, signed, without its unit.

    >>> points(0.0003), points(-0.012)
    ('+0.03', '−1.20')
    """
    return _signed(difference * 100, 2) if math.isfinite(difference) else UNKNOWN


def money(minor: float, currency: str, *, sign: bool = False) -> str:
    """An amount in minor units of an ISO 4217 currency; small amounts get a digit more.

    >>> money(14.6, "CNY"), money(1_488_000, "USD", sign=True), money(250, "JPY")
    ('¥0.146', '+$14,880', 'JP¥250')
    >>> money(-3.1, "XXX") == f"−XXX{NARROW}0.031", money(float("nan"), "EUR")
    (True, '–')
    """
    if not math.isfinite(minor):
        return UNKNOWN
    exponent = exponent_of(currency)
    amount = minor / 10**exponent
    size = abs(amount)
    digits = exponent + 1 if size < 1 else exponent if size < 1000 else 0
    text = f"{size:,.{digits}f}"
    is_zero = float(text.replace(",", "")) == 0
    if is_zero:
        text = "0"
    lead = "" if is_zero else MINUS if amount < 0 else "+" if sign else ""
    return f"{lead}{_SYMBOLS.get(currency, currency + NARROW)}{text}"


def unit(currency: str) -> str:
    """One major unit.

    >>> unit("CNY"), unit("BRL")
    ('¥1', 'R$1')
    """
    return f"{_SYMBOLS.get(currency, currency + NARROW)}1"


def ratio(value: float) -> str:
    """Return per unit of cost.

    >>> ratio(2.4), ratio(-0.31), ratio(128.4)
    ('2.40', '−0.31', '128')
    """
    if not math.isfinite(value):
        return UNKNOWN
    digits = 2 if abs(value) < 10 else 1 if abs(value) < 100 else 0
    text = f"{abs(value):,.{digits}f}"
    return (MINUS if value < 0 and float(text.replace(",", "")) else "") + text


def decimal(value: float) -> str:
    """A plain number without trailing zeros.

    >>> decimal(1.0), decimal(1.25)
    ('1', '1.25')
    """
    return f"{value:.2f}".rstrip("0").rstrip(".") if math.isfinite(value) else UNKNOWN


def clock(at_ms: int, zone: tzinfo) -> str:
    """Time of day.

    >>> clock(0, UTC)
    '00:00:00'
    """
    return _at(at_ms, zone).strftime("%H:%M:%S")


def moment(at_ms: int, zone: tzinfo) -> str:
    """Date and time.

    >>> moment(0, UTC)
    '1970-01-01 00:00'
    """
    return _at(at_ms, zone).strftime("%Y-%m-%d %H:%M")


def _at(at_ms: int, zone: tzinfo) -> datetime:
    """Times beyond the calendar come from broken clocks; the nearest end is shown."""
    bounded = min(max(at_ms, 0), 253_370_764_800_000)
    return datetime.fromtimestamp(bounded / 1000, tz=UTC).astimezone(zone)


def _signed(value: float, digits: int) -> str:
    text = f"{abs(value):,.{digits}f}"
    if float(text.replace(",", "")) == 0:
        return "0"
    return (MINUS if value < 0 else "+") + text
