"""Comparing two arms as the plan's method demands: once at the end, or at every look. Pure.

`fixed`: intervals that hold for one look, when everybody is mature; until then, and for
`sequential` plans always, confidence sequences, which hold at all looks together and are
therefore wider (1.55 × at the planned size).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Final, Literal, NamedTuple

from pipeline.rows import Campaign, Variant
from pipeline.stats.means import MeanSummary, compare_means
from pipeline.stats.proportions import compare_proportions
from pipeline.stats.rare import watch_rare_proportions
from pipeline.stats.results import Counts, DifferenceResult
from pipeline.stats.sequential import watch_means, watch_proportions, widen_for_looks
from schemas.events import HOLDOUT

EXPECTED_RATES: Final[Mapping[str, float]] = {
    "conversion_rate": 0.01,
    "click_rate": 0.05,
    "reply_rate": 0.01,
    "opt_out_rate": 0.005,
}
"""Guesses that tune the sequence for rare events, fixed for all campaigns: usual SMS rates
(docs/statistics.md). A wrong guess makes it wider, never wrong."""
_WIDEST: Final = 1 - 1e-12
"""About 7 standard errors; nearer to 1 a float cannot tell levels apart."""
NORMAL_FROM: Final = 50
"""Successes and failures in each arm from which the asymptotic sequence may be used."""


class Found(NamedTuple):
    """A difference and how it was found. `lift_level`: a level with the same reach for ratios.

    `None`: there is none that says the same, so no lift is told.
    """

    difference: DifferenceResult
    method: str
    lift_level: float | None


def is_sequential(campaign: Campaign) -> bool:
    """Whether the verdict may come at any look. A bandit is read as one looks, too."""
    return campaign.method in {"sequential", "bandit"}


def compare_counts(
    metric: str,
    control: Counts,
    treatment: Counts,
    *,
    level: float,
    expected_n: float,
    at_any_time: bool,
    once: Literal["newcombe", "score"] = "newcombe",
) -> Found:
    """Two proportions. `expected_n`: recipients of both arms at the planned decision.

    `once`: the interval at one look. Where a p-value decides it is `score`, which agrees with it.
    """
    if not at_any_time:
        found = compare_proportions(control, treatment, confidence_level=level, method=once)
        return Found(found, once, level)
    n = control[1] + treatment[1]
    if is_rare(control) or is_rare(treatment):
        found = watch_rare_proportions(
            control,
            treatment,
            expected_rate=EXPECTED_RATES[metric],
            expected_n=expected_n / 2,
            confidence_level=level,
        )
        return Found(found, "beta_binomial_sequence", None)
    found = watch_proportions(control, treatment, expected_n=expected_n, confidence_level=level)
    return Found(found, "confidence_sequence", _reach(n, expected_n, level))


def compare_sums(
    control: MeanSummary,
    treatment: MeanSummary,
    *,
    level: float,
    expected_n: float,
    at_any_time: bool,
) -> Found:
    """Two means. `expected_n`: recipients of both arms at the planned decision."""
    if not at_any_time:
        return Found(compare_means(control, treatment, confidence_level=level), "welch", level)
    found = watch_means(control, treatment, expected_n=expected_n, confidence_level=level)
    reach = _reach(control.n + treatment.n, expected_n, level)
    return Found(found, "confidence_sequence", reach)


def planned_shares(campaign: Campaign, variants: Sequence[Variant]) -> dict[str, float]:
    """Arm → its planned share of everybody assigned, the holdout too."""
    shares = {v.variant_id: v.share * (1 - campaign.holdout) for v in variants}
    return shares | {HOLDOUT: campaign.holdout}


def expected_pair(campaign: Campaign, shares: Mapping[str, float], *arms: str) -> float:
    """Recipients of some arms at the planned decision: their part of the plan's N*."""
    whole = campaign.expected_n or campaign.audience_size or 1
    return max(2.0, whole * sum(shares.get(arm, 0.0) for arm in arms))


def is_rare(counts: Counts) -> bool:
    """Whether an arm has too few events, or too few others, for a mean to be near normal."""
    hits, n = counts
    return min(hits, n - hits) < NORMAL_FROM


def _reach(n: int, expected_n: float, level: float) -> float | None:
    """The confidence level at which a normal interval is as wide as the sequence."""
    if not n:
        return None
    reach = math.erf(widen_for_looks(n, expected_n, level) / math.sqrt(2))
    return reach if reach < _WIDEST else None
