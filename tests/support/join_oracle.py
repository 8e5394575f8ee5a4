"""A second, slow and plain reading of the join's rules, on raw events: no code shared with it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from schemas.events import (
    HOLDOUT,
    CampaignDefined,
    ConversionRecorded,
    InboundReceived,
    LinkClicked,
    MessageSubmitted,
    ReceiptReceived,
    RecipientAssigned,
    SubjectEvent,
)
from schemas.topics import topic_of

PAIRS = ("rr", "rc", "ro", "rv", "cc", "co", "cv", "ov", "vv")
WEEK_MS = 604_800_000
OUTCOMES = ["accepted", "rejected", "expired", "unknown"]
STATES = (
    "DELIVERED UNDELIVERABLE EXPIRED REJECTED DELETED SKIPPED UNKNOWN ACCEPTED ENROUTE SCHEDULED"
)


class Expected:
    """What the aggregates must be for a set of events."""

    def __init__(
        self, events: Iterable[SubjectEvent], definitions: Iterable[CampaignDefined]
    ) -> None:
        self.definitions = {each.campaign_id: each for each in definitions}
        self.cohorts: Counter[tuple[Any, ...]] = Counter()  # (*cohort key, column) → number
        self.double_assigned: Counter[str] = Counter()
        self.latencies: Counter[tuple[str, int, int]] = Counter()
        self.unmatched: dict[str, ReceiptReceived] = {}
        facts: dict[tuple[str, str, str], SubjectEvent] = {}
        for event in sorted(events, key=lambda each: -each.occurred_at_ms):
            facts[event.subject, type(event).__name__, event.event_id] = event
        self.facts = list(facts.values())
        self.activity = Counter(
            (each.occurred_at_ms - each.occurred_at_ms % 10_000, topic_of(each).name)
            for each in self.facts
        )
        self.deliverability = Counter(
            (
                each.connection,
                each.occurred_at_ms - each.occurred_at_ms % 3_600_000,
                each.state,
                each.err or "",
            )
            for each in self.facts
            if isinstance(each, ReceiptReceived) and each.is_final
        )
        self.receipts = sum(isinstance(each, ReceiptReceived) for each in self.facts)
        for subject in {each.subject for each in self.facts}:
            self._person([each for each in self.facts if each.subject == subject])

    def _person(self, events: Sequence[SubjectEvent]) -> None:
        assigned = first_assignments(events)
        for campaign_id in assigned:
            arms = {
                e.variant_id
                for e in events
                if isinstance(e, RecipientAssigned) and e.campaign_id == campaign_id
            }
            self.double_assigned[campaign_id] += len(arms) > 1
        parts, orphans = match(events)
        self.unmatched.update({each.event_id: each for each in orphans})
        self.latencies.update(filter(None, map(latency, parts)))
        replies = [
            (whose_reply(each, assigned, parts), each)
            for each in replies_of([e for e in events if isinstance(e, InboundReceived)])
        ]
        sales = whose_money(events, assigned, self.definitions)
        for campaign_id, definition in self.definitions.items():
            if campaign_id not in assigned:
                continue
            row: Counter[str] = Counter(assigned=1)
            row["blocked"] = int(assigned[campaign_id].eligibility == "blocked")
            count_parts(
                row, [p for p in parts if p["submit"].campaign_id == campaign_id], definition
            )
            mine = [reply for owner, reply in replies if owner == campaign_id]
            row["replied"] = int(len(mine) > 0)
            row["opted_out"] = int(any(reply.is_opt_out for reply in mine))
            clicks = [
                e for e in events if isinstance(e, LinkClicked) and e.campaign_id == campaign_id
            ]
            row["clicked"] = int(any(e.is_human for e in clicks))
            row["bot_clicked"] = int(any(not e.is_human for e in clicks))
            count_money(row, [s for s in sales if s[0] == campaign_id], clicks)
            self._add(assigned[campaign_id], definition, row)

    def _add(
        self, assignment: RecipientAssigned, definition: CampaignDefined, row: Counter[str]
    ) -> None:
        x = {
            "r": row["revenue_minor"] - row["refunded_minor"],
            "c": row["cost_micro"],
            "o": row["opted_out"],
            "v": assignment.covariate or 0,
        }
        x["k"] = x["r"]
        cap = definition.plan.cap_minor
        if cap is not None and abs(x["k"]) > cap:
            x["k"] = cap if x["k"] > 0 else -cap
        rates = {"click_rate": "clicked", "reply_rate": "replied", "conversion_rate": "converted"}
        x["y"] = row[rates[definition.goal.metric]] if definition.goal.metric in rates else 0
        row["sum_v"], row["sum_k"] = x["v"], x["k"]
        for pair in (*PAIRS, "kk", "kc", "ko", "kv", "yv"):
            row[f"sum_{pair}"] = x[pair[0]] * x[pair[1]]
        width = 1000
        for slice_ms in (1000, 10_000, 60_000, 600_000, 3_600_000):
            if slice_ms * 12 <= definition.goal.window_ms:
                width = slice_ms
        at = assignment.occurred_at_ms
        slices = [
            ("", ""),
            *((name, own_value(name, assignment, definition)) for name in definition.analyse_by),
        ]
        for dimension, value in slices:
            for column, number in row.items():
                key = (
                    assignment.campaign_id,
                    assignment.variant_id,
                    at - at % width,
                    width,
                    dimension,
                    value,
                )
                self.cohorts[*key, column] += number


def own_value(name: str, assignment: RecipientAssigned, definition: CampaignDefined) -> str:
    """The value under which a person is counted: the own one, or `other` where it is not listed."""
    value = assignment.attributes.get(name, "")
    if name in definition.dimension_values and value not in (
        "",
        *definition.dimension_values[name],
    ):
        return "other"
    return value


def first_assignments(events: Sequence[SubjectEvent]) -> dict[str, RecipientAssigned]:
    """campaign_id → the assignment that counts."""
    found: dict[str, RecipientAssigned] = {}
    late_first = sorted(events, key=lambda e: (e.occurred_at_ms, e.event_id), reverse=True)
    for event in late_first:
        if isinstance(event, RecipientAssigned):
            found[event.campaign_id] = event
    return found


def plain(text: str) -> str:
    """An id without case and leading zeros."""
    text = text.lower()
    while len(text) > 1 and text[0] == "0":
        text = text[1:]
    return text


def may_be_of(submit: MessageSubmitted, receipt: ReceiptReceived) -> bool:
    """The receipt came over the submit's connection, or over another one of its group."""
    if submit.connection == receipt.connection:
        return True
    one, other = (each.connection_group or each.connection for each in (submit, receipt))
    return one == other


