"""Simulation gates of the statistics: `python -m benchmarks.gates [--runs N] [--seed N]`.

Each gate is run with the product's method, which must pass, and with a method that is broken on
purpose, which must not: a gate that cannot fail proves nothing.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from typing import Final, NamedTuple

import numpy as np

from benchmarks import simulated_decisions as decisions
from benchmarks import simulated_families as families
from benchmarks import simulated_looks as looks
from benchmarks import simulated_verdicts as verdicts
from benchmarks.simulated_looks import Outcome
from pipeline.stats import compare_means, compare_proportions

Simulation = Callable[[int, np.random.Generator], Outcome]


class Gate(NamedTuple):
    """One promise."""

    name: str
    simulate: Simulation
    broken: Simulation
    """The same simulation with a method that must not pass."""
    short: int
    """Runs in CI."""
    long: int
    """Runs of `make gates`."""


def _gate(
    simulate: Callable[..., Outcome], broken: Callable[..., object], short: int, long: int
) -> Gate:
    name = simulate.__name__
    return Gate(name, simulate, lambda runs, draw: simulate(runs, draw, broken), short, long)


GATES: Final = (
    _gate(looks.quiet_peeks, compare_proportions, 400, 20_000),
    _gate(looks.naive_peeks, looks.sequential, 400, 20_000),
    _gate(looks.quiet_rare_peeks, compare_proportions, 150, 2_000),
    _gate(looks.quiet_money, compare_means, 150, 4_000),
    _gate(looks.covered_always, looks.fixed_interval, 100, 2_000),
    _gate(looks.covered_difference, compare_proportions, 300, 20_000),
    _gate(looks.fair_split, lambda counts: looks.split_once(counts) / 3, 20_000, 400_000),
    _gate(looks.broken_split, looks.split_live, 2_000, 50_000),
    _gate(looks.fair_split_live, looks.split_once, 600, 20_000),
    _gate(looks.planned_looks, lambda fractions: [1.96] * len(fractions), 20_000, 1_000_000),
    _gate(decisions.planned_power, decisions.rule_of_thumb, 4_000, 100_000),
    _gate(decisions.cuped_unbiased, decisions.wrong_sign, 200, 4_000),
    _gate(decisions.cuped_variance, decisions.unadjusted_money, 40, 2_000),
    _gate(decisions.thompson_regret, decisions.uniform, 200, 2_000),
    _gate(decisions.thompson_delay, decisions.uniform, 200, 2_000),
    _gate(decisions.thompson_floor, decisions.greedy, 200, 2_000),
    _gate(decisions.harmful_ships, decisions.point_estimate, 2_000, 40_000),
    _gate(decisions.harmless_ships, decisions.never_ok, 1_000, 40_000),
    _gate(decisions.false_winners, decisions.unadjusted, 300, 5_000),
    _gate(families.holm_once, families.unadjusted, 600, 20_000),
    _gate(families.holm_always, compare_proportions, 60, 2_000),
    _gate(families.cuped_always, compare_means, 60, 2_000),
    _gate(families.equal_segments, families.largest_gap, 1_000, 40_000),
    _gate(verdicts.harm_at_the_limit, verdicts.unguarded, 60, 2_000),
    _gate(verdicts.planned_ships, verdicts.undecided, 400, 20_000),
)


def run_gate(gate: Gate, runs: int, seed: int, *, broken: bool = False) -> Outcome:
    """Run one gate with its own stream of random numbers."""
    simulate = gate.broken if broken else gate.simulate
    return simulate(runs, np.random.default_rng([seed, GATES.index(gate)]))


def describe(gate: Gate, runs: int, outcome: Outcome) -> str:
    """A line with the number of runs and the Monte Carlo error."""
    word = "passes" if outcome.passed else "FAILS"
    numbers = f"{outcome.observed:.4f} ± {outcome.error:.4f} (must be {outcome.rule})"
    return f"{gate.name:<20} {word:<7} {numbers:<55} {runs:>9,} runs"


def main() -> int:
    """Run every gate at full length; 1 if a right method fails or a broken one passes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, help="runs per gate instead of its own number")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", help="one gate by name")
    given = parser.parse_args()
    faults = 0
    for gate in GATES:
        if given.only and gate.name != given.only:
            continue
        runs, started = given.runs or gate.long, time.perf_counter()
        outcome = run_gate(gate, runs, given.seed)
        # the broken method is far off: the short form shows it as well
        wrong = run_gate(gate, min(runs, gate.short), given.seed, broken=True)
        seconds = time.perf_counter() - started
        caught = "broken one caught" if not wrong.passed else "BROKEN ONE PASSES"
        print(f"{describe(gate, runs, outcome)}  {caught} ({wrong.observed:.4f})  {seconds:.1f} s")
        faults += (not outcome.passed) + wrong.passed
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
