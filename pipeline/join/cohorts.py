"""What one exposure adds to the aggregates: a vector of exact integers per cohort."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from operator import add, attrgetter
from typing import Any

from pipeline.join.exposure import Exposure
from pipeline.join.facts import Assignment
from pipeline.rows import Counters, Moments
from pipeline.stats.winsor import cap_amount
from schemas.events import CampaignDefined

VECTOR = Counters.__struct_fields__ + Moments.__struct_fields__
"""Names of a vector's entries; also the column order of the `cohorts` table."""

CohortKey = tuple[str, str, int, int, str, str]
"""(campaign_id, variant_id, cohort_start_ms, cohort_width_ms, dimension, value)"""
CohortKeys = tuple[CohortKey, ...]
"""The whole cohort, then one cohort per attribute of `analyse_by`."""
Vector = tuple[int, ...]
Term = list[tuple[int, int]]
"""(entry of the vector, what one adds to it)"""
Terms = tuple[Term, Term, Term]
"""By which a person, a unit of v and one of v² count."""

WIDTHS_MS = (3_600_000, 600_000, 60_000, 10_000, 1_000)
"""Slices people read on a clock: 1 h, 10 min, 1 min, 10 s, 1 s."""
SLICES_PER_WINDOW = 12
"""A cohort matures one slice after its window: at most a twelfth later than its first recipient."""

OTHER = "other"
"""Value of a dimension for everybody whose own value the definition does not list."""

COUNTED = {"conversion_rate": "converted", "click_rate": "clicked", "reply_rate": "replied"}
"""Metric that is a rate → the counter it rests on."""

LIMIT = 100_000
"""Different assignments remembered, and sets of cohorts, some 70 MB; beyond it they come anew."""

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


@dataclass(frozen=True, slots=True)
class Profile:
    """What one exposure adds, apart from its covariate."""

    keys: CohortKeys
    """To what; empty in a story, whose people are of many cohorts."""
    counters: Vector
    """In the order of `rows.Counters`."""
    capped: int
    """Revenue without refunds, winsorised at the plan's cap."""
    counted: int
    """The counter that the primary metric rests on, if that is a rate."""


class Crowd:
    """How many people have a profile, Σv and Σv² of their covariates; negative where they left."""

    __slots__ = ("people", "sum_v", "sum_vv")

    def __init__(self) -> None:
        self.people = self.sum_v = self.sum_vv = 0

    def add(self, people: int, sum_v: int, sum_vv: int) -> None:
        """Add or, with negative numbers, take away."""
        self.people += people
        self.sum_v += sum_v
        self.sum_vv += sum_vv


class Cohorts:
    """The cohorts of an assignment: one object for everybody who is of the same."""

    __slots__ = ("keys",)

    def __init__(self, keys: CohortKeys) -> None:
        self.keys = keys


class KnownCohorts:
    """The cohorts of assignments under the definitions in force."""

    def __init__(self, definitions: Mapping[str, CampaignDefined]) -> None:
        self._definitions = definitions
        self._widths: dict[str, int] = {}
        self._known: dict[tuple[Hashable, ...], Cohorts] = {}
        self._same: dict[CohortKeys, Cohorts] = {}

    def forget(self) -> None:
        """Put them together anew; needed when a definition changes."""
        self._known, self._same = {}, {}
        self._widths = {
            campaign_id: cohort_width_ms(definition.goal.window_ms)
            for campaign_id, definition in self._definitions.items()
        }

    def of(self, assignment: Assignment) -> Cohorts:
        """The object for all who belong to the same cohorts; to none without a definition."""
        campaign_id = assignment.campaign_id
        width = self._widths.get(campaign_id)
        start = 0 if width is None else assignment.at_ms // width
        same = (campaign_id, assignment.variant_id, start, assignment.attributes)
        known = self._known.get(same)
        if known is None:
            if len(self._known) >= LIMIT:
                self._known = {}
            if len(self._same) >= LIMIT:
                self._same = {}
            definition = self._definitions.get(campaign_id)
            keys = () if definition is None else keys_of(assignment, definition)
            known = self._known[same] = self._same.setdefault(keys, Cohorts(keys))
        return known