def likeness(submit: MessageSubmitted, receipt: ReceiptReceived) -> int | None:
    """0: the same spelling but for case and zeros; 1: another spelling; None: not the same."""
    mine = submit.smsc_message_id
    if not mine or not may_be_of(submit, receipt):
        return None
    if plain(mine) == plain(receipt.smsc_message_id):
        return 0
    if plain(mine) in {plain(each) for each in receipt.candidates}:
        return 1
    mine = plain(mine)
    for name in {mine, mine.split("@")[0]} - {""}:
        if name in {plain(receipt.smsc_message_id), *map(plain, receipt.candidates)}:
            return 1
        for decimal, other in ((name, receipt.smsc_message_id), (receipt.smsc_message_id, name)):
            try:
                if int(decimal, 10) == int(other, 16):
                    return 1
            except ValueError:
                continue
    return None


def match(events: Sequence[SubjectEvent]) -> tuple[list[dict[str, Any]], list[ReceiptReceived]]:
    """Message parts with their receipts, and the receipts of none."""
    submits = [each for each in events if isinstance(each, MessageSubmitted)]
    parts: list[dict[str, Any]] = []
    for place in {(each.message_id, each.part) for each in submits}:
        results = [each for each in submits if (each.message_id, each.part) == place]
        results.sort(key=lambda e: (OUTCOMES.index(e.outcome), e.occurred_at_ms, e.event_id))
        parts.append({"place": place, "submit": results[0], "receipts": []})
    lost = []
    for receipt in (each for each in events if isinstance(each, ReceiptReceived)):
        choices = [
            (
                likeness(s, receipt),
                s.smsc_message_id != receipt.smsc_message_id,
                s.connection != receipt.connection,
                abs(s.occurred_at_ms - receipt.occurred_at_ms),
                (s.message_id, s.part),
            )
            for s in submits
            if likeness(s, receipt) is not None
        ]
        if choices:
            [part] = [each for each in parts if each["place"] == min(choices)[-1]]
            part["receipts"].append(receipt)
        else:
            lost.append(receipt)
    is_open = [p["submit"].outcome == "unknown" and not p["receipts"] for p in parts]
    waiting = [part for part, yes in zip(parts, is_open, strict=True) if yes]
    orphans = []
    for receipt in lost:
        here = [part for part in waiting if may_be_of(part["submit"], receipt)]
        if len(here) == 1:
            here[0]["receipts"].append(receipt)
        else:
            orphans.append(receipt)
    return parts, orphans


