"""What makes a definition impossible to evaluate. Pure.

Campaign files are checked when they are read, but a definition is an event that anybody may
write. One that cannot be evaluated becomes a verdict that says so: as an exception it would
stop the worker, again after every restart, and with it all other campaigns.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

from campaigns.plan_rules import plan_conflict
from pipeline.rows import Campaign, Variant
from schemas.events import HOLDOUT

MAX_SHARE_ERROR = 1e-6
MIN_ALPHA = 1e-9
"""Divided by a hundred treatments, 1 − alpha still differs from 1."""


def plan_fault(campaign: Campaign, variants: Sequence[Variant]) -> str | None:
    """The first rule the definition breaks, as a sentence, or `None`."""
    names = Counter(variant.variant_id for variant in variants)
    shares = [variant.share for variant in variants]
    faults = (
        (not variants, "variants == (), must be at least one."),
        (HOLDOUT in names, f"variants.{HOLDOUT}: the name is taken by those who get nothing."),
        (any(count > 1 for count in names.values()), "variants: must have different names."),
        (campaign.control not in names, f"control == {campaign.control!r}, must be a variant."),
        (
            any(share < 0 for share in shares) or not abs(sum(shares) - 1) <= MAX_SHARE_ERROR,
            f"shares == {shares}, must be 0 or more and add up to 1.",
        ),
        (not 0 <= campaign.holdout < 1, f"holdout == {campaign.holdout}, must be in [0, 1)."),
        (
            not MIN_ALPHA <= campaign.alpha < 1,
            f"alpha == {campaign.alpha}, must be from {MIN_ALPHA} to below 1.",
        ),
        (not 0 < campaign.power < 1, f"power == {campaign.power}, must be in (0, 1)."),
        *(
            (size is not None and size < 1, f"{name} == {size}, must be 1 or more.")
            for name, size in (
                ("audience_size", campaign.audience_size),
                ("plan.expected_n", campaign.expected_n),
                ("plan.cap_minor", campaign.cap_minor),
            )
        ),
        *(
            (not math.isfinite(value) or value < 0, f"{name} == {value}, must be 0 or more.")
            for name, value in (
                ("minimum_effect", campaign.minimum_effect),
                ("margin", campaign.margin),
            )
        ),
        (
            campaign.opt_out_margin < 0 or math.isinf(campaign.opt_out_margin),
            f"guardrails.opt_out_rate == {campaign.opt_out_margin}, must be 0 or more.",
        ),
    )
    broken = (sentence for is_broken, sentence in faults if is_broken)
    return next(broken, None) or _conflict(campaign)


def _conflict(campaign: Campaign) -> str | None:
    return plan_conflict(
        method=campaign.method,
        family=campaign.family,
        metric=campaign.metric,
        covariate=campaign.covariate,
    )