def vector_of(profile: Profile, crowd: Crowd) -> Vector:
    """Counters, then moments, of a crowd of that profile, in the order of `VECTOR`."""
    count = dict(zip(Counters.__struct_fields__, profile.counters, strict=True))
    n, v = crowd.people, crowd.sum_v
    r = count["revenue_minor"] - count["refunded_minor"]
    c, o, k, y = count["cost_micro"], count["opted_out"], profile.capped, profile.counted
    scaled = [n * value for value in profile.counters]
    whole = (r * r * n, r * c * n, r * o * n, r * v, c * c * n, c * o * n, c * v, o * v)
    capped = (k * n, k * k * n, k * c * n, k * o * n, k * v, y * v)
    return (*scaled, v, *whole, crowd.sum_vv, *capped)


def terms_of(profile: Profile) -> Terms:
    """`vector_of` a profile as the linear function of a crowd that it is, without the zeros."""
    units = [Crowd() for _ in range(3)]
    units[0].people = units[1].sum_v = units[2].sum_vv = 1
    parts = (enumerate(vector_of(profile, unit)) for unit in units)
    of_people, of_v, of_vv = ([(index, by) for index, by in part if by] for part in parts)
    return of_people, of_v, of_vv


def _add_crowd(vector: list[int], terms: Terms, crowd: Crowd) -> None:
    sums = crowd.people, crowd.sum_v, crowd.sum_vv
    for total, part in zip(sums, terms, strict=True):
        for index, by in part:
            vector[index] += by * total


def keys_of(assignment: Assignment, definition: CampaignDefined) -> CohortKeys:
    """The cohorts an assignment belongs to.

    The value of a dimension is "" where the attribute is absent, `OTHER` where the definition
    lists values and this is none of them.
    """
    width = cohort_width_ms(definition.goal.window_ms)
    start = assignment.at_ms // width * width
    cohort = (assignment.campaign_id, assignment.variant_id, start, width)
    keys: list[CohortKey] = [(*cohort, "", "")]
    attributes = dict(assignment.attributes)
    listed = definition.dimension_values
    for name in filter(None, dict.fromkeys(definition.analyse_by)):
        value = attributes.get(name, "")
        if value and name in listed and value not in listed[name]:
            value = OTHER
        keys.append((*cohort, name, value))
    return tuple(keys)


def profile_of(exposure: Exposure, definition: CampaignDefined) -> Profile:
    """The cohorts an exposure belongs to and what it adds to each."""
    r, cap = exposure.revenue_minor - exposure.refunded_minor, definition.plan.cap_minor
    return Profile(
        keys_of(exposure.assignment, definition),
        _counters(exposure),
        r if cap is None else cap_amount(r, cap),
        getattr(exposure, COUNTED.get(definition.goal.metric, ""), 0),
    )


def sum_crowds(
    crowds: Mapping[Profile, Crowd], shared: Mapping[Cohorts, Sequence[tuple[Profile, Crowd]]]
) -> dict[CohortKey, list[int]]:
    """Cohort → vector, without those that are all zeros. Exact: Python's integers do not end.

    Args:
        crowds: People of profiles that say of which cohorts they are.
        shared: Cohorts → people of profiles that do not.
    """
    by_place: dict[CohortKeys, list[int]] = {}
    for profile, crowd in crowds.items():
        _add(by_place, profile.keys, vector_of(profile, crowd))
    terms: dict[int, Terms] = {}
    for cohorts, parts in shared.items():
        vector = [0] * len(VECTOR)
        for profile, crowd in parts:
            known = terms.get(id(profile))  # it lives as long as `shared`
            if known is None:
                known = terms[id(profile)] = terms_of(profile)
            _add_crowd(vector, known, crowd)
        _add(by_place, cohorts.keys, vector)
    sums: dict[CohortKey, list[int]] = {}
    for keys, vector in by_place.items():
        for key in keys:
            _add(sums, key, vector)
    return {key: total for key, total in sums.items() if any(total)}


def _add(sums: dict[Any, list[int]], key: object, vector: Sequence[int]) -> None:
    known = sums.get(key)
    sums[key] = list(vector) if known is None else list(map(add, known, vector))
