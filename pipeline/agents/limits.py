"""Limits tighter than the schema's, which keep one wild record from overflowing a sum. Pure.

A cost is price times segments: 10^9 micro times 255, squared, times 10^9 recipients is 7·10^31,
below 2^127 = 1.7·10^38; with the schema's limits alone it would not be. A record past a limit is
dead-lettered; without the limit it would fail the transaction again after every restart.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from operator import attrgetter
from types import MappingProxyType

from schemas.events import CampaignDefined, Event, MessageSubmitted, SubjectEvent

LATEST_MS = 253_402_300_800_000
"""The year 10000: later times are in a wrong unit (micro- or nanoseconds)."""
MAX_WINDOW_MS = 366 * 24 * 3600 * 1000

LIMITS: Mapping[type[Event], tuple[tuple[str, int, int], ...]] = MappingProxyType(
    {
        CampaignDefined: (
            ("plan_version", 0, 2**31),
            ("audience_size", 0, 10**12),
            ("goal.window_ms", 1, MAX_WINDOW_MS),
            ("costs.price_per_segment_micro", 0, 10**9),
        ),
        MessageSubmitted: (("segments", 0, 255), ("part", 1, 255), ("parts", 1, 255)),
    }
)
"""Event type → (field, lowest, highest); parts are octets (3GPP TS 23.040 §9.2.3.24.1)."""

_OCCURRED_AT, _SUBJECT = attrgetter("occurred_at_ms"), attrgetter("subject")
_CHECKS = {
    event: tuple((field, attrgetter(field), low, high) for field, low, high in limits)
    for event, limits in LIMITS.items()
}


def are_within_limits(kind: type[Event], events: Sequence[Event]) -> bool:
    """Whether `broken_limit` has nothing to say about events of one kind; much faster.

    May be wrong for kinds whose limited fields may be empty: then False.
    """
    if not events:
        return True
    if max(map(_OCCURRED_AT, events)) >= LATEST_MS:
        return False
    if issubclass(kind, SubjectEvent) and not all(map(_SUBJECT, events)):
        return False
    if kind is CampaignDefined:
        return False
    return all(
        low <= min(map(value_of, events)) and max(map(value_of, events)) <= high
        for _, value_of, low, high in _CHECKS.get(kind, ())
    )


def broken_limit(event: Event) -> str | None:
    """The rule the event breaks, or `None`."""
    if event.occurred_at_ms >= LATEST_MS:
        return f"occurred_at_ms == {event.occurred_at_ms}, must be below {LATEST_MS}."
    for field, value_of, low, high in _CHECKS.get(type(event), ()):
        value = value_of(event)
        if value is not None and not low <= value <= high:
            return f"{field} == {value}, must be from {low} to {high}."
    if isinstance(event, SubjectEvent) and not event.subject:
        return "subject == '', must be a token."
    return None
