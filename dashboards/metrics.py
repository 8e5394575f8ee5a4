"""How each metric's values and differences are written. Pure."""

from __future__ import annotations

from typing import Final

from dashboards.format import money, percent, points
from dashboards.texts import Words

_IN_MONEY: Final = frozenset({"profit_per_recipient", "revenue_per_recipient"})


def name(words: Words, metric: str) -> str:
    """The metric in words."""
    return words.first(f"metric.{metric}", "metric.other")


def value(metric: str, amount: float, currency: str) -> str:
    """A value of the metric."""
    return money(amount, currency) if metric in _IN_MONEY else percent(amount)


def difference(words: Words, metric: str, amount: float, currency: str) -> str:
    """A difference of two values of the metric, signed."""
    if metric in _IN_MONEY:
        return money(amount, currency, sign=True)
    return words("points", v=points(amount))


def size(words: Words, metric: str, amount: float, currency: str) -> str:
    """A limit on a difference, without sign."""
    if metric in _IN_MONEY:
        return money(amount, currency)
    return words("points", v=points(abs(amount)).lstrip("+"))


def arm(words: Words, variant_id: str) -> str:
    """The arm as people call it."""
    return words("holdout") if variant_id == "holdout" else variant_id
