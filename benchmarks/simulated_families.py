"""Simulated tests with several treatments, a covariate or segments: how often they lie."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction

import numpy as np

from benchmarks.simulated_looks import PEEKS, Counts, Outcome, at_most
from pipeline.stats import (
    DifferenceResult,
    MeanSummary,
    PairSummary,
    adjust_means,
    adjust_pvalues,
    compare_proportions,
    compare_segments,
    watch_means,
    watch_proportions,
)

TREATMENTS = 4
Adjust = Callable[[list[float]], list[float]]
Compare = Callable[[Counts, Counts], DifferenceResult]


def holm(pvalues: list[float]) -> list[float]:
    """The default of a plan."""
    return adjust_pvalues(pvalues)


def unadjusted(pvalues: list[float]) -> list[float]:
    """Each text by itself."""
    return pvalues


def holm_once(runs: int, draw: np.random.Generator, adjust: Adjust = holm) -> Outcome:
    """Four equal texts against the control, once: any is named in at most 5 %."""
    n = 4000
    hits = 0
    for control, *rest in draw.binomial(n, 0.05, (runs, 1 + TREATMENTS)).tolist():
        found = [compare_proportions((control, n), (h, n), method="score").pvalue for h in rest]
        hits += min(adjust(found)) <= 0.05
    return at_most(hits, runs, 0.05)


def sequence(control: Counts, treatment: Counts) -> DifferenceResult:
    """The product's path while data arrive, at the level of one of four treatments."""
    level = 1 - 0.05 / TREATMENTS
    return watch_proportions(control, treatment, expected_n=40_000, confidence_level=level)


def holm_always(runs: int, draw: np.random.Generator, compare: Compare = sequence) -> Outcome:
    """The same at 50 peeks with Holm at each: any is named at any look in at most 5 %."""
    hits = 0
    for _ in range(runs):
        grown = np.cumsum(draw.binomial(400, 0.1, (1 + TREATMENTS, PEEKS)), axis=1).T.tolist()
        hits += any(
            min(holm([compare((control, n), (h, n)).pvalue for h in rest])) <= 0.05
            for n, (control, *rest) in zip(range(400, 400 * PEEKS + 1, 400), grown, strict=True)
        )
    return at_most(hits, runs, 0.05)


CompareMeans = Callable[[MeanSummary, MeanSummary], DifferenceResult]


def sequential_means(control: MeanSummary, treatment: MeanSummary) -> DifferenceResult:
    """The product's path for money while data arrive."""
    return watch_means(control, treatment, expected_n=20_000)


def cuped_always(
    runs: int, draw: np.random.Generator, compare: CompareMeans = sequential_means
) -> Outcome:
    """A/A on revenue that goes with the past, adjusted at each of 50 peeks: at most 5 % wrong."""
    hits = 0
    for _ in range(runs):
        past = draw.lognormal(5, 1, (2, PEEKS, 200))
        outcome = (past + draw.lognormal(5, 1, past.shape)) * (draw.random(past.shape) < 0.3)
        x, y = past.round(), outcome.round()
        sums = [np.cumsum(v.sum(axis=2), axis=1) for v in (y, x, y * y, x * y, x * x)]
        hits += any(
            compare(*adjust_means(*(_pair(sums, arm, look) for arm in (0, 1)))[:2]).pvalue < 0.05
            for look in range(PEEKS)
        )
    return at_most(hits, runs, 0.05)


def _pair(sums: list[np.ndarray], arm: int, look: int) -> PairSummary:  # type: ignore[type-arg]
    return PairSummary(200 * (look + 1), *(Fraction(int(each[arm, look])) for each in sums))


SEGMENTS, SMALLEST = 8, 25
"""Events per arm and segment from which the product compares it (`pipeline.segments`)."""
Spread = Callable[[list[float], list[float]], float]


def cochran(effects: list[float], errors: list[float]) -> float:
    """The product's test of equal effects."""
    return compare_segments(effects, errors, [1.0] * len(effects)).heterogeneity_pvalue


def largest_gap(effects: list[float], errors: list[float]) -> float:
    """Best against worst segment, as if nobody had chosen them."""
    best, worst = effects.index(max(effects)), effects.index(min(effects))
    z = (effects[best] - effects[worst]) / math.hypot(errors[best], errors[worst])
    return math.erfc(z / math.sqrt(2))


def equal_segments(runs: int, draw: np.random.Generator, test: Spread = cochran) -> Outcome:
    """Eight segments of unlike rates, the smallest allowed, one effect: differ in at most 5 %."""
    rates = np.linspace(0.01, 0.05, SEGMENTS)
    sizes = np.ceil(1.3 * SMALLEST / rates).astype(int)
    hits = 0
    for arms in draw.binomial(sizes, [rates, rates], (runs, 2, SEGMENTS)):
        shares = arms / sizes
        errors = np.sqrt((shares * (1 - shares) / sizes).sum(axis=0))
        hits += test((shares[1] - shares[0]).tolist(), errors.tolist()) <= 0.05
    return at_most(hits, runs, 0.05)
