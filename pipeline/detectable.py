"""The smallest effect that the whole list can show: what to say while results come in. Pure."""

from __future__ import annotations

import math
from typing import Final

from pipeline.arms import Arm
from pipeline.comparisons import MEANS, PROPORTIONS, deciding_events
from pipeline.health import Examined
from pipeline.looks import is_sequential, planned_shares
from pipeline.rows import Campaign
from pipeline.stats.power import detect_mean, detect_proportion, inflate_for_looks
from schemas.events import HOLDOUT

KNOWN_FROM: Final = 100
"""Events of the control from which its spread is known to a tenth (1/√100)."""


def detectable_effect(examined: Examined) -> float | None:
    """Absolute effect on the primary metric that the planned test finds with its power.

    From the control's spread so far, mature people first. Against the worst placed treatment.

    Returns: `inf` when the list cannot show any effect; `None` while too little happened to know
        the spread, or without a treatment.
    """
    campaign = examined.campaign
    shares = planned_shares(campaign, examined.variants)
    rivals = [share for arm, share in shares.items() if arm not in {HOLDOUT, campaign.control}]
    control = _control(examined)
    whole = campaign.expected_n or campaign.audience_size or 0
    n = whole * shares.get(campaign.control, 0.0)
    if control is None or not rivals or not n or not min(rivals):
        return None
    ratio = min(rivals) / shares[campaign.control]
    alpha = campaign.alpha / len(rivals)
    if is_sequential(campaign):
        n /= inflate_for_looks(alpha=alpha, power=campaign.power)
    return _smallest(campaign, control, n, alpha=alpha, ratio=ratio)


def _smallest(
    campaign: Campaign, control: Arm, n: float, *, alpha: float, ratio: float
) -> float | None:
    if campaign.metric in PROPORTIONS:
        base = getattr(control.counters, PROPORTIONS[campaign.metric]) / control.n
        if not 0 < base < 1:
            return None
        found = detect_proportion(base, n, alpha=alpha, power=campaign.power, ratio=ratio)
        return math.inf if math.isnan(found) else found
    variance = MEANS[campaign.metric](control, campaign).mean_variance * control.n
    if not variance > 0:
        return None
    return detect_mean(math.sqrt(variance), n, alpha=alpha, power=campaign.power, ratio=ratio)


def _control(examined: Examined) -> Arm | None:
    """The control with enough events, mature if possible."""
    for arms in (examined.mature, examined.live):
        for arm in arms:
            is_control = arm.variant_id == examined.campaign.control
            if is_control and deciding_events(arm, examined.campaign) >= KNOWN_FROM:
                return arm
    return None
