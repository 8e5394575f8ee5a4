"""Logs are one JSON object a line, and no number of a person is in them."""

from __future__ import annotations

import json
import logging
import sys
from typing import Any

import pytest

from runtime.logs import JsonFormatter, mask

NUMBER = "8613800000001"


def line(message: str, fields: dict[str, Any] | None = None, **extra: Any) -> dict[str, Any]:
    """What a record becomes."""
    record = logging.makeLogRecord(
        {"name": "test", "levelname": "INFO", "msg": message, "fields": fields} | extra
    )
    formatted = JsonFormatter("bridge").format(record)
    assert "\n" not in formatted
    found: dict[str, Any] = json.loads(formatted)
    return found


def test_a_line_has_time_level_process_message_and_fields() -> None:
    """For a machine to read."""
    found = line("link is down", {"connection": "cmcc-1", "retry_in_s": 0.5})
    assert found["at"].endswith("Z")
    assert (found["level"], found["process"], found["message"]) == (
        "info",
        "bridge",
        "link is down",
    )
    assert (found["connection"], found["retry_in_s"]) == ("cmcc-1", 0.5)


@pytest.mark.parametrize(
    "text",
    ["to {}", "to=+{}, again", "cannot send to {}.", "'00{}'", "b'{}'", "({})", "0{}: no route"],
)
def test_a_number_is_masked_wherever_it_stands(text: str) -> None:
    """At the end of a sentence, in quotes, with 00 or + in front."""
    assert NUMBER not in mask(text.format(NUMBER))
    assert "[number]" in mask(text.format(NUMBER))


@pytest.mark.parametrize("text", ["1700000000.123", "0.8613800000001", "k1_8613800000001", "42"])
def test_what_is_no_number_of_a_person_stays(text: str) -> None:
    """Decimals, tokens and small numbers are facts."""
    assert mask(text) == text


def test_fields_and_exceptions_are_masked_to_their_depth() -> None:
    """Lists, mappings, octets, tracebacks: a library may put a number anywhere."""
    fields = {"a": [f"to {NUMBER}", {"b": NUMBER}], "c": NUMBER.encode()}
    try:
        int(f"{NUMBER} x")
    except ValueError:
        found = line(f"failed for {NUMBER}", fields, exc_info=sys.exc_info())
    assert NUMBER not in json.dumps(found)
    assert "ValueError" in found["exception"]
