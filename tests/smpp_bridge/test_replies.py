"""A reply of several parts is one reply, whatever happens to its parts."""

from __future__ import annotations

import random

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.join.engine import JoinEngine
from schemas.events import InboundReceived, MessageSubmitted, RecipientAssigned
from schemas.subject import SubjectKey, Tokenizer
from smpp_bridge import mapping
from smpp_bridge.protocol.constants import Tag
from smpp_bridge.protocol.long_messages import MAX_MESSAGES, Method, messages_of
from smpp_bridge.protocol.message_states import ReceiptRules
from smpp_bridge.protocol.pdu import DataSm, DeliverSm
from smpp_bridge.replies import DAY_S, Replies
from tests.support.join_events import Sums, definition

TOKENIZER = Tokenizer(SubjectKey("k1", bytes(32)))
MSISDN = "8613812345678"
NOON_MS = 20_000 * DAY_S * 1000 + DAY_S * 500
FILLER = "I have had enough of these messages and would like to tell you about my day. " * 5
METHODS = st.sampled_from(("udh8", "udh16", "sar"))
TEXTS = st.sampled_from(
    (f"STOP {FILLER}", FILLER, f"{FILLER[:150]} do not text me again. {FILLER}")
)


def parts_of(text: str, method: Method = "udh8", reference: int = 7) -> list[DeliverSm]:
    """The deliver_sm of a reply."""
    template = DeliverSm(source_addr=MSISDN.encode(), destination_addr=b"10690001")
    return messages_of(template, text, method=method, reference=reference)


def event_of(request: DeliverSm | DataSm, at_ms: int) -> InboundReceived:
    """What the bridge makes of one PDU."""
    event = mapping.received(
        request,
        connection="c",
        tokenizer=TOKENIZER,
        rules=ReceiptRules(),
        default_region="",
        now_ms=at_ms,
    )
    assert isinstance(event, InboundReceived)
    return event


def taken(
    replies: Replies, requests: list[DeliverSm], at_ms: int = NOON_MS, step_ms: int = 1000
) -> list[InboundReceived]:
    """The events of PDUs that come one after the other."""
    found: list[InboundReceived] = []
    for number, request in enumerate(requests):
        found += replies.take(request, event_of(request, at_ms + number * step_ms)).events
    return found


def wholes(events: list[InboundReceived]) -> list[InboundReceived]:
    """The derived events."""
    return [event for event in events if event.part == 0]


@pytest.mark.parametrize("method", ["udh8", "udh16", "sar"])
def test_the_last_part_brings_one_event_for_the_whole(method: Method) -> None:
    """Parts stay events under one reply id; keyword and flags are those of the joined text."""
    parts = parts_of(f"STOP {FILLER}", method)
    events = taken(Replies(), parts[::-1])
    assert [event.part for event in events] == [3, 2, 1, 0]
    assert {event.parts for event in events} == {3}
    assert len({event.reply_id for event in events}) == 1
    assert len({event.event_id for event in events}) == 4
    (whole,) = wholes(events)
    assert (whole.keyword, whole.is_opt_out, whole.segments) == ("stop", True, 3)
    assert whole.occurred_at_ms == NOON_MS, "it came when its first part came"


def test_a_message_in_one_piece_is_one_event() -> None:
    """Short ones, and long ones in message_payload, of a deliver_sm or a data_sm."""
    (payload,) = parts_of(f"STOP {FILLER}", "payload")
    data_sm = DataSm(
        source_addr=MSISDN.encode(), tlvs=((Tag.MESSAGE_PAYLOAD, f"STOP {FILLER}".encode()),)
    )
    for request in (*parts_of("STOP now"), payload, data_sm):
        event = event_of(request, NOON_MS)
        assert event.is_opt_out
        assert (event.reply_id, event.part, event.parts, event.segments) == (None, 0, 1, 1)
        assert Replies().take(request, event) == ((event,), True)


def test_a_part_says_only_what_is_sure_without_the_others() -> None:
    """`stop` in the midst of a text is no opt-out because a part begins with it."""
    text = "a" * 152 + " stop by tomorrow, my dear. " + "b" * 140
    assert not any(event.is_opt_out for event in taken(Replies(), parts_of(text)))
    first, *_ = taken(Replies(), parts_of(f"STOP {FILLER}")[:1])
    assert first.is_opt_out, "the first word is the first word, whatever follows"


def test_a_phrase_that_was_cut_in_two_is_found_in_the_whole() -> None:
    """No part can see it."""
    events = taken(Replies(), parts_of("x" * 145 + " do not text me any more please"))
    assert [event.is_opt_out for event in events] == [False, False, True]


