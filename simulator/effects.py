"""The true effects: how an operator and people really behave, read from a YAML file."""

from __future__ import annotations

import math
import random
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

import yaml

from schemas import reading
from schemas.reading import Key, Problems, read_keys

Range = tuple[float, float]
ReceiptId = Literal["decimal", "same"]
_ERR: Final = re.compile(r"[0-9A-Za-z]{1,8}")


@dataclass(frozen=True, slots=True)
class Uniform:
    """Amounts drawn evenly from [low, high], minor units."""

    low: float
    high: float

    def draw(self, source: random.Random) -> int:
        """One amount."""
        return round(source.uniform(self.low, self.high))


@dataclass(frozen=True, slots=True)
class Lognormal:
    """Amounts with this mean (minor units) and standard deviation of their logarithm."""

    mean: float
    sigma: float

    def draw(self, source: random.Random) -> int:
        """One amount. The mean of a lognormal is exp(mu + sigma^2/2), hence mu."""
        mu = math.log(self.mean) - self.sigma**2 / 2
        return round(source.lognormvariate(mu, self.sigma))


@dataclass(frozen=True, slots=True)
class OperatorEffects:
    """How the SMSC behaves. Delays in seconds.

    `response_delay` puts answers out of order when it is a range; `receipt_id` says how a receipt
    spells the id that the submit_sm_resp gave in hexadecimal.
    """

    reject_rate: float
    receipt_delay: Range
    duplicate_receipt_rate: float
    early_receipt_rate: float
    failure_errors: tuple[str, ...]
    throttle_rate: float
    response_delay: Range
    receipt_id: ReceiptId


@dataclass(frozen=True, slots=True)
class EveryoneEffects:
    """What people do with or without a message. `late_rate`: purchases long after the window."""

    organic_rate: float
    organic_delay: Range
    late_rate: float
    revenue_minor: Uniform | Lognormal
    refund_rate: float
    refund_delay: Range


@dataclass(frozen=True, slots=True)
class VariantEffects:
    """What a text does to those who get it."""

    delivery_rate: float
    click_rate: float
    bot_rate: float
    bot_delay: Range
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

    @property
    def slowest_purchase_s(self) -> float:
        """Seconds from the submit_sm to the last purchase that is not a late one."""
        delivered_s = self.operator.receipt_delay[1]
        clicked = (v.click_delay[1] + v.conversion_delay[1] for v in self.variants.values())
        return max(self.everyone.organic_delay[1], delivered_s + max(clicked, default=0.0))

    def check(self, variant_ids: Iterable[str], window_ms: int) -> None:
        """Make sure that they can be the truth of a campaign.

        Args:
            variant_ids: The campaign's variants.
            window_ms: Its attribution window; a purchase near the edge could not be told.

        Raises:
            EffectsError: If a variant is missing or a purchase may miss the window.
        """
        missing = [name for name in variant_ids if name not in self.variants]
        if missing:
            raise EffectsError(f"variants.{missing[0]}: is missing, but the campaign sends it.")
        if self.slowest_purchase_s * 1000 >= window_ms:
            raise EffectsError(
                f"the delays: the slowest purchase comes {self.slowest_purchase_s:g} s after the "
                f"message, must be under the campaign's window of {window_ms / 1000:g} s."
            )


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
    keys = dict.fromkeys(("operator", "everyone"), Key(reading.anything))
    keys["variants"] = Key(_mapping)
    found = read_keys(document, "", keys, problems)
    operator = read_keys(found.get("operator"), "operator", _OPERATOR, problems)
    everyone = read_keys(found.get("everyone"), "everyone", _EVERYONE, problems)
    variants = {
        str(name): read_keys(value, f"variants.{name}", _VARIANT, problems)
        for name, value in found.get("variants", {}).items()
    }
    if problems.sentences:
        raise EffectsError("\n".join(problems.sentences))
    return Effects(
        OperatorEffects(**operator),
        EveryoneEffects(**everyone),
        {name: VariantEffects(**value) for name, value in variants.items()},
    )


def _mapping(value: Any) -> dict[Any, Any]:
    if not isinstance(value, dict) or not value:
        raise ValueError("must be a mapping from variant to its effects.")
    return value


def _range(most: float) -> Callable[[Any], Range]:
    number = reading.number(0, most)

    def parse(value: Any) -> Range:
        if not isinstance(value, list) or len(value) != 2:
            raise ValueError("must be a list of two numbers.")
        low, high = (number(item) for item in value)
        if low > high:
            raise ValueError("must rise.")
        return low, high

    return parse


def _amounts(value: Any) -> Uniform | Lognormal:
    """`[low, high]` or `{mean: …, sigma: …}`."""
    if not isinstance(value, dict):
        return Uniform(*_range(10**9)(value))
    problems = Problems()
    found = read_keys(value, "", _LOGNORMAL, problems)
    if problems.sentences:
        raise ValueError("; ".join(problems.sentences))
    return Lognormal(**found)


def _errors(value: Any) -> tuple[str, ...]:
    errors = reading.texts(value)
    if not errors or not all(_ERR.fullmatch(err) for err in errors):
        raise ValueError("must be a list of texts of 1 to 8 letters and digits.")
    return errors


_RATE = Key(reading.number(0, 1))
_DELAY = Key(_range(86_400))
_LOGNORMAL = {"mean": Key(reading.number(1, 10**9)), "sigma": Key(reading.number(0.01, 3))}
_OPERATOR = {
    "reject_rate": _RATE,
    "receipt_delay": _DELAY,
    "duplicate_receipt_rate": _RATE,
    "early_receipt_rate": _RATE,
    "failure_errors": Key(_errors),
    "throttle_rate": Key(reading.number(0, 0.9), 0.0),
    "response_delay": Key(_range(60), (0.0, 0.0)),
    "receipt_id": Key(reading.one_of("decimal", "same"), "decimal"),
}
_EVERYONE = {
    "organic_rate": _RATE,
    "organic_delay": _DELAY,
    "late_rate": Key(reading.number(0, 1), 0.0),
    "revenue_minor": Key(_amounts),
    "refund_rate": _RATE,
    "refund_delay": _DELAY,
}
_VARIANT = {
    "delivery_rate": _RATE,
    "click_rate": _RATE,
    "bot_rate": _RATE,
    "bot_delay": Key(_range(86_400), (0.1, 1.0)),
    "click_delay": _DELAY,
    "conversion_rate": _RATE,
    "conversion_delay": _DELAY,
    "opt_out_rate": _RATE,
    "reply_rate": _RATE,
    "reply_delay": _DELAY,
}
