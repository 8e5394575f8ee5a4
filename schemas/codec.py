"""Events ⇄ bytes: JSON through msgspec. Undecodable bytes raise `SchemaError`, nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import msgspec

from schemas.events import AnyEvent, Event
from schemas.topics import TOPICS

_ERRORS = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
CONTENT_TYPE = "application/json"
_encoder = msgspec.json.Encoder()
_any_decoder = msgspec.json.Decoder(AnyEvent)


class SchemaError(ValueError):
    """Bytes that are not a valid event. Raised by `decode`; callers dead-letter the record."""


def encode(event: Event) -> bytes:
    """The JSON bytes of an event."""
    return _encoder.encode(event)


def decode(data: bytes) -> AnyEvent:
    """Decode any event by its `type` tag.

    Raises:
        SchemaError: If `data` is not valid UTF-8 JSON of a known event.
    """
    event: AnyEvent = _decode(_any_decoder, data)
    return event


def decoder_for(topic: str) -> TopicDecoder:
    """The decoder of one topic, which accepts only the event that belongs there.

    Raises:
        KeyError: If the topic is unknown.
    """
    return _TOPIC_DECODERS[topic]


class TopicDecoder:
    """Decodes the records of one topic."""

    __slots__ = ("_decoder",)

    def __init__(self, event: type[Event]) -> None:
        self._decoder = msgspec.json.Decoder(event)

    def decode_all(self, values: Sequence[bytes]) -> list[Event]:
        """Decode many record values.

        Raises:
            SchemaError: If one is not this topic's event; `decode` tells which.
        """
        decode = self._decoder.decode
        try:
            return [decode(value) for value in values]
        except _ERRORS as error:
            raise SchemaError(str(error)) from error

    def decode(self, data: bytes | None) -> Event:
        """Decode one record value.

        Raises:
            SchemaError: If the value is missing or is not this topic's event.
        """
        if data is None:
            raise SchemaError("record has no value")
        event: Event = _decode(self._decoder, data)
        return event


def _decode(decoder: msgspec.json.Decoder[Any], data: bytes) -> Any:
    try:
        return decoder.decode(data)
    except _ERRORS as error:
        raise SchemaError(str(error)) from error


_TOPIC_DECODERS: Mapping[str, TopicDecoder] = MappingProxyType(
    {topic.name: TopicDecoder(topic.event) for topic in TOPICS}
)
