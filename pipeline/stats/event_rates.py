"""Events per message, where one message or person can give several: Poisson, exact."""

from __future__ import annotations

import math
from typing import NamedTuple

from scipy import special

from pipeline.stats.results import NAN, EstimateResult, check_confidence


class RateResult(NamedTuple):
    """Events per unit of exposure in two arms. Undefined fields are `nan`."""

    control: float
    treatment: float
    effect_size: float
    relative_lift: float
    relative_lift_lower: float
    relative_lift_upper: float
    pvalue: float


def estimate_event_rate(
    events: int, exposure: float, *, confidence_level: float = 0.95
) -> EstimateResult:
    """Estimate events per message with the exact Poisson interval.

    From the gamma quantiles: covers at least the level. Valid for independent events (complaints,
    faults, link previews); a link that is the same for all recipients gives total clicks, which
    vary more than that. For a **fixed horizon**.

    Args:
        events: Counted.
        exposure: Messages, or another amount, above 0 to say anything.
        confidence_level: Of the interval.

    Returns: `nan` without exposure.

    Raises:
        ValueError: If a count is negative or the level outside (0, 1).

    References: Garwood (1936).

    Examples:
        >>> r = estimate_event_rate(14, 400)  # statsmodels: confint_poisson(14, 400, "exact-c")
        >>> [round(v, 5) for v in r]
        [0.035, 0.01913, 0.05872]
    """
    check_confidence(confidence_level)
    _check(events, exposure)
    if not exposure:
        return EstimateResult(NAN, NAN, NAN)
    tail = (1 - confidence_level) / 2
    lower = float(special.gammaincinv(events, tail)) if events else 0.0
    upper = float(special.gammainccinv(events + 1, tail))
    return EstimateResult(events / exposure, lower / exposure, upper / exposure)


def compare_event_rates(
    control: tuple[int, float], treatment: tuple[int, float], *, confidence_level: float = 0.95
) -> RateResult:
    """Compare two Poisson rates exactly, given their sum.

    Given the sum of events, those of the treatment are binomial; its exact interval gives that
    of the ratio, and twice the smaller tail the p-value: both agree. Valid for independent
    events and a **fixed horizon**; conservative for few events.

    Args:
        control: (events, exposure).
        treatment: (events, exposure).
        confidence_level: Of the interval of the lift.

    Returns: `nan` without exposure in an arm; without any event `nan` lift and p = 1; a lift of
        `inf` when only the control has none.

    Raises:
        ValueError: If a count is negative or the level outside (0, 1).

    References: Przyborowski & Wilenski (1940); Clopper & Pearson (1934).

    Examples:
        >>> r = compare_event_rates((15, 19_017), (41, 28_010))  # Rothman & Greenland (1998):
        >>> round(1 + r.relative_lift, 3), round(r.pvalue, 3)  # breast cancer, ratio 1.86
        (1.856, 0.048)
    """
    check_confidence(confidence_level)
    (events1, exposure1), (events2, exposure2) = control, treatment
    _check(events1, exposure1)
    _check(events2, exposure2)
    if not (exposure1 and exposure2):
        rates = [e / x if x else NAN for e, x in (control, treatment)]
        return RateResult(rates[0], rates[1], NAN, NAN, NAN, NAN, NAN)
    first, second = events1 / exposure1, events2 / exposure2
    if not events1 + events2:
        return RateResult(first, second, 0.0, NAN, NAN, NAN, 1.0)
    share = exposure2 / (exposure1 + exposure2)
    tail = (1 - confidence_level) / 2
    low = float(special.betaincinv(events2, events1 + 1, tail)) if events2 else 0.0
    high = float(special.betainccinv(events2 + 1, events1, tail)) if events1 else 1.0
    scale = exposure1 / exposure2
    bounds = [scale * p / (1 - p) - 1 if p < 1 else math.inf for p in (low, high)]
    lift = second / first - 1 if events1 else math.inf
    above = float(special.betainc(events2, events1 + 1, share)) if events2 else 1.0
    below = float(special.betaincc(events2 + 1, events1, share)) if events1 else 1.0
    pvalue = min(1.0, 2 * min(above, below))
    return RateResult(first, second, second - first, lift, bounds[0], bounds[1], pvalue)


def _check(events: int, exposure: float) -> None:
    if events < 0:
        raise ValueError(f"events == {events}, must be 0 or more.")
    if not exposure >= 0:
        raise ValueError(f"exposure == {exposure}, must be 0 or more.")