def test_interleaved_replies_are_joined_each_on_its_own() -> None:
    """References tell them apart."""
    one, other = parts_of(f"STOP {FILLER}", reference=1), parts_of(f"HELP {FILLER}", reference=2)
    events = taken(Replies(), [part for pair in zip(one, other, strict=True) for part in pair])
    assert [event.keyword for event in wholes(events)] == ["stop", "help"]
    assert len({event.reply_id for event in events}) == 2


def test_a_part_that_comes_again_brings_the_whole_again() -> None:
    """Kafka may have refused it; it is the same fact, so nothing counts twice."""
    replies, parts = Replies(), parts_of(f"STOP {FILLER}")
    first = wholes(taken(replies, parts))
    again = wholes(taken(replies, parts[1:2], NOON_MS + 5000))
    assert first == again


def test_a_message_that_lasts_over_midnight_is_one_reply() -> None:
    """The day is that of the first part."""
    midnight_ms = NOON_MS + DAY_S * 500
    events = taken(Replies(), parts_of(FILLER), midnight_ms - 1500)
    assert len({event.reply_id for event in events}) == 1
    next_day = taken(Replies(), parts_of(FILLER), midnight_ms + 10_000)
    assert {event.reply_id for event in next_day}.isdisjoint({event.reply_id for event in events})


def test_what_stays_incomplete_is_counted_and_forgotten() -> None:
    """The text of a message whose last part never comes does not stay in memory."""
    replies, parts = Replies(), parts_of(FILLER)
    assert wholes(taken(replies, parts[:2])) == []
    replies.expire(NOON_MS + 3600_000)
    assert replies.incomplete == 1
    late = replies.take(parts[2], event_of(parts[2], NOON_MS + 3600_000))
    assert [event.part for event in late.events] == [3]
    assert late.events[0].reply_id == taken(Replies(), parts)[0].reply_id


def test_a_reply_begins_once() -> None:
    """The metric counts replies, not parts."""
    replies, parts = Replies(), parts_of(FILLER)
    new = [replies.take(part, event_of(part, NOON_MS)).is_new for part in [*parts, parts[0]]]
    assert new == [True, False, False, False]


@settings(deadline=None)
@given(TEXTS, METHODS, st.data(), st.randoms())
def test_the_same_totals_whatever_happens_to_the_parts(
    text: str, method: Method, data: st.DataObject, draw: random.Random
) -> None:
    """Any order, repetition, loss and restart: one reply, to the campaign of the first part."""
    arrived = parts_of(text, method)
    kept = data.draw(st.lists(st.sampled_from(arrived), min_size=1, max_size=8))
    restart = data.draw(st.integers(0, len(kept)))
    events = taken(Replies(), kept[:restart]) + taken(
        Replies(), kept[restart:], NOON_MS + restart * 1000
    )
    draw.shuffle(events)
    totals = counted(events)
    assert [totals[name]["replied"] for name in ("c1", "c2")] == [1, 0]
    is_joined = bool(wholes(events))
    expected = "STOP" in text or "do not" in text
    if is_joined:
        assert totals["c1"]["opted_out"] == expected
    assert totals["c1"]["opted_out"] <= expected
    assert counted([*events, *events]) == totals


def counted(events: list[InboundReceived]) -> dict[str, dict[str, int]]:
    """Replies and opt-outs of two campaigns; the second comes after the first part."""
    engine, sums = JoinEngine(), Sums()
    subject = TOKENIZER.token(MSISDN)
    for name, at_ms in (("c1", NOON_MS - 1000), ("c2", NOON_MS + 500)):
        engine.define(definition(name))
        engine.apply(
            [
                RecipientAssigned(
                    event_id=f"a-{name}",
                    occurred_at_ms=at_ms,
                    subject=subject,
                    campaign_id=name,
                    variant_id="a",
                ),
                MessageSubmitted(
                    event_id=f"s-{name}",
                    occurred_at_ms=at_ms,
                    subject=subject,
                    message_id=name,
                    connection="c",
                    source_addr="Shop",
                    outcome="accepted",
                    campaign_id=name,
                ),
            ]
        )
    for event in events:
        engine.apply([event])
        sums.add(engine.take())
    return {
        name: {
            column: sum(n for key, n in sums.cohorts.items() if (key[0], key[-1]) == (name, column))
            for column in ("replied", "opted_out")
        }
        for name in ("c1", "c2")
    }


def test_what_the_limits_push_out_is_let_go_at_once() -> None:
    """A flood of first parts must not wait in memory for the next second."""
    replies = Replies()
    (first, *_) = parts_of(FILLER)
    event = event_of(first, NOON_MS)
    for number in range(MAX_MESSAGES + 10):
        replies.take(msgspec.structs.replace(first, source_addr=b"%d" % number), event)
    assert replies.incomplete == 10
