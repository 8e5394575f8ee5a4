"""What is known about one person: a set of facts, kept small.

A person's facts are a dict from fact key (kind and event id) to fact. Adding is commutative,
associative and idempotent: a new key is a union; for a known key the smaller fact stays
(earlier, then by its bytes), because an operator that resends a receipt gives it a new arrival
time. So the facts, and all that is projected from them, depend on the set of events only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from sys import intern
from types import MappingProxyType
from typing import Any

import msgspec
from msgspec import UNSET

from schemas import events
from schemas.events import ReceiptState, SubjectEvent, SubmitOutcome

Attributes = tuple[tuple[str, str], ...]


class Fact(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What every fact carries."""

    at_ms: int


class Assignment(Fact, frozen=True, array_like=True, gc=False, tag="a"):
    """A recipient was assigned to an arm."""

    campaign_id: str
    variant_id: str
    is_blocked: bool
    covariate: int
    """0 when the event had none."""
    attributes: Attributes


class Submit(Fact, frozen=True, array_like=True, gc=False, tag="s"):
    """One submit_sm of a message part was answered, or its answer was cut off."""

    message_id: str
    part: int
    outcome: SubmitOutcome
    connection: str
    smsc_message_id: str | None
    segments: int
    campaign_id: str | None
    group: str = ""
    """Of the connection; "" where it is the connection's own name."""


class Receipt(Fact, frozen=True, array_like=True, gc=False, tag="r"):
    """A delivery receipt."""

    connection: str
    smsc_message_id: str
    candidates: tuple[str, ...]
    state: ReceiptState
    is_final: bool
    """False for the disputed states of a connection without a rule."""
    err: str
    done_at_ms: int | None
    group: str = ""
    """As in `Submit`."""


class Inbound(Fact, frozen=True, array_like=True, gc=False, tag="i"):
    """A mobile-originated message, a part of one, or (`reply_id`, no part) a long one's whole."""

    is_opt_out: bool
    reply_id: str = ""
    is_part: bool = False


class Click(Fact, frozen=True, array_like=True, gc=False, tag="c"):
    """A short link was opened."""

    campaign_id: str
    is_human: bool


class Conversion(Fact, frozen=True, array_like=True, gc=False, tag="v"):
    """A goal was reached or, with `refund_of`, money given back."""

    conversion_id: str
    value_minor: int
    currency: str
    refund_of: str | None
    campaign_id: str | None


AnyFact = Assignment | Submit | Receipt | Inbound | Click | Conversion
Facts = dict[str, AnyFact]
"""Fact key → fact. The key is the kind's letter followed by the event id."""

News = tuple[str, str, AnyFact | None]
"""(subject, fact key, fact): at hand. (subject, "", None): put aside."""

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Facts).decode
_decode_news = msgspec.msgpack.Decoder(list[News]).decode


def encode_facts(facts: Facts) -> bytes:
    """The bytes of a person's facts for the history."""
    return _encode(facts)


def decode_facts(data: bytes) -> Facts:
    """A person's facts from the history.

    Raises:
        msgspec.MsgspecError: If `data` was not written by `encode_facts` of this version.
    """
    return _decode(data)


def encode_news(news: Sequence[News]) -> bytes:
    """The bytes of one round's news, for the state log."""
    return _encode(news)


def decode_news(data: bytes) -> list[News]:
    """One round's news, from the state log.

    Raises:
        msgspec.MsgspecError: If `data` was not written by `encode_news` of this version.
    """
    return _decode_news(data)


def fact_of(event: SubjectEvent) -> tuple[str, AnyFact]:
    """The key and the fact of an event.

    Raises:
        ValueError: If the join does not read this type of event.
    """
    return converter_of(type(event))(event)


def converter_of(event: type[SubjectEvent]) -> Callable[[Any], tuple[str, AnyFact]]:
    """`fact_of` for one type of event.

    Raises:
        ValueError: If the join does not read this type of event.
    """
    convert = _CONVERT.get(event)
    if convert is None:
        name = event.__name__
        raise ValueError(f"event == {name}, must be of a topic in schemas.topics.JOINED_TOPICS.")
    return convert


def campaigns_of(facts: Facts) -> tuple[str, ...]:
    """The campaigns that assigned a person, sorted."""
    found = [fact.campaign_id for fact in facts.values() if type(fact) is Assignment]
    return tuple(found) if len(found) < 2 else tuple(sorted(set(found)))


def event_id_of(key: str) -> str:
    """The event id in a fact key."""
    return key[1:]


def merge(known: AnyFact, other: AnyFact) -> AnyFact:
    """Which of two facts under one key stays: the earlier, then the smaller by its bytes."""
    if known == other:
        return known
    return min(known, other, key=lambda fact: (fact.at_ms, _encode(fact)))


def _assignment(event: events.RecipientAssigned) -> tuple[str, Assignment]:
    return "a" + event.event_id, Assignment(
        event.occurred_at_ms,
        intern(event.campaign_id),
        intern(event.variant_id),
        event.eligibility == "blocked",
        event.covariate or 0,
        _attributes(tuple(event.attributes.items())),
    )


@lru_cache(maxsize=4096)
def _attributes(attributes: Attributes) -> Attributes:
    """Sorted; one object for all who have the same in the same order."""
    return tuple((intern(name), intern(value)) for name, value in sorted(attributes))


def _submit(event: events.MessageSubmitted) -> tuple[str, Submit]:
    campaign_id = event.campaign_id
    return "s" + event.event_id, Submit(
        event.occurred_at_ms,
        event.message_id,
        event.part,
        event.outcome,
        intern(event.connection),
        event.smsc_message_id,
        event.segments,
        None if campaign_id is None else intern(campaign_id),
        "" if event.connection_group is UNSET else _group(event),
    )


def _receipt(event: events.ReceiptReceived) -> tuple[str, Receipt]:
    return "r" + event.event_id, Receipt(
        event.occurred_at_ms,
        intern(event.connection),
        event.smsc_message_id,
        event.candidates,
        event.state,
        event.is_final is True,
        intern(event.err or ""),
        event.done_at_ms,
        "" if event.connection_group is UNSET else _group(event),
    )


def _group(event: events.MessageSubmitted | events.ReceiptReceived) -> str:
    group = event.connection_group
    return intern(group) if isinstance(group, str) and group != event.connection else ""


def _inbound(event: events.InboundReceived) -> tuple[str, Inbound]:
    is_part = event.part > 0
    reply_id = event.reply_id or (event.event_id if is_part else "")
    return "i" + event.event_id, Inbound(event.occurred_at_ms, event.is_opt_out, reply_id, is_part)


def _click(event: events.LinkClicked) -> tuple[str, Click]:
    return "c" + event.event_id, Click(
        event.occurred_at_ms, intern(event.campaign_id), event.is_human
    )


def _conversion(event: events.ConversionRecorded) -> tuple[str, Conversion]:
    campaign_id = event.campaign_id
    return "v" + event.event_id, Conversion(
        event.occurred_at_ms,
        event.conversion_id,
        event.value_minor,
        intern(event.currency),
        event.refund_of,
        None if campaign_id is None else intern(campaign_id),
    )


_CONVERT: Mapping[type[SubjectEvent], Callable[[Any], tuple[str, AnyFact]]] = MappingProxyType(
    {
        events.RecipientAssigned: _assignment,
        events.MessageSubmitted: _submit,
        events.ReceiptReceived: _receipt,
        events.InboundReceived: _inbound,
        events.LinkClicked: _click,
        events.ConversionRecorded: _conversion,
    }
)