def latency(part: dict[str, Any]) -> tuple[str, int, int] | None:
    """Connection, hour of the submit, bound of the time to the first final receipt."""
    sent = part["submit"]
    arrivals = [each.occurred_at_ms for each in part["receipts"] if each.is_final]
    if not arrivals:
        return None
    seconds = [1, 2, 5, 10, 30, 60, 300, 900, 3600, 14_400, 43_200, 86_400, 259_200]
    took = min(arrivals) - sent.occurred_at_ms
    bound = next((1000 * each for each in seconds if took <= 1000 * each), 366 * 86_400_000)
    return sent.connection, sent.occurred_at_ms - sent.occurred_at_ms % 3_600_000, bound


def is_accepted(part: dict[str, Any]) -> bool:
    """Said or proven."""
    outcome = part["submit"].outcome
    return outcome == "accepted" or (outcome == "unknown" and len(part["receipts"]) > 0)


def final_state(part: dict[str, Any]) -> str | None:
    """The final state that counts."""
    finals = [each for each in part["receipts"] if each.is_final]
    timed = [each for each in finals if each.done_at_ms is not None]
    if timed:
        first = min(each.done_at_ms for each in timed)
        finals = [each for each in timed if each.done_at_ms == first]
    states = {each.state for each in finals}
    return next((state for state in STATES.split() if state in states), None)


def count_parts(
    row: Counter[str], parts: list[dict[str, Any]], definition: CampaignDefined
) -> None:
    """Submitted … failed, conflicts, segments, cost."""
    if not parts:
        return
    row["submitted"] = 1
    taken = [part for part in parts if is_accepted(part)]
    outcomes = {part["submit"].outcome for part in parts}
    row["accepted"] = int(len(taken) > 0)
    row["rejected"] = int(not taken and len(outcomes & {"rejected", "expired"}) > 0)
    row["unknown"] = int(not taken and outcomes == {"unknown"})
    done = [part for part in taken if final_state(part) == "DELIVERED"]
    whole = [
        message_id
        for message_id in {part["place"][0] for part in taken}
        if all(part in done for part in taken if part["place"][0] == message_id)
    ]
    row["delivered"] = int(len(whole) > 0)
    row["failed"] = int(not whole and any(final_state(p) not in {None, "DELIVERED"} for p in taken))
    row["conflicts"] = int(
        any(len({each.state for each in p["receipts"] if each.is_final}) > 1 for p in taken)
    )
    billed = {
        "submitted": [part for part in parts if part["submit"].outcome != "expired"],
        "accepted": taken,
        "delivered": done,
    }[definition.costs.billed_on]
    row["segments"] = sum(part["submit"].segments for part in billed)
    row["cost_micro"] = row["segments"] * definition.costs.price_per_segment_micro


