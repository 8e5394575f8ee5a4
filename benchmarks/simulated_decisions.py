"""Simulated tests that lead to a decision: how often it is right, and what it costs."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from fractions import Fraction

import numpy as np

from benchmarks.simulated_looks import ALLOWANCE, Outcome, at_least, at_most
from pipeline.stats import (
    AdjustedResult,
    DifferenceResult,
    GuardrailResult,
    MeanSummary,
    PairSummary,
    check_guardrail,
    compare_adjusted_means,
    compare_means,
    compare_proportions,
    compare_with_control,
    size_proportions,
    update_shares,
)

Shares = dict[str, float]
Matured = Mapping[str, MeanSummary]


def planned_power(
    runs: int, draw: np.random.Generator, size: Callable[[float, float], int] = size_proportions
) -> Outcome:
    """A test of the planned size with a true effect of the MDE ships it in 80 % of tests."""
    n = size(0.02, 0.01)
    pairs = draw.binomial(n, [0.02, 0.03], (runs, 2)).tolist()
    hits = sum(
        found.pvalue < 0.05 and found.effect_size > 0
        for found in (compare_proportions((a, n), (b, n)) for a, b in pairs)
    )
    return at_least(hits, runs, 0.8)


def rule_of_thumb(base: float, effect: float) -> int:
    """16·variance/δ², which some pages recommend."""
    return math.ceil(16 * base * (1 - base) / effect**2)


CORRELATION = 0.7
Adjust = Callable[[PairSummary, PairSummary], AdjustedResult]


def adjusted_sample(draw: np.random.Generator, people: int) -> PairSummary:
    """Outcome and past of one arm, correlated."""
    past = draw.normal(0, 1000, people)
    noise = draw.normal(0, 1000 * math.sqrt(1 - CORRELATION**2), people)
    outcome = CORRELATION * past + noise
    return PairSummary.from_values(
        zip(outcome.round().astype(int).tolist(), past.round().astype(int).tolist(), strict=True)
    )


def cuped_unbiased(
    runs: int, draw: np.random.Generator, adjust: Adjust = compare_adjusted_means
) -> Outcome:
    """A/A: the adjusted effects scatter around 0 as little as their standard error says."""
    effects = [
        adjust(adjusted_sample(draw, 200), adjusted_sample(draw, 200)).effect_size
        for _ in range(runs)
    ]
    mean, error = float(np.mean(effects)), float(np.std(effects, ddof=1)) / math.sqrt(runs)
    expected = 1000 * math.sqrt((1 - CORRELATION**2) * 2 / 200)
    is_narrow = abs(np.std(effects, ddof=1) / expected - 1) < ALLOWANCE / math.sqrt(2 * runs) + 0.01
    passed = abs(mean) <= ALLOWANCE * error and bool(is_narrow)
    return Outcome(mean, error, "0, with the promised spread", passed)


def cuped_variance(
    runs: int, draw: np.random.Generator, adjust: Adjust = compare_adjusted_means
) -> Outcome:
    """The variance falls by the factor 1 − corr² = 0.51."""
    ratios = [
        adjust(adjusted_sample(draw, 400), adjusted_sample(draw, 400)).variance_ratio
        for _ in range(runs)
    ]
    mean, error = float(np.mean(ratios)), float(np.std(ratios, ddof=1)) / math.sqrt(runs)
    expected = 1 - CORRELATION**2
    return Outcome(
        mean, error, f"{expected:.2f}", abs(mean - expected) <= ALLOWANCE * error + 0.005
    )


def wrong_sign(control: PairSummary, treatment: PairSummary) -> AdjustedResult:
    """Adds what should be taken away."""
    flipped = [
        PairSummary(arm.n, arm.y, -arm.x, arm.yy, arm.xy, arm.xx) for arm in (control, treatment)
    ]
    return compare_adjusted_means(*flipped)


def unadjusted_money(control: PairSummary, treatment: PairSummary) -> AdjustedResult:
    """Ignores the past."""
    return AdjustedResult(*compare_means(control.outcome, treatment.outcome), 0.0, 1.0)


RATES: Shares = {"A": 0.05, "B": 0.06, "C": 0.08}
BATCHES, BATCH = 40, 600
FLOOR, HOLDOUT = 0.05, 0.1
Update = Callable[[Matured, Shares], Shares]


def thompson(matured: Matured, current: Shares) -> Shares:
    """The product's bandit."""
    return update_shares(matured, current, minimum_n=200, floor=FLOOR, holdout=HOLDOUT)


def uniform(matured: Matured, current: Shares) -> Shares:
    """Shares that never move."""
    del matured
    return current


def greedy(matured: Matured, current: Shares) -> Shares:
    """All to the best so far."""
    if any(arm.n < 200 for arm in matured.values()):
        return current
    best = max(matured, key=lambda arm: matured[arm].mean)
    return {arm: (1 - HOLDOUT) * (arm == best) for arm in matured}


