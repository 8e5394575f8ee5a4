"""The event contract for other languages: JSON Schema per topic, one AsyncAPI file. Pure."""

from __future__ import annotations

from typing import Any

import msgspec

from schemas.codec import CONTENT_TYPE
from schemas.topics import TOPICS, Topic

_DRAFT = "https://json-schema.org/draft/2020-12/schema"


def json_schema(topic: Topic) -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of a topic's record value."""
    schema = msgspec.json.schema(topic.event)
    return {"$schema": _DRAFT, "title": topic.name, **schema}


def schema_file_name(topic: Topic) -> str:
    """The file in `schemas/json/` that holds the topic's schema."""
    return f"{topic.name}.schema.json"


def asyncapi() -> dict[str, Any]:
    """The AsyncAPI 3.0 description of all topics."""
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "smslab events",
            "version": "1",
            "description": "Every fact that travels through Kafka. Made from schemas/events.py.",
        },
        "defaultContentType": CONTENT_TYPE,
        "channels": {topic.name: _channel(topic) for topic in TOPICS},
    }


def _channel(topic: Topic) -> dict[str, Any]:
    summary = (topic.event.__doc__ or "").strip().splitlines()[0]
    channel = {
        "address": topic.name,
        "description": summary,
        "messages": {
            topic.event.__name__: {
                "payload": {"$ref": f"../schemas/json/{schema_file_name(topic)}"},
                "x-kafka-key": topic.key_field,
            }
        },
        "bindings": {
            "kafka": {
                "topic": topic.name,
                "partitions": topic.partitions,
                "topicConfiguration": {"cleanup.policy": [topic.cleanup]},
            }
        },
    }
    if topic.is_restricted:
        channel["x-restricted"] = "phone numbers and message texts; short retention"
    return channel
