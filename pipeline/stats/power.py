"""Before sending: how many recipients, how small an effect, how many days. Closed form."""

from __future__ import annotations

import math
from typing import Final

from scipy import optimize, special

from pipeline.stats.results import NAN, check_open, check_positive, normal_critical
from pipeline.stats.sequential import widen_for_looks

LARGEST: Final = 10**15
"""More recipients than that is none."""


def size_proportions(
    base: float, effect: float, *, alpha: float = 0.05, power: float = 0.8, ratio: float = 1.0
) -> int:
    """Recipients of the control that a two-sided test of two proportions needs.

    (z_{α/2}√(1 + 1/r)p̄q̄ + z_β√(p_c q_c + p_t q_t/r))²/δ², pooled under the null. Valid for one
    look with the pooled z test.

    Args:
        base: Proportion of the control.
        effect: Absolute change that must be found, either sign.
        alpha: Two-sided; divide by the number of comparisons for several arms.
        power: Chance to find it.
        ratio: Treatment recipients per control recipient.

    Returns: Control recipients, rounded up; the treatment needs `ratio` times as many.

    Raises:
        ValueError: If a rate, alpha or power is outside (0, 1), the effect is 0 or leaves it.

    References: Fleiss, Levin & Paik (2003), equation 4.14 without correction.

    Examples:
        >>> size_proportions(0.05, 0.01)  # R: power.prop.test(p1=.05, p2=.06, power=.8): 8158
        8158
    """
    check_open("base", base)
    check_open("base + effect", base + effect)
    _check_plan(alpha, power, ratio)
    if not effect:
        raise ValueError("effect == 0, must differ from 0.")
    return min(LARGEST, math.ceil(_proportions_n(base, effect, alpha, power, ratio) - 1e-9))


def _proportions_n(base: float, effect: float, alpha: float, power: float, ratio: float) -> float:
    other = base + effect
    pooled = (base + ratio * other) / (1 + ratio)
    null = math.sqrt((1 + 1 / ratio) * pooled * (1 - pooled))
    alternative = math.sqrt(base * (1 - base) + other * (1 - other) / ratio)
    reach = normal_critical(alpha / 2) * null + normal_critical(1 - power) * alternative
    return (reach / effect) ** 2


def size_means(
    deviation: float, effect: float, *, alpha: float = 0.05, power: float = 0.8, ratio: float = 1.0
) -> int:
    """Recipients of the control that a two-sided test of two means needs.

    (z_{α/2} + z_β)²σ²(1 + 1/r)/δ². Valid for one look and equal deviations; for money take the
    deviation of a past campaign, after the cap.

    Args:
        deviation: Standard deviation per recipient.
        effect: Absolute change that must be found.
        alpha: Two-sided.
        power: Chance to find it.
        ratio: Treatment recipients per control recipient.

    Returns: Control recipients, rounded up.

    Raises:
        ValueError: If the deviation is not positive, the effect 0, alpha or power outside (0, 1).

    References: Chow, Shao & Wang (2008), equation 3.7.

    Examples:
        >>> size_means(1.0, 0.1)
        1570
    """
    check_positive("deviation", deviation)
    _check_plan(alpha, power, ratio)
    if not effect:
        raise ValueError("effect == 0, must differ from 0.")
    reach = normal_critical(alpha / 2) + normal_critical(1 - power)
    return min(LARGEST, math.ceil((reach * deviation / effect) ** 2 * (1 + 1 / ratio) - 1e-9))


def size_guardrail(rate: float, margin: float, *, alpha: float = 0.05, power: float = 0.8) -> int:
    """Recipients per arm to show that a rate did not rise by a margin, when it did not at all.

    (z_α + z_β)²·2pq/margin², one-sided. Valid for one look with `check_guardrail`.

    Args:
        rate: Of both arms.
        margin: Largest accepted rise.
        alpha: One-sided.
        power: Chance to show it.

    Returns: Per arm, rounded up.

    Raises:
        ValueError: If an argument is outside (0, 1).

    References: Chow, Shao & Wang (2008), section 4.2.2.

    Examples:
        >>> size_guardrail(0.004, 0.002)
        12316
    """
    check_open("rate", rate)
    check_open("margin", margin)
    _check_plan(alpha, power, 1.0)
    reach = normal_critical(alpha) + normal_critical(1 - power)
    return math.ceil(reach**2 * 2 * rate * (1 - rate) / margin**2 - 1e-9)


def detect_proportion(
    base: float, n: float, *, alpha: float = 0.05, power: float = 0.8, ratio: float = 1.0
) -> float:
    """Find the smallest rise of a proportion that n control recipients can show (MDE).

    The inverse of `size_proportions`.

    Args:
        base: Proportion of the control.
        n: Recipients of the control.
        alpha: Two-sided.
        power: Chance to find it.
        ratio: Treatment recipients per control recipient.

    Returns: An absolute rise; `nan` when no rise up to 1 can be shown.

    Raises:
        ValueError: If `n` is not positive, a rate, alpha or power outside (0, 1).

    References: Fleiss, Levin & Paik (2003), equation 4.14 solved for the difference.

    Examples:
        >>> round(detect_proportion(0.05, 8158), 4)
        0.01
    """
    check_open("base", base)
    check_positive("n", n)
    _check_plan(alpha, power, ratio)

    def missing(effect: float) -> float:
        return _proportions_n(base, effect, alpha, power, ratio) - n

    largest = (1 - base) * (1 - 1e-12)
    if missing(largest) > 0:
        return NAN
    return float(optimize.brentq(missing, 1e-12, largest, xtol=1e-15))


