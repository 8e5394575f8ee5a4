"""What is counted without knowing whose it is: event time, activity, receipts, deliverability."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final, cast

from pipeline.join.deltas import ActivityKey, DeliverabilityKey
from pipeline.join.facts import AnyFact, Receipt
from pipeline.join.latency import HOUR_MS
from schemas.topics import MESSAGE_RECEIPT

ACTIVITY_MS: Final = 10_000


class Tally:
    """Counts since the last `forget`, and the newest event time ever seen."""

    def __init__(self) -> None:
        self.watermark_ms = 0
        self.forget()

    def forget(self) -> None:
        """Count anew; time does not go back."""
        self.receipts = 0
        self._activity: Counter[ActivityKey] = Counter()
        self._deliverability: Counter[DeliverabilityKey] = Counter()

    def see(self, at_ms: int) -> None:
        """An event that counts for nothing but time."""
        self.watermark_ms = max(self.watermark_ms, at_ms)

    def add(self, facts: Sequence[AnyFact], topic: str, sign: int = 1) -> None:
        """Facts of one topic come (`sign` 1), or are replaced (-1)."""
        times = [fact.at_ms for fact in facts]
        self.watermark_ms = max(self.watermark_ms, *times, 0)
        for moment, number in Counter([at_ms // ACTIVITY_MS for at_ms in times]).items():
            self._activity[moment * ACTIVITY_MS, topic] += sign * number
        if topic == MESSAGE_RECEIPT.name:
            self._add_receipts(cast("Sequence[Receipt]", facts), sign)

    def _add_receipts(self, receipts: Sequence[Receipt], sign: int) -> None:
        self.receipts += sign * len(receipts)
        finals = [
            (fact.connection, fact.at_ms // HOUR_MS, fact.state, fact.err)
            for fact in receipts
            if fact.is_final
        ]
        for (connection, hour, state, err), number in Counter(finals).items():
            self._deliverability[connection, hour * HOUR_MS, state, err] += sign * number

    @property
    def activity(self) -> dict[ActivityKey, int]:
        """(start of ten seconds of event time, topic) → events."""
        return {key: n for key, n in self._activity.items() if n}

    @property
    def deliverability(self) -> dict[DeliverabilityKey, int]:
        """(connection, hour_start_ms, state, err) → final receipts."""
        return {key: n for key, n in self._deliverability.items() if n}