def replies_of(events: Sequence[InboundReceived]) -> list[InboundReceived]:
    """One event per reply: a long one's first, with what its wholes say, else its parts."""
    found = []
    for name in {each.reply_id or each.event_id for each in events}:
        pieces = [e for e in events if (e.reply_id or e.event_id) == name]
        wholes = [e for e in pieces if e.part == 0]
        first = min(pieces, key=lambda e: e.occurred_at_ms)
        is_opt_out = any(e.is_opt_out for e in wholes or pieces)
        found.append(msgspec.structs.replace(first, is_opt_out=is_opt_out))
    return found


def whose_reply(
    reply: InboundReceived, assigned: dict[str, RecipientAssigned], parts: list[dict[str, Any]]
) -> str | None:
    """The campaign that a reply belongs to."""
    sent = {part["submit"].campaign_id for part in parts}
    best = None
    for campaign_id, assignment in assigned.items():
        age = reply.occurred_at_ms - assignment.occurred_at_ms
        if campaign_id in sent and assignment.variant_id != HOLDOUT and age >= 0 and age < WEEK_MS:
            rank = (assignment.occurred_at_ms, assignment.event_id, campaign_id)
            best = rank if best is None else max(best, rank)
    return best[2] if best else None


def whose_money(
    events: Sequence[SubjectEvent],
    assigned: dict[str, RecipientAssigned],
    definitions: dict[str, CampaignDefined],
) -> list[tuple[str, ConversionRecorded]]:
    """Campaign and event of every conversion and refund that counts."""
    by_id: dict[str, ConversionRecorded] = {}
    for event in sorted(events, key=lambda e: (e.occurred_at_ms, e.event_id), reverse=True):
        if isinstance(event, ConversionRecorded):
            by_id[event.conversion_id] = event
    sales: list[tuple[str, ConversionRecorded]] = []
    for event in by_id.values():
        campaign_id = whose_sale(event, assigned, definitions)
        if event.refund_of is None and campaign_id is not None:
            sales.append((campaign_id, event))
    refunds = [
        (campaign_id, refund)
        for campaign_id, sale in sales
        for refund in by_id.values()
        if refund.refund_of == sale.conversion_id
        and refund.currency == definitions[campaign_id].costs.currency
    ]
    return sales + refunds


def whose_sale(
    event: ConversionRecorded,
    assigned: dict[str, RecipientAssigned],
    definitions: dict[str, CampaignDefined],
) -> str | None:
    """The campaign in which a conversion counts."""
    fits = []
    for campaign_id, assignment in assigned.items():
        age = event.occurred_at_ms - assignment.occurred_at_ms
        window = definitions[campaign_id].goal.window_ms if campaign_id in definitions else 0
        if 0 <= age < window and event.campaign_id in {None, campaign_id}:
            fits.append((-age, assignment.event_id, campaign_id))
    if fits and definitions[max(fits)[2]].costs.currency == event.currency:
        return max(fits)[2]
    return None


def count_money(
    row: Counter[str], money: list[tuple[str, ConversionRecorded]], clicks: list[LinkClicked]
) -> None:
    """Converted, attributed, revenue, refunds."""
    sales = [event for _, event in money if event.refund_of is None]
    humans = [click.occurred_at_ms for click in clicks if click.is_human]
    row["converted"] = int(len(sales) > 0)
    row["attributed"] = int(any(at <= sale.occurred_at_ms for at in humans for sale in sales))
    row["revenue_minor"] = sum(sale.value_minor for sale in sales)
    row["refunded_minor"] = sum(e.value_minor for _, e in money if e.refund_of is not None)
