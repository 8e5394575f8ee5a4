"""Settings, requests and results for tests of bridge processes."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from schemas.events import MessageRequested, MessageSubmitted
from schemas.subject import SubjectKey, Tokenizer
from tests.support.topics import TopicReader

KEY = "00" * 32
WINDOW = 64
"""The bridge's default."""
TOKENIZER = Tokenizer(SubjectKey("k1", bytes(32)))


def environment(kafka: str, smsc_port: int, folder: Path, connection: str) -> dict[str, str]:
    """The settings of a bridge process with one connection."""
    return {
        "SMS_KAFKA": kafka,
        "SMS_SUBJECT_KEY": KEY,
        "SMS_BRIDGE_CONNECTION": connection,
        "SMS_BRIDGE_PORT": str(smsc_port),
        "SMS_BRIDGE_SYSTEM_ID": "shop",
        "SMS_BRIDGE_PASSWORD": "secret",
        "SMS_BRIDGE_DATA": str(folder),
        "SMS_BRIDGE_HEALTH_PORT": "0",
    }


def file_environment(kafka: str, folder: Path, config: Mapping[str, Any]) -> dict[str, str]:
    """The settings of a bridge process with a configuration file; JSON is YAML."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "bridge.yaml"
    path.write_text(json.dumps(config), "utf-8")
    return {
        "SMS_KAFKA": kafka,
        "SMS_SUBJECT_KEY": KEY,
        "SMS_BRIDGE_CONFIG": str(path),
        "SMS_BRIDGE_DATA": str(folder / "journal"),
        "SMS_BRIDGE_HEALTH_PORT": "0",
        "SMS_BRIDGE_TEST_PASSWORD": "secret",
    }


def connection_config(port: int, **keys: Any) -> dict[str, Any]:
    """One connection of a configuration file."""
    return {
        "host": "127.0.0.1",
        "port": port,
        "system_id": "shop",
        "password_env": "SMS_BRIDGE_TEST_PASSWORD",
        **keys,
    }


def requested(connection: str, number: int, **fields: Any) -> MessageRequested:
    """One request; `number` makes the person."""
    destination = f"86138{number:08d}"
    values: dict[str, Any] = {
        "event_id": f"{connection}-{number}",
        "occurred_at_ms": 1,
        "subject": TOKENIZER.token(destination),
        "message_id": f"{connection}-{number}",
        "connection": connection,
        "source_addr": "10690001",
        "destination": destination,
        "text": "hi",
        "purpose": "promotional",
        "campaign_id": connection,
        "variant_id": "A",
    }
    return MessageRequested(**values | fields)


def of_connection(reader: TopicReader, connection: str) -> list[MessageSubmitted]:
    """Results of one connection, the topic being shared."""
    return [e for e in reader.events(MessageSubmitted) if e.connection == connection]


def best_outcomes(results: Iterable[MessageSubmitted]) -> dict[str, str]:
    """What is known of each message in the end: an answer beats `unknown`."""
    best: dict[str, str] = {}
    for event in results:
        if best.get(event.message_id, "unknown") == "unknown":
            best[event.message_id] = event.outcome
    return best
