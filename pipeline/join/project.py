"""A person's facts → one exposure per campaign. A pure function of the set of facts."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from pipeline.join.delivery import count_delivery
from pipeline.join.exposure import Exposure, Exposures
from pipeline.join.facts import (
    AnyFact,
    Assignment,
    Click,
    Conversion,
    Facts,
    Inbound,
    Receipt,
    Submit,
)
from pipeline.join.latency import LatencyKey, latencies_of
from pipeline.join.matching import Part, Unmatched, match_receipts, settle_submits
from pipeline.join.money import assignment_order, count_conversions
from schemas.events import HOLDOUT, CampaignDefined

REPLY_WINDOW_MS = 7 * 24 * 3600 * 1000
"""An MO names no message; after a week it more likely answers something else. Also as long as
receipts are waited for, so that a reply and the receipt of one message live equally long."""


class Projection(msgspec.Struct, gc=False):
    """All that a person's facts say."""

    exposures: Exposures
    double_assigned: tuple[str, ...] = ()
    """Campaigns that assigned this person to two arms, sorted."""
    unmatched: tuple[Unmatched, ...] = ()
    """Sorted."""
    latencies: tuple[LatencyKey, ...] = ()
    """Of every message part with a final receipt, sorted."""


def project(facts: Facts, definitions: Mapping[str, CampaignDefined]) -> Projection:
    """What a person's facts say about every campaign the person is assigned to.

    Args:
        facts: The person's facts; their order does not matter.
        definitions: Definitions in force. Without one an exposure has no money: neither price
            nor window nor currency is known.
    """
    kinds = _by_kind(facts)
    exposures, double_assigned = _assign(kinds[Assignment])
    unmatched: tuple[Unmatched, ...] = ()
    latencies: tuple[LatencyKey, ...] = ()
    if kinds[Submit] or kinds[Receipt]:
        parts = settle_submits(kinds[Submit])
        unmatched = match_receipts(parts, kinds[Submit], kinds[Receipt])
        if kinds[Receipt]:
            latencies = latencies_of(parts.values())
        _count_parts(exposures, parts.values(), definitions)
    for reply in _replies(inbound for _, inbound in kinds[Inbound]):
        _count_reply(exposures, reply)
    for _, click in kinds[Click]:
        _count_click(exposures, click)
    if kinds[Conversion]:
        count_conversions(exposures, kinds[Conversion], definitions)
    return Projection(exposures, double_assigned, unmatched, latencies)


def _by_kind(facts: Facts) -> dict[type[AnyFact], list[tuple[str, Any]]]:
    kinds: dict[type[AnyFact], list[tuple[str, Any]]] = {
        Assignment: [],
        Submit: [],
        Receipt: [],
        Inbound: [],
        Click: [],
        Conversion: [],
    }
    for item in facts.items():
        kinds[type(item[1])].append(item)
    return kinds


def _assign(assignments: Iterable[tuple[str, Assignment]]) -> tuple[Exposures, tuple[str, ...]]:
    """The earliest assignment per campaign counts; equal times go by fact key."""
    exposures: Exposures = {}
    double: set[str] = set()
    for key, assignment in assignments:
        campaign_id = assignment.campaign_id
        known = exposures.get(campaign_id)
        if known is not None:
            if known.assignment.variant_id != assignment.variant_id:
                double.add(campaign_id)
            if assignment_order(known) < (assignment.at_ms, key):
                continue
        exposures[campaign_id] = Exposure(assignment, key, blocked=int(assignment.is_blocked))
    return exposures, tuple(sorted(double))


def _count_parts(
    exposures: Exposures, parts: Iterable[Part], definitions: Mapping[str, CampaignDefined]
) -> None:
    by_campaign: dict[str, list[Part]] = {}
    for part in parts:
        campaign_id = part.submit.campaign_id
        if campaign_id is not None and campaign_id in exposures:
            by_campaign.setdefault(campaign_id, []).append(part)
    for campaign_id, own in by_campaign.items():
        definition = definitions.get(campaign_id)
        count_delivery(
            exposures[campaign_id], own, None if definition is None else definition.costs
        )


def _replies(inbounds: Iterable[Inbound]) -> list[Inbound]:
    """One per message. A long one came when the first of it came.

    It opts out if its whole does; as long as there is no whole, if one of its parts does.
    """
    replies: list[Inbound] = []
    long: defaultdict[str, list[Inbound]] = defaultdict(list)
    for inbound in inbounds:
        if inbound.reply_id:
            long[inbound.reply_id].append(inbound)
        else:
            replies.append(inbound)
    for pieces in long.values():
        told = [piece for piece in pieces if not piece.is_part] or pieces
        is_opt_out = any(piece.is_opt_out for piece in told)
        replies.append(Inbound(min(piece.at_ms for piece in pieces), is_opt_out))
    return replies


def _count_reply(exposures: Exposures, inbound: Inbound) -> None:
    """An MO belongs to the latest assignment before it that sent something, for a week."""
    candidates = [
        exposure
        for exposure in exposures.values()
        if exposure.submitted
        and exposure.assignment.variant_id != HOLDOUT
        and 0 <= inbound.at_ms - exposure.assignment.at_ms < REPLY_WINDOW_MS
    ]
    if candidates:
        exposure = max(candidates, key=assignment_order)
        exposure.replied = 1
        exposure.opted_out |= inbound.is_opt_out


def _count_click(exposures: Exposures, click: Click) -> None:
    exposure = exposures.get(click.campaign_id)
    if exposure is None:
        return
    if not click.is_human:
        exposure.bot_clicked = 1
        return
    exposure.clicked = 1
    first = exposure.first_click_ms
    if first is None or click.at_ms < first:
        exposure.first_click_ms = click.at_ms