def campaign_regret(
    draw: np.random.Generator, update: Update, *, delay: int = 0
) -> tuple[float, float]:
    """Conversions lost to arms that were not the best, and the smallest share that was given."""
    arms = list(RATES)
    shares: Shares = dict.fromkeys(arms, (1 - HOLDOUT) / len(arms))
    batches: list[dict[str, tuple[int, int]]] = []
    regret, smallest = 0.0, 1.0
    for _ in range(BATCHES):
        weights = np.array([shares[arm] for arm in arms]) / (1 - HOLDOUT)
        sizes = draw.multinomial(round(BATCH * (1 - HOLDOUT)), weights).tolist()
        hits = {a: (int(draw.binomial(n, RATES[a])), n) for a, n in zip(arms, sizes, strict=True)}
        batches.append(hits)
        regret += sum(n * (max(RATES.values()) - RATES[arm]) for arm, (_, n) in hits.items())
        ready = batches[: len(batches) - delay]
        matured = {arm: _binary([batch[arm] for batch in ready]) for arm in arms}
        shares = update(matured, shares)
        smallest = min(smallest, *shares.values())
    return regret, smallest


def _binary(counts: list[tuple[int, int]]) -> MeanSummary:
    hits, n = sum(h for h, _ in counts), sum(m for _, m in counts)
    return MeanSummary(n, Fraction(hits), Fraction(hits))


def thompson_regret(runs: int, draw: np.random.Generator, update: Update = thompson) -> Outcome:
    """Regret is surely below that of equal shares."""
    gains = []
    for _ in range(runs):
        own, _ = campaign_regret(draw, update)
        equal, _ = campaign_regret(draw, uniform)
        gains.append(own / equal)
    mean, error = float(np.mean(gains)), float(np.std(gains, ddof=1)) / math.sqrt(runs)
    return Outcome(mean, error, "< 1 of uniform", mean + ALLOWANCE * error < 1)


def thompson_delay(runs: int, draw: np.random.Generator, update: Update = thompson) -> Outcome:
    """Regret grows with the delay of outcomes: 15 batches against none."""
    gaps = [
        campaign_regret(draw, update, delay=15)[0] - campaign_regret(draw, update)[0]
        for _ in range(runs)
    ]
    mean, error = float(np.mean(gaps)), float(np.std(gaps, ddof=1)) / math.sqrt(runs)
    return Outcome(mean, error, "> 0 conversions", mean - ALLOWANCE * error > 0)


def thompson_floor(runs: int, draw: np.random.Generator, update: Update = thompson) -> Outcome:
    """No arm ever gets less than the floor of the traffic beside the holdout."""
    smallest = min(campaign_regret(draw, update)[1] for _ in range(runs))
    floor = FLOOR * (1 - HOLDOUT)
    return Outcome(smallest, 0.0, f"≥ {floor:g} always", smallest >= floor - 1e-12)


MARGIN = 0.002
Guard = Callable[[tuple[int, int], tuple[int, int]], GuardrailResult]


def guard(control: tuple[int, int], treatment: tuple[int, int]) -> GuardrailResult:
    """The product's check of opt-outs."""
    return check_guardrail(control, treatment, margin=MARGIN)


def point_estimate(control: tuple[int, int], treatment: tuple[int, int]) -> GuardrailResult:
    """Looks at the point instead of the bound."""
    found = check_guardrail(control, treatment, margin=MARGIN)
    return found._replace(status="ok" if found.effect_size < MARGIN else "bad")


def harmful_ships(runs: int, draw: np.random.Generator, check: Guard = guard) -> Outcome:
    """A treatment that raises opt-outs by the margin passes in at most 5 %."""
    n = 12_316
    pairs = draw.binomial(n, [0.004, 0.004 + MARGIN], (runs, 2)).tolist()
    return at_most(sum(check((a, n), (b, n)).status == "ok" for a, b in pairs), runs, 0.05)


def harmless_ships(runs: int, draw: np.random.Generator, check: Guard = guard) -> Outcome:
    """At the planned size a harmless treatment passes in 80 %, less the skew of rare events."""
    n = 12_316
    pairs = draw.binomial(n, 0.004, (runs, 2)).tolist()
    return at_least(sum(check((a, n), (b, n)).status == "ok" for a, b in pairs), runs, 0.78)


def never_ok(control: tuple[int, int], treatment: tuple[int, int]) -> GuardrailResult:
    """Asks for the opposite sign."""
    return check_guardrail(control, treatment, margin=MARGIN / 100)


ManyArms = Callable[[MeanSummary, list[MeanSummary]], list[DifferenceResult]]


def dunnett(control: MeanSummary, treatments: list[MeanSummary]) -> list[DifferenceResult]:
    """The product's comparison of several arms."""
    return compare_with_control(control, treatments)


def unadjusted(control: MeanSummary, treatments: list[MeanSummary]) -> list[DifferenceResult]:
    """Each arm by itself."""
    return [compare_means(control, arm) for arm in treatments]


def false_winners(runs: int, draw: np.random.Generator, compare: ManyArms = dunnett) -> Outcome:
    """Six equal arms: any of them is called a winner or loser in at most 5 %."""
    hits = 0
    for values in draw.normal(0, 1, (runs, 6, 50)):
        arms = [
            MeanSummary.from_moments(50, float(arm.mean()), float(arm.var(ddof=1)))
            for arm in values
        ]
        hits += any(found.pvalue < 0.05 for found in compare(arms[0], arms[1:]))
    return at_most(hits, runs, 0.05)
