"""The true effects: how an operator and people really behave, read from a YAML file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from campaigns import reading
from campaigns.reading import Key, Problems, read_keys

Range = tuple[float, float]


@dataclass(frozen=True, slots=True)
class OperatorEffects:
    """How the SMSC behaves. Delays in seconds."""

    reject_rate: float
    receipt_delay: Range
    duplicate_receipt_rate: float
    early_receipt_rate: float
    failure_errors: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class EveryoneEffects:
    """What people do with or without a message."""

    organic_rate: float
    organic_delay: Range
    revenue_minor: Range
    refund_rate: float
    refund_delay: Range


@dataclass(frozen=True, slots=True)
class VariantEffects:
    """What a text does to those who get it."""

    delivery_rate: float
    click_rate: float
    bot_rate: float
    click_delay: Range
    conversion_rate: float
    conversion_delay: Range
    opt_out_rate: float
    reply_rate: float
    reply_delay: Range


@dataclass(frozen=True, slots=True)
class Effects:
    """The whole truth."""

    operator: OperatorEffects
    everyone: EveryoneEffects
    variants: Mapping[str, VariantEffects]


class EffectsError(ValueError):
    """An effects file that cannot be used; one sentence per problem."""


def parse_effects(source: str) -> Effects:
    """Read the text of an effects file.

    Raises:
        EffectsError: With every problem found.
    """
    try:
        document = yaml.safe_load(source)
    except yaml.YAMLError as error:
        raise EffectsError(f"the effects file is not YAML: {error}") from error
    problems = Problems()
    keys = dict.fromkeys(("operator", "everyone", "variants"), Key(reading.anything))
    found = read_keys(document, "", keys, problems)
    operator = read_keys(found.get("operator"), "operator", _OPERATOR, problems)
    everyone = read_keys(found.get("everyone"), "everyone", _EVERYONE, problems)
    variants = {
        str(name): read_keys(value, f"variants.{name}", _VARIANT, problems)
        for name, value in (found.get("variants") or {}).items()
    }
    if problems.sentences:
        raise EffectsError("\n".join(problems.sentences))
    return Effects(
        OperatorEffects(**operator),
        EveryoneEffects(**everyone),
        {name: VariantEffects(**value) for name, value in variants.items()},
    )


def _range(most: float) -> Callable[[Any], Range]:
    def parse(value: Any) -> Range:
        is_pair = isinstance(value, list) and len(value) == 2
        if not is_pair or not all(isinstance(item, (int, float)) for item in value):
            raise ValueError("must be a list of two numbers.")
        low, high = value
        if not 0 <= low <= high <= most:
            raise ValueError(f"must rise and lie between 0 and {most:g}.")
        return float(low), float(high)

    return parse


_RATE = Key(reading.number(0, 1))
_DELAY = Key(_range(86_400))
_OPERATOR = {
    "reject_rate": _RATE,
    "receipt_delay": _DELAY,
    "duplicate_receipt_rate": _RATE,
    "early_receipt_rate": _RATE,
    "failure_errors": Key(reading.texts),
}
_EVERYONE = {
    "organic_rate": _RATE,
    "organic_delay": _DELAY,
    "revenue_minor": Key(_range(10**9)),
    "refund_rate": _RATE,
    "refund_delay": _DELAY,
}
_VARIANT = {
    "delivery_rate": _RATE,
    "click_rate": _RATE,
    "bot_rate": _RATE,
    "click_delay": _DELAY,
    "conversion_rate": _RATE,
    "conversion_delay": _DELAY,
    "opt_out_rate": _RATE,
    "reply_rate": _RATE,
    "reply_delay": _DELAY,
}
