"""A metric that must not get worse than its margin, and effects too small to matter."""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

from scipy import special

from pipeline.stats.means import MeanSummary, welch_bounds
from pipeline.stats.results import (
    NAN,
    Counts,
    DifferenceResult,
    check_counts,
    check_open,
    divide,
    normal_critical,
)
from pipeline.stats.score import score_interval, score_statistic

Status = Literal["ok", "warn", "bad", "pending"]


class GuardrailResult(NamedTuple):
    """Treatment minus control against a margin. Undefined fields are `nan`."""

    control: float
    treatment: float
    effect_size: float
    ci_lower: float
    """Each limit is one-sided at alpha."""
    ci_upper: float
    pvalue: float
    """Of the hypothesis that the metric got worse by the margin or more."""
    margin: float
    status: Status
    """`ok`: surely within the margin; `bad`: surely beyond; `warn`: not known; `pending`: nan."""


def check_guardrail(
    control: Counts,
    treatment: Counts,
    *,
    margin: float,
    alpha: float = 0.05,
    higher_is_better: bool = False,
) -> GuardrailResult:
    """Check that a proportion did not get worse by the margin (non-inferiority).

    One-sided score test at the margin (Farrington & Manning); limits from the same statistic,
    so `ok` and p < alpha say the same. Right for opt-outs from small counts on; **fixed
    horizon**. Passing is a proof, a wide interval is not: no data never gives `ok`.

    Args:
        control: (events, recipients).
        treatment: The same.
        margin: Largest accepted worsening, above 0, in the unit of the rate.
        alpha: One-sided.
        higher_is_better: False for opt-outs, complaints and faults.

    Returns: `pending` with `nan` while an arm is empty.

    Raises:
        ValueError: If the margin or alpha is outside (0, 1) or a pair is none.

    References: Farrington & Manning (1990); Miettinen & Nurminen (1985); Schuirmann (1987).

    Examples:
        >>> r = check_guardrail((49, 12_316), (49, 12_316), margin=0.002)
        >>> r.status, round(r.ci_upper, 5), round(r.pvalue, 4)
        ('ok', 0.00134, 0.0077)
        >>> check_guardrail((49, 12_316), (120, 12_316), margin=0.002).status
        'bad'
    """
    check_open("margin", margin)
    check_open("alpha", alpha)
    check_counts(*control)
    check_counts(*treatment)
    if not (control[1] and treatment[1]):
        empty = divide(*control), divide(*treatment)
        return GuardrailResult(*empty, NAN, NAN, NAN, NAN, margin, "pending")
    shares = control[0] / control[1], treatment[0] / treatment[1]
    bounds = score_interval(control, treatment, normal_critical(alpha))
    worst = -margin if higher_is_better else margin
    z = score_statistic(control, treatment, worst)
    pvalue = float(special.ndtr(-z if higher_is_better else z))
    status = judge_bounds(*bounds, margin=margin, higher_is_better=higher_is_better)
    return GuardrailResult(*shares, shares[1] - shares[0], *bounds, pvalue, margin, status)


def check_mean_guardrail(
    control: MeanSummary,
    treatment: MeanSummary,
    *,
    margin: float,
    alpha: float = 0.05,
    higher_is_better: bool = True,
) -> GuardrailResult:
    """Check that a mean did not get worse by the margin (non-inferiority).

    One-sided Welch test at the margin, limits from the same variance. Valid as
    `compare_means` is, for a **fixed horizon**.

    Args:
        control: Of the control.
        treatment: Of the treatment.
        margin: Largest accepted worsening, above 0, in the unit of the mean.
        alpha: One-sided.
        higher_is_better: True for revenue, False for cost.

    Returns: `pending` with `nan` below two values an arm or without variance.

    Raises:
        ValueError: If the margin is not positive or alpha outside (0, 0.5).

    References: Welch (1947); Schuirmann (1987).

    Examples:
        >>> a = MeanSummary.from_moments(5000, 100.0, 400.0)
        >>> b = MeanSummary.from_moments(5000, 99.8, 400.0)
        >>> check_mean_guardrail(a, b, margin=1.0).status
        'ok'
    """
    if not margin > 0:
        raise ValueError(f"margin == {margin}, must be positive.")
    if not 0 < alpha < 0.5:
        raise ValueError(f"alpha == {alpha}, must be in (0, 0.5).")
    effect = treatment.mean - control.mean
    arms = (control.mean_variance, control.n), (treatment.mean_variance, treatment.n)
    lower, upper, _ = welch_bounds(effect, *arms, 1 - 2 * alpha)
    gap = effect + margin if higher_is_better else effect - margin
    two_sided = welch_bounds(gap, *arms, 1 - 2 * alpha)[2]
    is_within = gap > 0 if higher_is_better else gap < 0
    pvalue = two_sided / 2 if is_within else 1 - two_sided / 2
    status = judge_bounds(lower, upper, margin=margin, higher_is_better=higher_is_better)
    return GuardrailResult(
        control.mean, treatment.mean, effect, lower, upper, pvalue, margin, status
    )


def judge_bounds(lower: float, upper: float, *, margin: float, higher_is_better: bool) -> Status:
    """What two bounds say about a margin, in the direction of the metric; any interval will do.

    With the bounds of `watch_rare_proportions` the status holds at every look.

    Returns: `pending` for undefined bounds, else as `GuardrailResult.status`.

    References: Schuirmann (1987).

    Examples:
        >>> judge_bounds(-0.001, 0.0015, margin=0.002, higher_is_better=False)
        'ok'
        >>> judge_bounds(-0.001, 0.0015, margin=0.0005, higher_is_better=True)
        'warn'
    """
    if math.isnan(lower) or math.isnan(upper):
        return "pending"
    least, most = (-upper, -lower) if higher_is_better else (lower, upper)
    if most < margin:
        return "ok"
    return "bad" if least > margin else "warn"


def is_equivalent(result: DifferenceResult, limit: float) -> bool:
    """Whether the whole interval is too small to matter (two one-sided tests).

    An interval at confidence 1 − 2α gives a test of level α; at 1 − α it is conservative.

    Args:
        result: Of any comparison.
        limit: Smallest effect that matters, above 0.

    Returns: False for undefined intervals: no data is no proof of equality.

    Raises:
        ValueError: If the limit is not positive.

    References: Schuirmann (1987).

    Examples:
        >>> is_equivalent(DifferenceResult(1.0, 1.0, 0.0, -0.1, 0.2, 0.9), 0.3)
        True
    """
    if not limit > 0:
        raise ValueError(f"limit == {limit}, must be positive.")
    return -limit < result.ci_lower and result.ci_upper < limit
