"""What one exposure adds to the aggregates: a vector of exact integers per cohort."""

from __future__ import annotations

from functools import lru_cache
from operator import attrgetter

from pipeline.join.exposure import Exposure
from pipeline.rows import Counters, Moments
from pipeline.stats.winsor import cap_amount
from schemas.events import CampaignDefined

VECTOR = Counters.__struct_fields__ + Moments.__struct_fields__
"""Names of a vector's entries; also the column order of the `cohorts` table."""

CohortKey = tuple[str, str, int, int, str, str]
"""(campaign_id, variant_id, cohort_start_ms, cohort_width_ms, dimension, value)"""
Vector = tuple[int, ...]
Contribution = tuple[CohortKey, Vector]

WIDTHS_MS = (3_600_000, 600_000, 60_000, 10_000, 1_000)
"""Slices people read on a clock: 1 h, 10 min, 1 min, 10 s, 1 s."""
SLICES_PER_WINDOW = 12
"""A cohort matures one slice after its window: at most a twelfth later than its first recipient."""

OTHER = "other"
"""Value of a dimension for everybody whose own value the definition does not list."""

COUNTED = {"conversion_rate": "converted", "click_rate": "clicked", "reply_rate": "replied"}
"""Metric that is a rate → the counter it rests on."""

_counters = attrgetter(*Counters.__struct_fields__)


@lru_cache(maxsize=1024)
def cohort_width_ms(window_ms: int) -> int:
    """Width of a cohort: the largest of `WIDTHS_MS` not above a twelfth of the window.

    Args:
        window_ms: Attribution window of the campaign's goal, milliseconds.

    Returns:
        Milliseconds; one second at least.
    """
    widest = window_ms // SLICES_PER_WINDOW
    return next((width for width in WIDTHS_MS if width <= widest), WIDTHS_MS[-1])


def vector_of(exposure: Exposure, definition: CampaignDefined) -> Vector:
    """Counters, then moments, of one exposure, in the order of `VECTOR`."""
    plan = definition.plan
    r = exposure.revenue_minor - exposure.refunded_minor
    c = exposure.cost_micro
    o = exposure.opted_out
    v = exposure.assignment.covariate
    k = r if plan.cap_minor is None else cap_amount(r, plan.cap_minor)
    y = getattr(exposure, COUNTED.get(definition.goal.metric, ""), 0)
    counters: Vector = _counters(exposure)
    whole = (v, r * r, r * c, r * o, r * v, c * c, c * o, c * v, o * v, v * v)
    return (*counters, *whole, k, k * k, k * c, k * o, k * v, y * v)


def contributions_of(exposure: Exposure, definition: CampaignDefined) -> tuple[Contribution, ...]:
    """The whole cohort's share and one per attribute of `analyse_by`.

    The value is "" where the attribute is absent, `OTHER` where the definition lists values and
    this is none of them.
    """
    assignment = exposure.assignment
    width = cohort_width_ms(definition.goal.window_ms)
    start = assignment.at_ms // width * width
    cohort = (assignment.campaign_id, assignment.variant_id, start, width)
    vector = vector_of(exposure, definition)
    whole: Contribution = ((*cohort, "", ""), vector)
    if not definition.analyse_by:
        return (whole,)
    attributes = dict(assignment.attributes)
    dimensions = [name for name in dict.fromkeys(definition.analyse_by) if name]
    listed = definition.dimension_values
    slices = []
    for name in dimensions:
        value = attributes.get(name, "")
        if value and name in listed and value not in listed[name]:
            value = OTHER
        slices.append(((*cohort, name, value), vector))
    return (whole, *slices)
