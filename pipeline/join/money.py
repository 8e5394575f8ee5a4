"""Conversions and refunds: which campaign a person's money belongs to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from pipeline.join.exposure import Exposure, Exposures
from pipeline.join.facts import Conversion
from schemas.events import CampaignDefined

Definitions = Mapping[str, CampaignDefined]


def count_conversions(
    exposures: Exposures,
    conversions: Iterable[tuple[str, Conversion]],
    definitions: Definitions,
) -> None:
    """Set converted, attributed, revenue and refunds of a person's exposures.

    A conversion counts in the campaign it names, else in the latest whose window holds it, when
    `assigned ≤ occurred < assigned + window` and the currency is the campaign's. A refund counts
    whenever it comes, in the campaign where its original counted.
    """
    unique = _by_conversion_id(conversions)
    counted: dict[str, Exposure] = {}
    for conversion in unique:
        if conversion.refund_of is None:
            exposure = _owner(exposures, conversion, definitions)
            if exposure is not None:
                counted[conversion.conversion_id] = exposure
                _count(exposure, conversion)
    for refund in unique:
        if refund.refund_of in counted:
            exposure = counted[refund.refund_of]
            if refund.currency == _currency(exposure, definitions):
                exposure.refunded_minor += refund.value_minor


def _by_conversion_id(conversions: Iterable[tuple[str, Conversion]]) -> list[Conversion]:
    """One fact per conversion id: the earliest, then by fact key."""
    unique: dict[str, tuple[int, str, Conversion]] = {}
    for key, conversion in conversions:
        known = unique.get(conversion.conversion_id)
        if known is None or (conversion.at_ms, key) < known[:2]:
            unique[conversion.conversion_id] = (conversion.at_ms, key, conversion)
    return [conversion for _, _, conversion in unique.values()]


def _owner(
    exposures: Exposures, conversion: Conversion, definitions: Definitions
) -> Exposure | None:
    if conversion.campaign_id is not None:
        named = exposures.get(conversion.campaign_id)
        candidates = [] if named is None else [named]
    else:
        candidates = list(exposures.values())
    open_ones = [each for each in candidates if _is_in_window(each, conversion, definitions)]
    if not open_ones:
        return None
    latest = max(open_ones, key=assignment_order)
    return latest if conversion.currency == _currency(latest, definitions) else None


def assignment_order(exposure: Exposure) -> tuple[int, str]:
    """Sorts exposures by assignment: time, then fact key."""
    return exposure.assignment.at_ms, exposure.key


def _is_in_window(exposure: Exposure, conversion: Conversion, definitions: Definitions) -> bool:
    definition = definitions.get(exposure.assignment.campaign_id)
    if definition is None:
        return False
    return 0 <= conversion.at_ms - exposure.assignment.at_ms < definition.goal.window_ms


def _currency(exposure: Exposure, definitions: Definitions) -> str:
    return definitions[exposure.assignment.campaign_id].costs.currency


def _count(exposure: Exposure, conversion: Conversion) -> None:
    exposure.converted = 1
    exposure.revenue_minor += conversion.value_minor
    clicked_at = exposure.first_click_ms
    if clicked_at is not None and clicked_at <= conversion.at_ms:
        exposure.attributed = 1
