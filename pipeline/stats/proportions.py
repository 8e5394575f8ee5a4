"""One proportion with its interval, and the difference of two."""

from __future__ import annotations

import math
from typing import Final, NamedTuple

from scipy import stats

NAN: Final = math.nan


class Interval(NamedTuple):
    """A two-sided confidence interval."""

    lower: float
    upper: float


class DifferenceResult(NamedTuple):
    """Treatment minus control. Undefined fields are `nan`."""

    control: float
    treatment: float
    effect_size: float
    ci_lower: float
    ci_upper: float
    pvalue: float


def check_confidence(confidence_level: float) -> None:
    """Refuse a level that is none.

    Raises:
        ValueError: If it is outside (0, 1).
    """
    if not 0 < confidence_level < 1:
        raise ValueError(f"confidence_level == {confidence_level}, must be in (0, 1).")


def wilson_interval(successes: int, trials: int, *, confidence_level: float = 0.95) -> Interval:
    """Wilson's score interval of one proportion; never leaves [0, 1]. `nan` without trials.

    Raises:
        ValueError: If the level is outside (0, 1) or successes outside 0…trials.

    References: Wilson (1927); Newcombe (1998a), method 3.

    Examples:
        >>> [round(bound, 4) for bound in wilson_interval(81, 263)]  # Newcombe (1998a), table I
        [0.2553, 0.3662]
    """
    check_confidence(confidence_level)
    if not 0 <= successes <= trials:
        raise ValueError(f"successes == {successes}, must be 0 to {trials}.")
    if trials == 0:
        return Interval(NAN, NAN)
    z = float(stats.norm.ppf((1 + confidence_level) / 2))
    share = successes / trials
    centre = share + z * z / (2 * trials)
    spread = z * math.sqrt(share * (1 - share) / trials + z * z / (4 * trials * trials))
    scale = 1 + z * z / trials
    return Interval(max(0.0, (centre - spread) / scale), min(1.0, (centre + spread) / scale))


def compare_proportions(
    control: tuple[int, int], treatment: tuple[int, int], *, confidence_level: float = 0.95
) -> DifferenceResult:
    """Difference of two proportions: Newcombe's hybrid score interval and the pooled z test.

    Valid for a **fixed horizon** only: look once, when the plan says so.

    Args:
        control: (successes, trials).
        treatment: (successes, trials).
        confidence_level: Of the interval.

    Returns: `nan` where an arm has no trials; the p-value is `nan` when nobody or everybody
        succeeded. Never raises on data.

    Raises:
        ValueError: If the level is outside (0, 1) or a pair is none.

    References: Newcombe (1998b), method 10; interval and test need not agree at the edge.

    Examples:
        >>> r = compare_proportions((48, 80), (56, 70))  # Newcombe (1998b), table II, case (a)
        >>> round(r.effect_size, 4), round(r.ci_lower, 4), round(r.ci_upper, 4)
        (0.2, 0.0524, 0.3339)
    """
    (control_hits, control_n), (treatment_hits, treatment_n) = control, treatment
    first = wilson_interval(control_hits, control_n, confidence_level=confidence_level)
    second = wilson_interval(treatment_hits, treatment_n, confidence_level=confidence_level)
    if control_n == 0 or treatment_n == 0:
        shares = [h / n if n else NAN for h, n in (control, treatment)]
        return DifferenceResult(shares[0], shares[1], NAN, NAN, NAN, NAN)
    p1, p2 = control_hits / control_n, treatment_hits / treatment_n
    effect = p2 - p1
    return DifferenceResult(
        p1,
        p2,
        effect,
        effect - math.hypot(p2 - second.lower, first.upper - p1),
        effect + math.hypot(second.upper - p2, p1 - first.lower),
        _pooled_pvalue(control_hits + treatment_hits, control_n, treatment_n, effect),
    )


def _pooled_pvalue(hits: int, control_n: int, treatment_n: int, effect: float) -> float:
    pooled = hits / (control_n + treatment_n)
    variance = pooled * (1 - pooled) * (1 / control_n + 1 / treatment_n)
    if variance == 0:
        return NAN
    return float(2 * stats.norm.sf(abs(effect) / math.sqrt(variance)))
