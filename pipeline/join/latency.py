"""How long final receipts took: a histogram whose buckets a person can name."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable

from pipeline.join.facts import Receipt, Submit
from pipeline.join.matching import Part

SECOND_MS, MINUTE_MS, HOUR_MS, DAY_MS = 1_000, 60_000, 3_600_000, 86_400_000
BOUNDS_MS = (
    1 * SECOND_MS,
    2 * SECOND_MS,
    5 * SECOND_MS,
    10 * SECOND_MS,
    30 * SECOND_MS,
    1 * MINUTE_MS,
    5 * MINUTE_MS,
    15 * MINUTE_MS,
    1 * HOUR_MS,
    4 * HOUR_MS,
    12 * HOUR_MS,
    1 * DAY_MS,
    3 * DAY_MS,
    366 * DAY_MS,
)
"""Upper ends. Operators answer within seconds, or try on for a validity of up to three days."""
_LAST = len(BOUNDS_MS) - 1

LatencyKey = tuple[str, int, int]
"""(connection, hour of the submit in ms, upper end of the bucket in ms)"""


def latencies_of(parts: Iterable[Part]) -> tuple[LatencyKey, ...]:
    """One entry per part that has a final receipt, sorted.

    From the submit's answer to the arrival of the first final receipt, by our own clock.
    """
    found = []
    for part in parts:
        finals = [receipt.at_ms for receipt in part.receipts if receipt.is_final]
        if finals:
            found.append(latency_of(part.submit, min(finals)))
    if len(found) > 1:
        found.sort()
    return tuple(found)


def count_latencies(parts: Iterable[tuple[Submit, Receipt]]) -> dict[LatencyKey, int]:
    """Where parts count, and how many at each place: `latency_of` for a batch of them."""
    counted = Counter(
        [
            (
                submit.connection,
                submit.at_ms // HOUR_MS,
                bisect_left(BOUNDS_MS, receipt.at_ms - submit.at_ms, 0, _LAST),
            )
            for submit, receipt in parts
        ]
    )
    return {
        (connection, hour * HOUR_MS, BOUNDS_MS[bucket]): number
        for (connection, hour, bucket), number in counted.items()
    }


def latency_of(submit: Submit, receipt_ms: int) -> LatencyKey:
    """Where a part counts whose first final receipt came at `receipt_ms`."""
    at_ms = submit.at_ms
    return submit.connection, at_ms // HOUR_MS * HOUR_MS, up_to_ms(receipt_ms - at_ms)


def up_to_ms(after_ms: int) -> int:
    """The bucket of a latency: the last for more than a year, the first for less than nothing."""
    return BOUNDS_MS[bisect_left(BOUNDS_MS, after_ms, 0, _LAST)]
