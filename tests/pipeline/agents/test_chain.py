"""decode → join → commit without Faust: order of effects, and no record vanishes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import replace
from pathlib import Path

import duckdb
import msgspec
import pytest

from pipeline.agents.commit import commit
from pipeline.agents.decode import decode, decode_batch
from pipeline.agents.join import join
from pipeline.batch import Delivery, RecordBatch
from pipeline.flush import Flush, RejectedRecord
from pipeline.history import StoredHistory
from pipeline.join.cohorts import VECTOR
from pipeline.join.engine import JoinEngine
from pipeline.roles import ALONE
from pipeline.storage.state import State, open_state
from schemas.codec import encode
from schemas.events import (
    LATEST_MS,
    MAX_WINDOW_MS,
    AllocationChanged,
    ConversionRecorded,
    Event,
    Goal,
    MessageSubmitted,
    RecipientAssigned,
)
from schemas.topics import CAMPAIGN_DEFINITION, topic_of
from tests.support.worker import START_MS, FakeRecord, campaign_events, definition

EVENTS = campaign_events(recipients=20, seed=1)


def delivery(topic: str, values: Sequence[bytes | None], acks: list[str] | None = None) -> Delivery:
    """Those values as one batch."""
    records = [FakeRecord(offset, value) for offset, value in enumerate(values)]
    batch = RecordBatch(topic, 0, 0, len(records), records)
    return Delivery(batch, lambda: None if acks is None else acks.append("ack"))


def delivery_of(events: Sequence[Event], acks: list[str] | None = None) -> Delivery:
    """Events of one type as a batch of their topic."""
    return delivery(topic_of(events[0]).name, [encode(event) for event in events], acks)


def by_topic() -> list[list[Event]]:
    """`EVENTS`, one list per topic."""
    names = dict.fromkeys(topic_of(event).name for event in EVENTS)
    return [[e for e in EVENTS if topic_of(e).name == name] for name in names]


async def groups(*each: list[Delivery]) -> AsyncIterator[list[Delivery]]:
    """Groups as `gather` yields them."""
    for group in each:
        yield group


async def no_sink(_: Sequence[RejectedRecord]) -> None:
    """Fail: nothing was to be rejected."""
    raise AssertionError("nothing was to be rejected")


async def test_the_chain_equals_the_engine() -> None:
    """Batches of all topics give the deltas of one engine that sees every event."""
    direct = JoinEngine()
    direct.define(definition())
    direct.apply(EVENTS)
    stored: list[Flush] = []

    async def store(flush: Flush) -> None:
        stored.append(flush)

    group = [delivery_of([definition()]), *(delivery_of(events) for events in by_topic())]
    chain = commit(join(decode(groups(group), no_sink, lambda: 0), JoinEngine()), store)
    (flush,) = [each async for each in chain]
    assert stored == [flush]
    expected = direct.take()
    assert sorted(flush.deltas.news) == sorted(expected.news)  # they keep the order of arrival
    assert replace(flush.deltas, news=[]) == replace(expected, news=[])
    assert [batch.topic for batch in flush.ranges] == [d.batch.topic for d in group]


async def test_dead_letters_are_safe_before_anything_is_stored() -> None:
    """First the dead letter is in Kafka, then the flush in the database, then the ack."""
    done: list[str] = []

    async def sink(rejected: Sequence[RejectedRecord]) -> None:
        assert [(r.row.record_offset, r.data) for r in rejected] == [(1, b"garbage")]
        done.append("dead letter")

    async def store(flush: Flush) -> None:
        assert len(flush.dead_letters) == 1
        done.append("store")

    receipts = next(events for events in by_topic() if "receipt" in topic_of(events[0]).name)
    values = [encode(receipts[0]), b"garbage"]
    group = [delivery(topic_of(receipts[0]).name, values, done)]
    chain = commit(join(decode(groups(group), sink, lambda: 0), JoinEngine()), store)
    assert len([flush async for flush in chain]) == 1
    assert done == ["dead letter", "store", "ack"]


async def test_nothing_is_acknowledged_when_the_store_fails() -> None:
    """A failed transaction breaks the chain before the acknowledgement."""
    acks: list[str] = []

    async def store(_: Flush) -> None:
        raise OSError("disk full")

    group = [delivery_of(by_topic()[0], acks)]
    chain = commit(join(decode(groups(group), no_sink, lambda: 0), JoinEngine()), store)
    with pytest.raises(OSError, match="disk full"):
        await anext(chain)
    assert acks == []


async def test_the_next_flush_is_joined_while_one_is_stored() -> None:
    """One transaction at a time and in order; joining does not wait for the disk."""
    done: list[str] = []
    joined = asyncio.Event()

    async def groups_told() -> AsyncIterator[list[Delivery]]:
        for number, events in enumerate(by_topic()[:2]):
            yield [delivery_of(events)]
            done.append(f"joined {number}")
            joined.set()

    async def store(flush: Flush) -> None:
        number = len([each for each in done if each.startswith("stored")])
        if number == 0:
            async with asyncio.timeout(10):
                await joined.wait()
        done.append(f"stored {number}")

    chain = commit(join(decode(groups_told(), no_sink, lambda: 0), JoinEngine()), store)
    assert len([flush async for flush in chain]) == 2
    assert [each for each in done if each.startswith("stored")] == ["stored 0", "stored 1"]
    assert done.index("joined 0") < done.index("stored 0")


@pytest.mark.parametrize(
    "value",
    [None, b"", b"{", b'{"type":"campaign_defined"}', b'"\\ud800"', b"\xff", b"[" * 5000, b"1e999"],
)
def test_what_is_no_event_is_rejected_with_a_reason(value: bytes | None) -> None:
    """Any bytes are either an event of the topic or a dead letter, never an exception."""
    decoded = decode_batch(delivery("sms.message.receipt.v1", [value]), 77)
    (rejected,) = decoded.rejected
    assert rejected.row.reason
    assert rejected.row.seen_at_ms == 77
    assert not decoded.subject_events


def test_a_reason_holds_no_phone_number() -> None:
    """What a decoder quotes from a record must not carry a number into a table."""
    value = b'{"type":"receipt_received","subject":"s","state":"4917012345678"}'
    (rejected,) = decode_batch(delivery("sms.message.receipt.v1", [value]), 0).rejected
    assert "4917012345678" not in rejected.row.reason


@pytest.mark.parametrize(
    ("kind", "field", "value"),
    [
        (ConversionRecorded, "occurred_at_ms", -1),
        (ConversionRecorded, "occurred_at_ms", LATEST_MS),
        (ConversionRecorded, "value_minor", 10**30),
        (RecipientAssigned, "covariate", -(10**30)),
        (MessageSubmitted, "segments", 256),
        (MessageSubmitted, "subject", ""),
    ],
)
def test_wild_values_are_rejected(kind: type[Event], field: str, value: object) -> None:
    """A number that would overflow an exact sum is a dead letter, not a crash for ever."""
    event = next(each for each in EVENTS if type(each) is kind)
    (rejected,) = decode_batch(
        delivery_of([msgspec.structs.replace(event, **{field: value})]), 0
    ).rejected
    assert field in rejected.row.reason


@pytest.mark.parametrize("window_ms", [0, MAX_WINDOW_MS + 1])
def test_a_wild_definition_is_rejected(window_ms: int) -> None:
    """A window of nothing, or of centuries, is refused before it cuts cohorts."""
    goal = Goal(metric="click_rate", window_ms=window_ms, minimum_effect=0.1)
    (rejected,) = decode_batch(delivery_of([definition(goal=goal)]), 0).rejected
    assert "window_ms" in rejected.row.reason


def test_tombstones_of_compacted_topics_are_nothing() -> None:
    """A removed key is no event and no fault."""
    decoded = decode_batch(delivery(CAMPAIGN_DEFINITION.name, [None]), 0)
    assert not decoded.rejected
    assert not decoded.definitions


async def test_a_late_event_fetches_its_person_from_the_database(tmp_path: Path) -> None:
    """Swept in the flush's transaction, found again by event and by definition, totals exact."""
    state, engine = open_state(tmp_path), JoinEngine(horizon_ms=0)
    later_ms = START_MS + 1000 * 86_400_000
    late = [event for event in EVENTS if not isinstance(event, RecipientAssigned)]
    first = [delivery_of([e for e in EVENTS if isinstance(e, RecipientAssigned)])]
    second = [delivery_of([e for e in late if type(e) is kind]) for kind in KINDS]
    third = [delivery_of([definition()])]
    history = StoredHistory(state, asyncio.Lock())
    chain = commit(
        join(
            decode(groups(first, second, third), no_sink, lambda: 0),
            engine,
            history,
            iter((later_ms, None, later_ms * 2)).__next__,
        ),
        storing(state),
    )
    retired = [len(flush.deltas.retired) async for flush in chain]
    assert retired[0] > 10
    assert retired[1] == 0
    direct = JoinEngine()
    direct.define(definition())
    direct.apply(EVENTS)
    expected = {key: vector for key, vector in direct.take().cohorts.items() if any(vector)}
    columns = [duckdb.ColumnExpression(name) for name in (*KEY, *VECTOR)]
    rows = state.connection.table("cohorts").select(*columns).fetchall()
    assert {tuple(row[:6]): [int(n) for n in row[6:]] for row in rows if any(row[6:])} == expected
    assert len(engine) < len(EVENTS)


