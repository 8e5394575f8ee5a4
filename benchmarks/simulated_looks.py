"""Simulated tests that are looked at many times: how often they lie."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from pipeline.stats import (
    DifferenceResult,
    EstimateResult,
    MeanSummary,
    check_sample_ratio,
    compare_proportions,
    estimate_proportion,
    find_boundaries,
    watch_means,
    watch_proportions,
    watch_rare_proportion,
    watch_rare_proportions,
    watch_sample_ratio,
)

ALLOWANCE = 3.0
"""Monte Carlo errors: a right method fails a gate once in about 700 runs."""
PEEKS = 50
Counts = tuple[int, int]
Compare = Callable[[Counts, Counts], DifferenceResult]
CompareMeans = Callable[[MeanSummary, MeanSummary], DifferenceResult]


class Outcome(NamedTuple):
    """What a gate saw."""

    observed: float
    error: float
    """Monte Carlo standard error of `observed`."""
    rule: str
    passed: bool


def at_most(hits: int, runs: int, limit: float) -> Outcome:
    """A share that must not be above a limit."""
    share, error = hits / runs, math.sqrt(limit * (1 - limit) / runs)
    return Outcome(share, error, f"≤ {limit:g}", share <= limit + ALLOWANCE * error)


def at_least(hits: int, runs: int, limit: float) -> Outcome:
    """A share that must not be below a limit."""
    share, error = hits / runs, math.sqrt(limit * (1 - limit) / runs)
    return Outcome(share, error, f"≥ {limit:g}", share >= limit - ALLOWANCE * error)


def sequential(control: Counts, treatment: Counts) -> DifferenceResult:
    """The product's path while data arrive."""
    return watch_proportions(control, treatment, expected_n=40_000)


def rare(control: Counts, treatment: Counts) -> DifferenceResult:
    """The product's path for rare events."""
    return watch_rare_proportions(control, treatment, expected_rate=0.004, expected_n=20_000)


def sequential_means(control: MeanSummary, treatment: MeanSummary) -> DifferenceResult:
    """The product's path for money while data arrive."""
    return watch_means(control, treatment, expected_n=40_000)


def peeking_rate(
    runs: int, draw: np.random.Generator, compare: Compare, *, rate: float = 0.1, n: int = 400
) -> int:
    """A/A tests that are called significant at any of 50 peeks."""
    hits = 0
    for _ in range(runs):
        grown = np.cumsum(draw.binomial(n, rate, (2, PEEKS)), axis=1).tolist()
        hits += any(
            compare((a, n * peek), (b, n * peek)).pvalue < 0.05
            for peek, (a, b) in enumerate(zip(*grown, strict=True), 1)
        )
    return hits


def quiet_peeks(runs: int, draw: np.random.Generator, compare: Compare = sequential) -> Outcome:
    """A/A, 50 peeks: the sequence is wrong in at most 5 % of tests."""
    return at_most(peeking_rate(runs, draw, compare), runs, 0.05)


def quiet_rare_peeks(runs: int, draw: np.random.Generator, compare: Compare = rare) -> Outcome:
    """A/A at a rate of 0.4 %, 50 peeks: the rare sequence is wrong in at most 5 % of tests."""
    return at_most(peeking_rate(runs, draw, compare, rate=0.004, n=200), runs, 0.05)


def naive_peeks(
    runs: int, draw: np.random.Generator, compare: Compare = compare_proportions
) -> Outcome:
    """A/A, 50 peeks of the fixed test: wrong in 32 % (Armitage et al. 1969: 0.320)."""
    share = peeking_rate(runs, draw, compare) / runs
    error = math.sqrt(0.32 * 0.68 / runs)
    return Outcome(share, error, "0.321 ± 0.02", abs(share - 0.321) <= 0.02 + ALLOWANCE * error)


def quiet_money(
    runs: int, draw: np.random.Generator, compare: CompareMeans = sequential_means
) -> Outcome:
    """A/A on revenue (95 % nothing, the rest log-normal), 50 peeks: at most 5 % wrong."""
    hits = 0
    for _ in range(runs):
        orders = draw.lognormal(6, 1, (2, PEEKS, 400)) * (draw.random((2, PEEKS, 400)) < 0.05)
        sums = np.cumsum(orders.sum(axis=2), axis=1)
        squares = np.cumsum((orders**2).sum(axis=2), axis=1)
        hits += any(
            compare(*(_summary(400 * (k + 1), sums[i, k], squares[i, k]) for i in (0, 1))).pvalue
            < 0.05
            for k in range(PEEKS)
        )
    return at_most(hits, runs, 0.05)


def _summary(n: int, total: float, squares: float) -> MeanSummary:
    return MeanSummary.from_moments(n, total / n, (squares - total * total / n) / (n - 1))


