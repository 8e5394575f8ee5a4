"""Limits that keep one wild record from overflowing an exact sum. Pure.

Sums are 64-bit counters and 128-bit products: 10^12 minor units squared times 10^9 recipients
is 10^33, below 2^127 = 1.7·10^38. A record past a limit is dead-lettered; without the limit it
would fail the transaction again after every restart.
"""

from __future__ import annotations

from collections.abc import Mapping
from operator import attrgetter
from types import MappingProxyType

from schemas.events import (
    CampaignDefined,
    ConversionRecorded,
    Event,
    MessageSubmitted,
    ReceiptReceived,
    RecipientAssigned,
    SubjectEvent,
)

LATEST_MS = 253_402_300_800_000
"""The year 10000: later times are a wrong unit (micro- or nanoseconds)."""
AMOUNT_MINOR = 10**12
_TIME = (0, LATEST_MS)

MAX_WINDOW_MS = 366 * 24 * 3600 * 1000

LIMITS: Mapping[type[Event], tuple[tuple[str, int, int], ...]] = MappingProxyType(
    {
        CampaignDefined: (
            ("plan_version", 0, 2**31),
            ("audience_size", 0, 10**12),
            ("goal.window_ms", 1, MAX_WINDOW_MS),
            ("costs.price_per_segment_micro", 0, 10**9),
            ("costs.opt_out_cost_minor", 0, AMOUNT_MINOR),
        ),
        ConversionRecorded: (("value_minor", 0, AMOUNT_MINOR),),
        RecipientAssigned: (
            ("covariate", -AMOUNT_MINOR, AMOUNT_MINOR),
            ("wave", 0, 1_000_000),
        ),
        MessageSubmitted: (("segments", 0, 255), ("part", 1, 255), ("parts", 1, 255)),
        ReceiptReceived: (("done_at_ms", *_TIME), ("submitted_at_ms", *_TIME)),
    }
)
"""Event type → (field, lowest, highest); `part` and `segments` are octets (3GPP TS 23.040)."""


def broken_limit(event: Event) -> str | None:
    """The rule the event breaks, or `None`."""
    if not 0 <= event.occurred_at_ms < LATEST_MS:
        return f"occurred_at_ms == {event.occurred_at_ms}, must be from 0 to {LATEST_MS}."
    for field, low, high in LIMITS.get(type(event), ()):
        value = attrgetter(field)(event)
        if value is not None and not low <= value <= high:
            return f"{field} == {value}, must be from {low} to {high}."
    if isinstance(event, SubjectEvent) and not event.subject:
        return "subject == '', must be a token."
    return None
