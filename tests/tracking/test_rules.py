"""Click filter and webhook body, without network."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracking.clicks import machine_reason
from tracking.conversions import Posted, read_posted, recorded

PHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 Safari/604.1"


@pytest.mark.parametrize(
    ("method", "headers", "reason"),
    [
        ("GET", {"user-agent": PHONE}, None),
        ("HEAD", {"user-agent": PHONE}, "head_request"),
        ("GET", {}, "no_user_agent"),
        ("GET", {"user-agent": PHONE, "sec-purpose": "prefetch;prerender"}, "prefetch"),
        ("GET", {"user-agent": "Googlebot/2.1"}, "machine_agent"),
        ("GET", {"user-agent": "WhatsApp/2.23"}, "machine_agent"),
        ("GET", {"user-agent": "curl/8.0"}, "machine_agent"),
    ],
)
def test_machines_are_told_from_people(
    method: str, headers: dict[str, str], reason: str | None
) -> None:
    """Previews, scanners and prefetches never count as a person's click."""
    assert machine_reason(method, headers) == reason


GOOD = {"conversion_id": "c1", "goal": "purchase", "currency": "CNY", "value_minor": 900}


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"value_minor": -1}, "value_minor"),
        ({"value_minor": 10**13}, "value_minor"),
        ({"currency": "yuan"}, "currency"),
        ({"conversion_id": ""}, "conversion_id"),
        ({"valu_minor": 3}, "valu_minor"),
    ],
)
def test_a_wrong_body_is_told_by_field(change: dict[str, object], rule: str) -> None:
    """The shop's developer reads which field broke which rule."""
    with pytest.raises(ValueError, match=rule):
        read_posted(json.dumps([{**GOOD, **change}]).encode())


@given(st.binary(max_size=200))
def test_no_body_makes_the_reader_raise_anything_else(body: bytes) -> None:
    """Whatever is posted, there is a list or a sentence."""
    try:
        told = f"body: {len(read_posted(body))} conversions"
    except ValueError as error:
        told = str(error)
    assert told.startswith("body: ")


def test_the_same_conversion_is_the_same_fact() -> None:
    """Posting again makes no second conversion."""
    (posted,) = read_posted(json.dumps(GOOD).encode())
    events = {recorded(posted, subject="k1.x", now_ms=now).event_id for now in (1, 2)}
    assert events == {"conversion/c1"}


def test_a_time_in_the_future_is_refused() -> None:
    """One wrong clock must not end everybody's window."""
    posted = Posted(conversion_id="c", goal="g", currency="CNY", occurred_at_ms=10**13)
    with pytest.raises(ValueError, match="future"):
        recorded(posted, subject="k1.x", now_ms=10**12)
