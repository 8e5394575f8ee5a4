"""The fuzzer and the codec benchmark work; a short run of each."""

from __future__ import annotations

import pytest

from benchmarks import codec, fuzz


def test_some_thousand_mutated_pdus_raise_nothing_undocumented() -> None:
    """The long run is `python -m benchmarks.fuzz`; this one reaches every kind of outcome."""
    outcomes, culprit = fuzz.run(3000, seed=3)
    assert culprit is None
    assert set(outcomes) == {"framing lost", "unreadable", "read", "receipts"}


def test_the_fuzzer_finds_a_reader_that_raises(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It reports the octets that did it."""

    def broken(data: bytes) -> None:
        if len(data) > 100:
            raise IndexError("out of range")

    monkeypatch.setattr(fuzz, "describe", broken)
    _, culprit = fuzz.run(3000, seed=3)
    assert culprit is not None
    assert len(culprit) > 100
    assert "IndexError" in capsys.readouterr().err


def test_the_codec_benchmark_measures_every_case() -> None:
    """Rates are positive; how high they are is not a test's business."""
    results = codec.measure(0.001)
    assert len(results) == 5
    assert all(0 < found["median"] <= found["best"] for found in results.values())
