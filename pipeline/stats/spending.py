"""A few planned looks: alpha spending and group-sequential boundaries."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Final, Literal

import numpy as np
from scipy import optimize, special

from pipeline.stats.quadrature import Array, place_panels
from pipeline.stats.results import check_choice, check_open, normal_critical

Shape = Literal["obrien_fleming", "pocock"]
SHAPES: Final = ("obrien_fleming", "pocock")
FARTHEST: Final = 8.5
"""A standard normal goes further with a chance of 2e-17."""
PANEL_DEVIATIONS: Final = 1.5
"""Eight Gauss points integrate a normal density over 1.5 deviations to eleven digits."""
NEVER: Final = 20.0
"""A boundary that nothing crosses, where no alpha is left to spend."""


def spend_alpha(fraction: float, *, alpha: float = 0.05, shape: Shape = "obrien_fleming") -> float:
    """How much of a two-sided alpha may be spent up to a fraction of the planned information.

    Capped at alpha: a test that runs over its plan gets no second portion.

    Args:
        fraction: Recipients so far over those planned; may exceed 1.
        alpha: Whole.
        shape: Little at first (O'Brien-Fleming) or evenly (Pocock).

    Returns: Spent so far, 0 to alpha.

    Raises:
        ValueError: If the fraction is negative or alpha outside (0, 1).

    References: Lan & DeMets (1983), α1* and α2*, applied to each side.

    Examples:
        >>> [round(spend_alpha(t), 5) for t in (0.2, 0.6, 1.0, 1.3)]
        [0.0, 0.00762, 0.05, 0.05]
        >>> round(spend_alpha(0.5, shape="pocock"), 4)
        0.031
    """
    check_open("alpha", alpha)
    check_choice("shape", shape, SHAPES)
    if not fraction >= 0:
        raise ValueError(f"fraction == {fraction}, must be 0 or more.")
    if fraction == 0:
        return 0.0
    if fraction >= 1:
        return alpha
    if shape == "pocock":
        return alpha * math.log1p((math.e - 1) * fraction)
    # alpha / 2 on either side, of which each spends 2 − 2Φ(z/√t)
    return 4 * float(special.ndtr(-normal_critical(alpha / 4) / math.sqrt(fraction)))


def find_boundaries(
    fractions: Sequence[float], *, alpha: float = 0.05, shape: Shape = "obrien_fleming"
) -> list[float]:
    """Find the |z| that each look must reach so that the spent alpha is as planned.

    Looks need not be evenly spaced and need not be known in advance: earlier boundaries do not
    depend on later looks. Valid for statistics with independent increments, with the
    information growing as the count does.

    Args:
        fractions: Information at the looks, rising; the last may exceed 1.
        alpha: Two-sided, over all looks together.
        shape: Of the spending.

    Returns: One boundary per look; `inf` where nothing is left to spend.

    Raises:
        ValueError: If the fractions do not rise from above 0, or alpha is outside (0, 1).

    References: Lan & DeMets (1983); recursion of Armitage, McPherson & Rowe (1969).

    Examples:
        >>> looks = [0.2, 0.4, 0.6, 0.8, 1.0]  # Reboussin et al. (2000), ld98: 4.88, 3.36, 2.68 …
        >>> [round(z, 2) for z in find_boundaries(looks)]
        [4.88, 3.36, 2.68, 2.29, 2.03]
    """
    check_open("alpha", alpha)
    _check_rising(fractions)
    spent = [0.0, *(spend_alpha(t, alpha=alpha, shape=shape) for t in fractions)]
    walk = _Walk()
    found = []
    for fraction, (before, after) in zip(fractions, pairwise(spent), strict=True):
        found.append(walk.bound_for(fraction, after - before))
        walk = walk.step(fraction, min(found[-1], NEVER))
    return found


def design_boundaries(
    looks: int, *, alpha: float = 0.05, shape: Shape = "obrien_fleming"
) -> list[float]:
    """Boundaries of the classical design with evenly spaced looks.

    Pocock: the same |z| at every look; O'Brien-Fleming: |z| falls as 1/√t.

    Args:
        looks: How many, 1 to 100.
        alpha: Two-sided, over all looks together.
        shape: Which design.

    Returns: One boundary per look.

    Raises:
        ValueError: If the looks are not 1 to 100 or alpha is outside (0, 1).

    References: Pocock (1977); O'Brien & Fleming (1979); Jennison & Turnbull (2000), tables 2.1
        and 2.3.

    Examples:
        >>> round(design_boundaries(5, shape="pocock")[0], 3)  # table 2.1
        2.413
        >>> round(design_boundaries(5)[-1], 3)  # table 2.3
        2.04
    """
    check_open("alpha", alpha)
    check_choice("shape", shape, SHAPES)
    if not 1 <= looks <= 100:
        raise ValueError(f"looks == {looks}, must be 1 to 100.")
    fractions = [(k + 1) / looks for k in range(looks)]
    power = 0.0 if shape == "pocock" else -0.5

    def excess(constant: float) -> float:
        return crossing_chances([constant * t**power for t in fractions], fractions)[-1] - alpha

    low = normal_critical(alpha / 2)
    # looks + 1 keeps Bonferroni's bound above the root when there is a single look
    high = normal_critical(alpha / (2 * (looks + 1)))
    constant = float(optimize.brentq(excess, low * 0.999, high, xtol=1e-9))
    return [constant * t**power for t in fractions]


def crossing_chances(
    boundaries: Sequence[float], fractions: Sequence[float], *, drift: float = 0.0
) -> list[float]:
    """The chance that |z| has reached its boundary at this or an earlier look.

    With drift 0 the false-positive rate of peeking, otherwise the power.

    Args:
        boundaries: |z| per look.
        fractions: Information at the looks, rising.
        drift: Expected z at fraction 1.

    Returns: Cumulative chances, one per look.

    Raises:
        ValueError: If the fractions do not rise from above 0 or the lengths differ.

    References: Armitage, McPherson & Rowe (1969), table 2.

    Examples:
        >>> peeks = [k / 50 for k in range(1, 51)]  # the table: 0.142 and 0.320
        >>> risk = crossing_chances([1.96] * 50, peeks)
        >>> round(crossing_chances([1.96] * 5, [0.2, 0.4, 0.6, 0.8, 1])[-1], 3), round(risk[-1], 2)
        (0.142, 0.32)
    """
    _check_rising(fractions)
    if len(boundaries) != len(fractions):
        raise ValueError(f"boundaries == {list(boundaries)}, must be one per fraction.")
    walk, total, found = _Walk(drift), 0.0, []
    for fraction, boundary in zip(fractions, boundaries, strict=True):
        total += walk.leave(fraction, boundary)
        found.append(min(1.0, total))
        walk = walk.step(fraction, min(boundary, NEVER))
    return found


def _check_rising(fractions: Sequence[float]) -> None:
    if any(not after > before for before, after in pairwise([0.0, *fractions])):
        raise ValueError(f"fractions == {list(fractions)}, must rise from above 0.")


class _Walk:
    """Where the score process is, among the paths that have not crossed a boundary yet."""

    def __init__(self, drift: float = 0.0) -> None:
        self.drift = drift
        self.time = 0.0
        self.places: Array = np.zeros(1)
        self.chances: Array = np.ones(1)

    def leave(self, fraction: float, boundary: float) -> float:
        """The chance to be at or beyond ±boundary at the next look."""
        deviation = math.sqrt(fraction - self.time)
        centre = self.places + self.drift * (fraction - self.time)
        limit = boundary * math.sqrt(fraction)
        beyond = special.ndtr((centre - limit) / deviation)
        beyond = beyond + special.ndtr((-limit - centre) / deviation)
        return float(self.chances @ beyond)

    def bound_for(self, fraction: float, chance: float) -> float:
        """The boundary that is left with a given chance."""
        function: Callable[[float], float] = lambda z: self.leave(fraction, z) - chance  # noqa: E731
        if chance <= 0 or function(NEVER) >= 0:
            return math.inf
        return 0.0 if function(0.0) <= 0 else float(optimize.brentq(function, 0.0, NEVER))

    def step(self, fraction: float, boundary: float) -> _Walk:
        """The walk at the next look, of the paths that stayed inside."""
        deviation = math.sqrt(fraction - self.time)
        reach = FARTHEST * math.sqrt(fraction) + abs(self.drift) * fraction
        limit = min(boundary * math.sqrt(fraction), reach)
        panels = max(4, math.ceil(2 * limit / deviation / PANEL_DEVIATIONS))
        following = _Walk(self.drift)
        following.time = fraction
        following.places, weights = place_panels(np.linspace(-limit, limit, panels + 1))
        centre = self.places + self.drift * (fraction - self.time)
        z = (following.places[:, None] - centre[None, :]) / deviation
        density = np.exp(-z * z / 2) @ self.chances
        following.chances = weights * density / (deviation * math.sqrt(2 * math.pi))
        return following
