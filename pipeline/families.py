"""How the comparisons of several treatments share the error, as the plan says. Pure.

The family is the goal times the treatments. Guardrails stay out on purpose: harm must not need
more proof because more texts are tried. Segments are a family of their own (`pipeline.segments`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Final, Literal

import msgspec

from pipeline.rows import Campaign, Comparison
from pipeline.stats.multiplicity import adjust_pvalues

Adjustment = Literal["holm", "bonferroni", "bh"]
AT_ANY_TIME: Final[Mapping[str, Adjustment]] = {"holm": "holm"}
"""Family → what holds at every look; for all others Bonferroni. Holm does, with p-values that do:
it names a true null first where one of m₀ has p ≤ α/m₀ at most, which ever happens with α."""
AT_THE_END: Final[Mapping[str, Adjustment]] = {"holm": "holm", "bh": "bh"}


def share_error(
    campaign: Campaign, deciding: Sequence[Comparison], *, at_any_time: bool
) -> list[Comparison]:
    """The deciding comparisons of one maturity with `pvalue_adjusted`.

    Dunnett's p-values are adjusted as they come. An undefined p-value stays undefined and counts
    in the family as 1: a family that grows as results come in would promise less than it says.
    """
    pvalues = [row.pvalue for row in deciding]
    adjusted = pvalues
    if campaign.family != "dunnett" or at_any_time:
        method = (AT_ANY_TIME if at_any_time else AT_THE_END).get(campaign.family, "bonferroni")
        known = [1.0 if math.isnan(p) else p for p in pvalues]
        adjusted = adjust_pvalues(known, method=method)
    return [
        msgspec.structs.replace(row, pvalue_adjusted=math.nan if math.isnan(row.pvalue) else p)
        for row, p in zip(deciding, adjusted, strict=True)
    ]
