"""What every method hands back, and the checks and quantiles that all of them need."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Final, NamedTuple

from scipy import special

NAN: Final = math.nan
ROOT_TWO: Final = math.sqrt(2.0)
Counts = tuple[int, int]
"""(successes, trials)."""


class EstimateResult(NamedTuple):
    """One quantity with a two-sided confidence interval. Undefined fields are `nan`."""

    estimate: float
    ci_lower: float
    ci_upper: float


class DifferenceResult(NamedTuple):
    """Treatment minus control. Undefined fields are `nan`."""

    control: float
    treatment: float
    effect_size: float
    ci_lower: float
    ci_upper: float
    pvalue: float


class LiftResult(NamedTuple):
    """Treatment / control − 1. Undefined fields are `nan`."""

    relative_lift: float
    relative_lift_lower: float
    relative_lift_upper: float


def check_confidence(confidence_level: float) -> None:
    """Refuse a level that is none.

    Raises:
        ValueError: If it is outside (0, 1).
    """
    check_open("confidence_level", confidence_level)


def check_open(name: str, value: float) -> None:
    """Refuse a share, level or probability outside (0, 1).

    Raises:
        ValueError: If it is outside (0, 1); `nan` is.
    """
    if not 0 < value < 1:
        raise ValueError(f"{name} == {value}, must be in (0, 1).")


def check_positive(name: str, value: float) -> None:
    """Refuse what must be above 0.

    Raises:
        ValueError: If it is not finite and positive.
    """
    if not 0 < value < math.inf:
        raise ValueError(f"{name} == {value}, must be positive and finite.")


def check_choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    """Refuse a word that names no method: falling through to another one would look like data.

    Raises:
        ValueError: If it is none of the choices.
    """
    if value not in choices:
        raise ValueError(f"{name} == {value!r}, must be one of {', '.join(choices)}.")


def check_counts(successes: int, trials: int) -> None:
    """Refuse a pair that no count can give.

    Raises:
        ValueError: If successes are outside 0…trials.
    """
    if not 0 <= successes <= trials:
        raise ValueError(f"successes == {successes}, must be 0 to {trials}.")


@lru_cache(maxsize=1024)
def normal_critical(alpha: float) -> float:
    """The z that a standard normal exceeds with probability `alpha`.

    The lower tail is inverted, because 1 − alpha has no digits left for a small alpha.
    """
    return -float(special.ndtri(alpha))


def two_sided_pvalue(z: float) -> float:
    """P(|Z| ≥ |z|) of a standard normal; exact far into the tail."""
    return math.erfc(abs(z) / ROOT_TWO)


def two_sided_critical(confidence_level: float) -> float:
    """The z of a two-sided interval.

    Raises:
        ValueError: If the level is outside (0, 1).
    """
    check_confidence(confidence_level)
    return normal_critical((1 - confidence_level) / 2)


def divide(numerator: int, denominator: int) -> float:
    """The quotient of two whole numbers of any size, rounded once; `nan` when it divides by 0."""
    return numerator / denominator if denominator else NAN
