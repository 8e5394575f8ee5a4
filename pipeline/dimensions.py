"""Cohorts by attribute stay few: the most frequent values, and `other` for the rest. Pure.

Which values are kept depends on how many people have them, never on who came first.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from pipeline.join.cohorts import OTHER
from pipeline.rows import Cohort, Counters, Moments
from schemas.events import CampaignDefined

MAX_VALUES = 50
"""More bars than a page can show; a test per value loses its power long before."""


def most_frequent(counted: Mapping[str, int]) -> tuple[str, ...]:
    """At most `MAX_VALUES` values, the most frequent first, equal ones by name; without ""."""
    present = (value for value in counted if value)
    return tuple(sorted(present, key=lambda value: (-counted[value], value))[:MAX_VALUES])


def fold(cohorts: Sequence[Cohort], definitions: Iterable[CampaignDefined]) -> list[Cohort]:
    """Cohorts in which attributes without listed values have at most `MAX_VALUES` and `other`.

    A definition from the dispatcher lists its values, and the join folds by them. This is for
    the others (proxied traffic, foreign dispatchers), from exact cohorts by every value.
    """
    listed = {(d.campaign_id, name) for d in definitions for name in d.dimension_values}
    counted: dict[tuple[str, str], Counter[str]] = {}
    for row in cohorts:
        if row.dimension and (row.campaign_id, row.dimension) not in listed:
            values = counted.setdefault((row.campaign_id, row.dimension), Counter())
            values[row.value] += row.counters.assigned
    kept = {
        place: {*most_frequent(values), "", OTHER}
        for place, values in counted.items()
        if len(values) > MAX_VALUES
    }
    found: dict[tuple[str, str, int, int, str, str], Cohort] = {}
    for row in cohorts:
        wanted = kept.get((row.campaign_id, row.dimension))
        value = row.value if wanted is None or row.value in wanted else OTHER
        key = (
            row.campaign_id,
            row.variant_id,
            row.cohort_start_ms,
            row.cohort_width_ms,
            row.dimension,
            value,
        )
        known = found.get(key)
        found[key] = _named(row, value) if known is None else _sum(known, row)
    return list(found.values())


def _named(row: Cohort, value: str) -> Cohort:
    return row if row.value == value else msgspec.structs.replace(row, value=value)


def _sum(one: Cohort, other: Cohort) -> Cohort:
    counters = Counters(**_added(one.counters, other.counters))
    return msgspec.structs.replace(
        one, counters=counters, moments=Moments(**_added(one.moments, other.moments))
    )


def _added(one: Counters | Moments, other: Counters | Moments) -> dict[str, int]:
    return {name: getattr(one, name) + getattr(other, name) for name in one.__struct_fields__}