def detect_mean(
    deviation: float, n: float, *, alpha: float = 0.05, power: float = 0.8, ratio: float = 1.0
) -> float:
    """Find the smallest change of a mean that n control recipients can show (MDE).

    The inverse of `size_means`.

    Args:
        deviation: Standard deviation per recipient.
        n: Recipients of the control.
        alpha: Two-sided.
        power: Chance to find it.
        ratio: Treatment recipients per control recipient.

    Returns: An absolute change.

    Raises:
        ValueError: If `n` or the deviation is not positive, alpha or power outside (0, 1).

    References: Chow, Shao & Wang (2008), equation 3.7 solved for the difference.

    Examples:
        >>> round(detect_mean(1.0, 1570), 3)
        0.1
    """
    check_positive("deviation", deviation)
    check_positive("n", n)
    _check_plan(alpha, power, ratio)
    reach = normal_critical(alpha / 2) + normal_critical(1 - power)
    return reach * deviation * math.sqrt((1 + 1 / ratio) / n)


def compute_power(
    base: float, effect: float, n: float, *, alpha: float = 0.05, ratio: float = 1.0
) -> float:
    """Compute the chance that n control recipients show a change of a proportion.

    Valid for one look with the pooled z test; the far side, which has no chance to speak of,
    is left out.

    Args:
        base: Proportion of the control.
        effect: True absolute change.
        n: Recipients of the control.
        alpha: Two-sided.
        ratio: Treatment recipients per control recipient.

    Returns: 0 to 1.

    Raises:
        ValueError: If a rate or alpha is outside (0, 1) or `n` not positive.

    References: Fleiss, Levin & Paik (2003), equation 4.14 solved for the power.

    Examples:
        >>> round(compute_power(0.05, 0.01, 8158), 3)
        0.8
    """
    check_open("base", base)
    check_open("base + effect", base + effect)
    check_positive("n", n)
    _check_plan(alpha, 0.5, ratio)
    other = base + effect
    pooled = (base + ratio * other) / (1 + ratio)
    null = math.sqrt((1 + 1 / ratio) * pooled * (1 - pooled))
    alternative = math.sqrt(base * (1 - base) + other * (1 - other) / ratio)
    z = (abs(effect) * math.sqrt(n) - normal_critical(alpha / 2) * null) / alternative
    return float(special.ndtr(z))


def inflate_for_looks(*, alpha: float = 0.05, power: float = 0.8) -> float:
    """How many times more recipients a test needs that may be read at any time.

    (w + z_β)²/(z_{α/2} + z_β)², w the half-width of the sequence at n = N*. An upper bound of
    the cost: most such tests stop earlier.

    Args:
        alpha: Two-sided.
        power: At N*.

    Returns: A factor above 1.

    Raises:
        ValueError: If alpha or power is outside (0, 1).

    References: Waudby-Smith et al., arXiv 2103.06476v7, equation 9 at n = N*.

    Examples:
        >>> round(inflate_for_looks(), 2)
        1.91
    """
    _check_plan(alpha, power, 1.0)
    extra = normal_critical(1 - power)
    wide = widen_for_looks(1.0, 1.0, 1 - alpha)
    return ((wide + extra) / (normal_critical(alpha / 2) + extra)) ** 2


def estimate_run_days(
    n_per_arm: float, smallest_share: float, eligible_per_day: float, *, window_days: float = 0.0
) -> float:
    """Estimate days from the first send to the verdict: filling the smallest arm, then its window.

    Args:
        n_per_arm: Recipients that the smallest arm still needs.
        smallest_share: Of everybody assigned.
        eligible_per_day: Recipients assigned per day, all arms together.
        window_days: Until an outcome counts as mature.

    Returns: Days; infinite when nobody comes.

    Raises:
        ValueError: If the share is outside (0, 1] or another argument negative.

    References: ratio of counts, none needed.

    Examples:
        >>> estimate_run_days(8000, 0.45, 5000, window_days=5)
        8.555555555555555
    """
    if not 0 < smallest_share <= 1:
        raise ValueError(f"smallest_share == {smallest_share}, must be in (0, 1].")
    values = {"n_per_arm": n_per_arm, "eligible_per_day": eligible_per_day}
    for name, value in {**values, "window_days": window_days}.items():
        if not value >= 0:
            raise ValueError(f"{name} == {value}, must be 0 or more.")
    if not n_per_arm:
        return window_days
    if not eligible_per_day:
        return math.inf
    return n_per_arm / (smallest_share * eligible_per_day) + window_days


def _check_plan(alpha: float, power: float, ratio: float) -> None:
    check_open("alpha", alpha)
    check_open("power", power)
    check_positive("ratio", ratio)