def rare_sequence(successes: int, trials: int, rate: float) -> EstimateResult:
    """The product's interval of one rare rate."""
    return watch_rare_proportion(successes, trials, expected_rate=rate, expected_n=10_000)


def fixed_interval(successes: int, trials: int, rate: float) -> EstimateResult:
    """An interval for one look; `rate` is not used."""
    del rate
    return estimate_proportion(successes, trials)


def covered_always(
    runs: int,
    draw: np.random.Generator,
    estimate: Callable[[int, int, float], EstimateResult] = rare_sequence,
) -> Outcome:
    """Base rates 0.4 % and 2 %: the truth inside at every n to 20,000, in 95 % of tests.

    Between two successes the interval only falls, so it is enough to look right after and
    right before each of them.
    """
    hits = 0
    for run in range(runs):
        rate = (0.004, 0.02)[run % 2]
        places = np.cumsum(draw.geometric(rate, int(20_000 * rate * 2)))
        looks = [(k, int(n)) for k, n in enumerate(places[places <= 20_000], 1)]
        looks += [(k - 1, n - 1) for k, n in looks] + [(len(looks), 20_000)]
        bounds = (estimate(k, n, rate) for k, n in looks if n)
        hits += all(found.ci_lower <= rate <= found.ci_upper for found in bounds)
    return at_least(hits, runs, 0.95)


def covered_difference(
    runs: int, draw: np.random.Generator, compare: Compare = sequential
) -> Outcome:
    """Rates 2 % and 3 %: the true difference inside at all of 50 peeks, in 95 % of tests."""
    hits = 0
    for _ in range(runs):
        grown = np.cumsum(draw.binomial(400, [[0.02], [0.03]], (2, PEEKS)), axis=1).tolist()
        found = (
            compare((a, 400 * peek), (b, 400 * peek))
            for peek, (a, b) in enumerate(zip(*grown, strict=True), 1)
        )
        hits += all(not r.ci_lower > 0.01 and not r.ci_upper < 0.01 for r in found)
    return at_least(hits, runs, 0.95)


HALVES = {"A": 0.5, "B": 0.5}
Split = Callable[[dict[str, int]], float]


def split_once(counts: dict[str, int]) -> float:
    """The product's test of a finished split."""
    return check_sample_ratio(counts, HALVES)


def split_live(counts: dict[str, int]) -> float:
    """The product's test of a growing split."""
    return watch_sample_ratio(counts, HALVES).pvalue


def fair_split(runs: int, draw: np.random.Generator, test: Split = split_once) -> Outcome:
    """A fair split of 100,000 raises the alarm (p < 0.001) in at most 0.1 %."""
    counts = draw.binomial(100_000, 0.5, runs).tolist()
    hits = sum(test({"A": a, "B": 100_000 - a}) < 0.001 for a in counts)
    return at_most(hits, runs, 0.001)


def broken_split(runs: int, draw: np.random.Generator, test: Split = split_once) -> Outcome:
    """A true 50.2/49.8 split of 1.6 million is found in about 96 %."""
    counts = draw.binomial(1_600_000, 0.502, runs).tolist()
    share = sum(test({"A": a, "B": 1_600_000 - a}) < 0.001 for a in counts) / runs
    error = math.sqrt(0.96 * 0.04 / runs)
    return Outcome(share, error, "0.96 ± 0.02", abs(share - 0.96) <= 0.02 + ALLOWANCE * error)


def fair_split_live(runs: int, draw: np.random.Generator, test: Split = split_live) -> Outcome:
    """A fair split watched 100 times raises the alarm (p < 0.001) at any look in at most 0.1 %."""
    hits = 0
    for grown in np.cumsum(draw.binomial(1000, 0.5, (runs, 100)), axis=1).tolist():
        hits += any(test({"A": a, "B": 1000 * look - a}) < 0.001 for look, a in enumerate(grown, 1))
    return at_most(hits, runs, 0.001)


LOOKS = [0.15, 0.4, 0.55, 0.9, 1.1]


def spending(fractions: list[float]) -> list[float]:
    """The product's boundaries of a few planned looks."""
    return find_boundaries(fractions)


def planned_looks(
    runs: int,
    draw: np.random.Generator,
    boundaries: Callable[[list[float]], list[float]] = spending,
) -> Outcome:
    """Five uneven looks with overrun: the boundaries are crossed by chance in at most 5 %."""
    fractions = np.array(LOOKS)
    steps = np.diff(fractions, prepend=0.0)
    walks = np.cumsum(draw.normal(0, np.sqrt(steps), (runs, len(LOOKS))), axis=1)
    limits = np.array(boundaries(LOOKS)) * np.sqrt(fractions)
    return at_most(int((np.abs(walks) >= limits).any(axis=1).sum()), runs, 0.05)