KEY = ("campaign_id", "variant_id", "cohort_start_ms", "cohort_width_ms", "dimension", "value")
KINDS = tuple(dict.fromkeys(type(e) for e in EVENTS if not isinstance(e, RecipientAssigned)))


def storing(state: State) -> Callable[[Flush], Awaitable[None]]:
    """A store on a real database."""

    async def store(flush: Flush) -> None:
        state.commit(flush, 0)

    return store


@pytest.mark.parametrize("topic", [topic.name for topic in ALONE.topics])
def test_poison_in_any_topic_is_rejected_and_the_rest_goes_on(topic: str) -> None:
    """Garbage, another topic's event, an event of the right type with a wrong field, no value."""
    wrong = encode(EVENTS[0] if topic_of(EVENTS[0]).name != topic else definition())
    values = [b"", b"garbage", b"\xff\xfe", b"[1]", b"{}", b'{"type":"x"}', wrong]
    found = decode_batch(delivery(topic, values), 9)
    assert [r.row.record_offset for r in found.rejected] == list(range(len(values)))
    assert all(r.row.reason for r in found.rejected)
    assert not found.subject_events
    assert not found.definitions
    assert not found.allocations
    assert not found.connections
    assert not found.lines
    assert found.delivery.batch.next_offset == len(values)


def test_every_topic_has_its_taker() -> None:
    """Definitions, allocations, reports and events about people go where they belong."""
    allocation = AllocationChanged(
        event_id="e", occurred_at_ms=1, campaign_id="c", shares={"A": 1.0}, reason="r"
    )
    assert decode_batch(delivery_of([allocation]), 9).allocations == [allocation]
    assert decode_batch(delivery_of([definition()]), 9).definitions == [definition()]
    found = decode_batch(delivery_of([EVENTS[0]]), 9)
    assert (found.subject_events, found.lines) == ([EVENTS[0]], encode(EVENTS[0]))
