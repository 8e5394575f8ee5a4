"""Events ⇄ bytes."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.inspect import IntType, StrType, StructType, type_info

from schemas.__main__ import documents
from schemas.codec import SchemaError, decode, decoder_for, encode
from schemas.events import (
    LATEST_MS,
    MAX_PRICE_MICRO,
    MAX_WINDOW_MS,
    AnyEvent,
    Costs,
    Event,
    Goal,
    LinkIssued,
    MessageRequested,
    Plan,
    ReceiptReceived,
    RecipientAssigned,
    SubjectEvent,
)
from schemas.topics import JOINED_TOPICS, SUBJECT_PARTITIONS, TOPICS, key_of, topic_of

# What every bound but those below allows: finite numbers, text without lone surrogates.
st.register_type_strategy(int, st.integers(min_value=0, max_value=2**31 - 1))
st.register_type_strategy(float, st.floats(allow_nan=False, allow_infinity=False))
st.register_type_strategy(str, st.text(st.characters(codec="utf-8"), max_size=20))
st.register_type_strategy(
    Goal, st.builds(Goal, minimum_effect=..., window_ms=st.integers(1, MAX_WINDOW_MS))
)
st.register_type_strategy(
    Costs,
    st.builds(
        Costs,
        price_per_segment_micro=st.integers(0, MAX_PRICE_MICRO),
        billed_on=...,
        margin=...,
        opt_out_cost_minor=...,
    ),
)
st.register_type_strategy(
    Plan,
    st.builds(
        Plan,
        method=st.sampled_from(("fixed", "sequential", "bandit")),
        family=st.sampled_from(("holm", "bonferroni", "bh", "dunnett")),
        cap_minor=st.none() | st.integers(1, 10**12),
        covariate=st.none() | st.text(st.characters(codec="utf-8"), max_size=20),
    ),
)


def bounded(event: type[Event]) -> dict[str, st.SearchStrategy[Any]]:
    """The fields that have bounds, each with what they allow."""
    found: dict[str, st.SearchStrategy[Any]] = {}
    kind = type_info(event)
    assert isinstance(kind, StructType)
    for field in kind.fields:
        match field.type:
            case IntType(ge=int(low), le=int(high)):
                found[field.name] = st.integers(low, high)
            case IntType(ge=int(low), lt=int(end)):
                found[field.name] = st.integers(low, end - 1)
            case StrType(min_length=int(length)):
                found[field.name] = st.text(st.characters(codec="utf-8"), min_size=length)
    return found


any_event = st.one_of(
    [
        st.builds(
            topic.event, **dict.fromkeys(topic.event.__struct_fields__, ...) | bounded(topic.event)
        )
        for topic in TOPICS
    ]
)


@given(any_event)
def test_every_event_survives_the_round_trip(event: AnyEvent) -> None:
    """What is encoded is decoded to an equal event, by tag and by topic."""
    data = encode(event)
    assert decode(data) == event
    assert decoder_for(topic_of(event).name).decode(data) == event


@given(st.binary(max_size=200))
def test_arbitrary_bytes_raise_only_schema_error(data: bytes) -> None:
    """Bad bytes are a dead letter, never a crash."""
    try:
        decode(data)
    except SchemaError:
        return
    raise AssertionError("random bytes were taken for an event")


@pytest.mark.parametrize("value", [-1, 10**13, 2**64, 2**200])
def test_a_number_that_could_overflow_a_sum_is_refused(value: int) -> None:
    """One absurd record becomes a dead letter instead of stopping the worker for ever."""
    data = (
        '{"type":"conversion_recorded","event_id":"e","occurred_at_ms":1,"subject":"k1.x",'
        f'"conversion_id":"c","goal":"g","currency":"CNY","value_minor":{value}}}'
    )
    with pytest.raises(SchemaError):
        decode(data.encode())


@pytest.mark.parametrize("kind", [MessageRequested, LinkIssued])
def test_a_strange_clock_keeps_no_message_and_no_link_back(kind: type[Event]) -> None:
    """Nobody counts by the time of these, so its unit decides about nothing."""
    names = "message_id connection source_addr destination text campaign_id variant_id token target"
    fields: dict[str, Any] = {
        "event_id": "e",
        "occurred_at_ms": LATEST_MS,
        "subject": "k1.x",
        "purpose": "otp",
        **dict.fromkeys(names.split(), "x"),
    }
    known = kind.__struct_fields__
    event = kind(**{name: value for name, value in fields.items() if name in known})
    assert decoder_for(topic_of(event).name).decode(encode(event)) == event


def test_deeply_nested_json_is_a_schema_error() -> None:
    """A hostile record cannot exhaust the stack."""
    with pytest.raises(SchemaError):
        decode(b'{"type":"recipient_assigned","attributes":' + b'{"a":' * 100_000)


def test_tombstone_is_a_schema_error() -> None:
    """A record without a value is refused with a reason."""
    with pytest.raises(SchemaError, match="no value"):
        decoder_for(TOPICS[0].name).decode(None)


def test_wrong_event_on_a_topic_is_refused() -> None:
    """A valid event on a foreign topic is not accepted there."""
    event = RecipientAssigned(
        event_id="e", occurred_at_ms=1, subject="s", campaign_id="c", variant_id="A"
    )
    with pytest.raises(SchemaError):
        decoder_for("sms.link.clicked.v1").decode(encode(event))


def test_unknown_fields_are_ignored_and_wrong_types_are_not() -> None:
    """A newer producer may add a field; a number sent as text is refused."""
    event = RecipientAssigned(
        event_id="e", occurred_at_ms=1, subject="s", campaign_id="c", variant_id="A"
    )
    raw = json.loads(encode(event)) | {"added_later": 1}
    assert decode(json.dumps(raw).encode()) == event
    with pytest.raises(SchemaError):
        decode(json.dumps(raw | {"occurred_at_ms": "1"}).encode())


def test_a_connection_group_costs_nothing_where_there_is_none() -> None:
    """The field is absent then, as in events from before it was there; null says the same."""
    receipt = ReceiptReceived(
        event_id="e",
        occurred_at_ms=1,
        subject="s",
        connection="rx",
        smsc_message_id="77",
        raw_state="DELIVRD",
        state="DELIVERED",
        is_final=True,
    )
    assert b"connection_group" not in encode(receipt)
    raw = json.loads(encode(receipt))
    assert decode(json.dumps(raw).encode()) == receipt
    for group in ("account", None):
        found = decode(json.dumps(raw | {"connection_group": group}).encode())
        assert found == msgspec.structs.replace(receipt, connection_group=group)


def test_subject_events_share_the_partition_count_and_the_key() -> None:
    """Whatever is known about a person lies in one partition."""
    for topic in TOPICS:
        if issubclass(topic.event, SubjectEvent):
            assert (topic.key_field, topic.partitions) == ("subject", SUBJECT_PARTITIONS)
    assert all(issubclass(topic.event, SubjectEvent) for topic in JOINED_TOPICS)


@given(any_event)
def test_every_event_has_a_topic_and_a_key(event: AnyEvent) -> None:
    """`topic_of` and `key_of` work for whatever can be decoded."""
    assert topic_of(event).event is type(event)
    assert isinstance(key_of(event), str)


def test_only_the_request_carries_a_number_and_a_text() -> None:
    """No other event has a field for a phone number or a message text."""
    private = {"destination", "text", "msisdn", "phone"}
    for topic in TOPICS:
        found = private & {field.name for field in msgspec.structs.fields(topic.event)}
        assert bool(found) == topic.is_restricted, topic.name


def test_documents_are_current() -> None:
    """JSON Schemas and AsyncAPI are what the events say; else run `python -m schemas`."""
    for path, text in documents().items():
        assert path.read_text(encoding="utf-8") == text, path
