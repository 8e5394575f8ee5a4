"""What became of a campaign's message parts for one person: taken, delivered, billed."""

from __future__ import annotations

from pipeline.join.exposure import Exposure
from pipeline.join.facts import Receipt
from pipeline.join.matching import Part
from pipeline.join.precedence import FINAL_PRECEDENCE
from schemas.events import Costs, ReceiptState


def settle_finals(receipts: list[Receipt]) -> tuple[ReceiptState | None, bool]:
    """The final state of a part and whether its final receipts contradict each other.

    The earliest by the operator's clock counts (those without a time last), then
    `FINAL_PRECEDENCE`; never the order of arrival.
    """
    finals = [receipt for receipt in receipts if receipt.is_final]
    if not finals:
        return None, False
    state = finals[0].state
    if all(receipt.state == state for receipt in finals):
        return state, False
    return min(finals, key=_final_rank).state, True


def _final_rank(receipt: Receipt) -> tuple[bool, int, int]:
    done_at_ms = receipt.done_at_ms
    return done_at_ms is None, done_at_ms or 0, FINAL_PRECEDENCE.index(receipt.state)


def count_delivery(exposure: Exposure, parts: list[Part], costs: Costs | None) -> None:
    """Set submitted … failed, conflicts, segments and cost of an exposure.

    A recipient is delivered when all accepted parts of one message are, failed when none is
    complete and a part failed finally.

    Args:
        exposure: Is changed.
        parts: All parts of the campaign's messages to this person; at least one.
        costs: The campaign's prices; None bills nothing.
    """
    complete: dict[str, bool] = {}
    has_failed = False
    for part in parts:
        state: ReceiptState | None = None
        if part.is_accepted:
            state, is_conflict = settle_finals(part.receipts)
            message_id = part.submit.message_id
            complete[message_id] = complete.get(message_id, True) and state == "DELIVERED"
            has_failed |= state is not None and state != "DELIVERED"
            exposure.conflicts |= is_conflict
        if costs is not None and _is_billed(part, state, costs):
            exposure.segments += part.submit.segments
    exposure.submitted = 1
    if complete:
        exposure.accepted = 1
        exposure.delivered = int(any(complete.values()))
        exposure.failed = int(has_failed and not exposure.delivered)
    elif any(part.submit.outcome != "unknown" for part in parts):
        exposure.rejected = 1
    else:
        exposure.unknown = 1
    if costs is not None:
        exposure.cost_micro = exposure.segments * costs.price_per_segment_micro


def _is_billed(part: Part, state: ReceiptState | None, costs: Costs) -> bool:
    match costs.billed_on:
        case "accepted":
            return part.is_accepted
        case "delivered":
            return state == "DELIVERED"
        case "submitted":
            return part.submit.outcome != "expired"
