"""The release gates of the statistics in short, with fixed seeds; `make gates` is the long form."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from benchmarks.gates import GATES, Gate, describe, run_gate

SEED = 1
"""Simulated once, then fixed: a right method fails a gate once in about 700 seeds."""


@pytest.mark.parametrize("gate", GATES, ids=lambda gate: gate.name)
def test_the_method_keeps_its_promise(
    gate: Gate, record_property: Callable[[str, object], None]
) -> None:
    """The product's method passes; runs and Monte Carlo error are recorded and shown on failure."""
    outcome = run_gate(gate, gate.short, SEED)
    line = describe(gate, gate.short, outcome)
    record_property("gate", line)
    assert outcome.passed, line


@pytest.mark.parametrize("gate", GATES, ids=lambda gate: gate.name)
def test_a_broken_method_is_caught(gate: Gate) -> None:
    """The same gate does not let a method pass that is broken on purpose."""
    outcome = run_gate(gate, gate.short, SEED, broken=True)
    assert not outcome.passed, describe(gate, gate.short, outcome)
