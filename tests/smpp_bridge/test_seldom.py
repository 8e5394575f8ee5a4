"""A flood of the same warning."""

from __future__ import annotations

import logging

import pytest

from smpp_bridge.adapters import seldom


def test_a_flood_is_told_once_a_minute_with_its_number(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Each kind at once, then what has come since with the next line."""
    now = [1000.0]
    monkeypatch.setattr(seldom.time, "monotonic", lambda: now[0])
    log = seldom.SeldomLog(logging.getLogger("flood"))
    for _ in range(100):
        log.warning("one", reason="r")
    log.warning("other")
    now[0] += seldom.EVERY_S
    log.warning("one", reason="r")
    found = [(r.getMessage(), r.fields) for r in caplog.records]  # type: ignore[attr-defined]
    assert found == [
        ("one", {"reason": "r", "times": 1}),
        ("other", {"times": 1}),
        ("one", {"reason": "r", "times": 100}),
    ]
