"""The smallest effect that the whole list can show: what to say while results come in. Pure."""

from __future__ import annotations

import math
from typing import Final

from pipeline.arms import Arm
from pipeline.examined import Examined
from pipeline.looks import is_sequential, planned_shares
from pipeline.measures import PROPORTIONS, counts_of, deciding_events, past_of, summary_of
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
    control = known_control(examined)
    whole = campaign.expected_n or campaign.audience_size or 0
    n = whole * shares.get(campaign.control, 0.0)
    if control is None or not rivals or not n or not min(rivals):
        return None
    ratio = min(rivals) / shares[campaign.control]
    alpha = campaign.alpha / len(rivals)
    if is_sequential(campaign):
        n /= inflate_for_looks(alpha=alpha, power=campaign.power)
    return _smallest(campaign, control, n, alpha=alpha, ratio=ratio)


def is_too_small(examined: Examined, *, was_told: bool) -> bool:
    """Whether the list cannot show the effect that matters.

    The figure is estimated from the control's events, so it wavers: it is said when surely true,
    and taken back (`was_told`) when surely false, each by twice the standard error of the figure,
    which for events of one size is half of 1/√events.
    """
    smallest, limit = detectable_effect(examined), examined.campaign.minimum_effect
    control = known_control(examined)
    if smallest is None or control is None or not limit:
        return False
    doubt = 1 / math.sqrt(deciding_events(control, examined.campaign))
    return smallest * (1 + doubt) >= limit if was_told else smallest * (1 - doubt) > limit


def _smallest(
    campaign: Campaign, control: Arm, n: float, *, alpha: float, ratio: float
) -> float | None:
    if campaign.metric in PROPORTIONS and campaign.covariate is None:
        hits, people = counts_of(control, campaign.metric)
        base = hits / people
        if not 0 < base < 1:
            return None
        found = detect_proportion(base, n, alpha=alpha, power=campaign.power, ratio=ratio)
        return math.inf if math.isnan(found) else found
    variance = planned_variance(campaign, control)
    if not variance > 0:
        return None
    return detect_mean(math.sqrt(variance), n, alpha=alpha, power=campaign.power, ratio=ratio)


def planned_variance(campaign: Campaign, control: Arm) -> float:
    """Of one recipient's outcome as it will be compared: under the cap, less the covariate's."""
    if campaign.covariate is None:
        return summary_of(control, campaign.metric, campaign).variance
    past = past_of(control, campaign.metric, campaign)
    return past.combine(past.slope).variance


def known_control(examined: Examined) -> Arm | None:
    """The control with enough events, mature if possible."""
    for arms in (examined.mature, examined.live):
        for arm in arms:
            is_control = arm.variant_id == examined.campaign.control
            if is_control and deciding_events(arm, examined.campaign) >= KNOWN_FROM:
                return arm
    return None
