"""What beats what when facts about one message part disagree: all transitions of a part.

A part only ever moves to a smaller rank as facts come in: first by the outcome of its submit,
then, once accepted, by its final receipts (the earliest by the operator's clock, then by state).
Taking the smallest rank of a set is commutative, associative and idempotent, so the order of
arrival cannot matter. Everything a recipient counts for is projected from the settled parts.
"""

from __future__ import annotations

from collections.abc import Mapping

from schemas.events import ReceiptState, SubmitOutcome

SUBMIT_PRECEDENCE: Mapping[SubmitOutcome, int] = {
    "accepted": 0,
    "rejected": 1,
    "expired": 2,
    "unknown": 3,
}
"""Of several results for one part the first of these counts: what is known beats what is not."""

FINAL_PRECEDENCE: tuple[ReceiptState, ...] = (
    "DELIVERED",  # a handset's confirmation is the one state that an operator does not guess
    "UNDELIVERABLE",
    "EXPIRED",
    "REJECTED",
    "DELETED",
    "SKIPPED",
    "UNKNOWN",
    "ACCEPTED",
    "ENROUTE",
    "SCHEDULED",
)
"""Decides between contradicting final receipts of one time, or without a time."""
