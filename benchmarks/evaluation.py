"""Evaluating campaigns: one large one with segments, a thousand usual ones, tea-tasting beside."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

import tea_tasting
from tea_tasting.aggr import Aggregates

from benchmarks.figures import Benchmark, Figure, Measure, Setup, Values, must_equal
from pipeline.evaluate import campaign_rows, evaluate
from pipeline.rows import Cohort, Counters, JoinHealth, Moments
from pipeline.stats import Counts, compare_proportions, compare_segments
from schemas.events import HOLDOUT, CampaignDefined, Costs, Goal, Plan, VariantDefinition

VARIANTS: Final = 10
METRICS: Final = ("converted", "clicked", "replied", "opted_out", "delivered", "attributed")
SEGMENTS: Final = 20
CAMPAIGNS: Final = 1000
PEOPLE: Final = 20_000
_WINDOW_MS: Final = 3_600_000
_LATE_MS: Final = 100 * _WINDOW_MS
_HEALTH: Final = JoinHealth(campaign_id="c", receipts=1)


def made_campaign(variants: int, seed: int) -> tuple[CampaignDefined, list[Cohort]]:
    """A campaign with a cohort per arm and segment."""
    draw = random.Random(seed)
    names = [f"v{number}" for number in range(variants)]
    definition = CampaignDefined(
        event_id="c/1",
        occurred_at_ms=0,
        campaign_id="c",
        plan_version=1,
        plan_hash="h",
        salt="c",
        purpose="promotional",
        language="en",
        connection="c",
        source_addr="1069",
        variants=tuple(
            VariantDefinition(variant_id=name, share=1 / variants, template="x") for name in names
        ),
        control="v0",
        holdout=0.1,
        goal=Goal(metric="profit_per_recipient", window_ms=_WINDOW_MS, minimum_effect=3),
        costs=Costs(currency="CNY", price_per_segment_micro=45_000, margin=0.3),
        plan=Plan(method="sequential", expected_n=PEOPLE * variants),
        guardrails={"opt_out_rate": 0.01},
        audience_size=PEOPLE * variants,
    )
    cohorts = [_cohort(draw, name, f"s{n}") for name in [*names, HOLDOUT] for n in range(SEGMENTS)]
    whole = [_cohort(draw, name, "") for name in [*names, HOLDOUT]]
    return definition, cohorts + whole


def _cohort(draw: random.Random, arm: str, segment: str) -> Cohort:
    people = PEOPLE // SEGMENTS if segment else PEOPLE
    converted = draw.randrange(people // 50, people // 20)
    clicked = draw.randrange(people // 20, people // 10)
    revenue = converted * 8000
    return Cohort(
        campaign_id="c",
        variant_id=arm,
        cohort_start_ms=0,
        cohort_width_ms=60_000,
        dimension="segment" if segment else "",
        value=segment,
        counters=Counters(
            assigned=people,
            submitted=people,
            accepted=people,
            delivered=people - people // 20,
            clicked=clicked,
            replied=people // 100,
            opted_out=draw.randrange(people // 400, people // 200),
            converted=converted,
            attributed=converted // 2,
            segments=people,
            cost_micro=people * 45_000,
            revenue_minor=revenue,
        ),
        moments=Moments(
            sum_rr=converted * 8000**2,
            sum_rc=revenue * 45_000,
            sum_cc=people * 45_000**2,
            sum_k=revenue,
            sum_kk=converted * 8000**2,
            sum_kc=revenue * 45_000,
        ),
    )


@contextmanager
def prepare(setup: Setup) -> Iterator[Measure]:
    """Make the campaigns once; evaluate them in every run."""
    large = made_campaign(VARIANTS, 1)
    usual = [made_campaign(2, number) for number in range(setup.size(CAMPAIGNS))]

    def measure(_number: int) -> Values:
        ours, found = _timed(lambda: _full(*large))
        theirs, expected = _timed(lambda: _tea(large[1]))
        must_equal("compared", found, expected)
        many, _ = _timed(lambda: sum(_evaluate(*campaign) for campaign in usual))
        return {
            "one large campaign, ms": ours * 1000,
            "tea-tasting, the same comparisons, ms": theirs * 1000,
            "tea-tasting / ours": theirs / ours,
            "1,000 campaigns, s": many * CAMPAIGNS / len(usual),
        }

    yield measure


def _full(definition: CampaignDefined, cohorts: list[Cohort]) -> int:
    """Everything the page shows, and every metric in every segment."""
    _evaluate(definition, cohorts)
    segments = list(_by_segment(cohorts).values())
    compared = 0
    for variant in range(1, VARIANTS):
        for metric in METRICS:
            pairs = [_pair(arms, metric, variant) for arms in segments]
            found = [compare_proportions(*pair) for pair in pairs]
            compare_segments(
                [each.effect_size for each in found],
                [_error(*pair) for pair in pairs],
                [each.pvalue for each in found],
            )
            compared += len(found)
    return compared


def _pair(arms: dict[str, Counters], metric: str, variant: int) -> tuple[Counts, Counts]:
    control, treatment = arms["v0"], arms[f"v{variant}"]
    return (
        (getattr(control, metric), control.assigned),
        (getattr(treatment, metric), treatment.assigned),
    )


def _error(*counts: Counts) -> float:
    return math.sqrt(sum(hits * (n - hits) / n**3 for hits, n in counts))


def _tea(cohorts: list[Cohort]) -> int:
    """The same differences of proportions with tea-tasting, from aggregates too."""
    compared = 0
    for arms in _by_segment(cohorts).values():
        for variant in range(1, VARIANTS):
            for metric in METRICS:
                control, treatment = (_aggregates(*p) for p in _pair(arms, metric, variant))
                tea_tasting.Mean("x").analyze_aggregates(control, treatment)
                compared += 1
    return compared


def _aggregates(hits: int, n: int) -> Aggregates:
    share = hits / n
    return Aggregates(count_=n, mean_={"x": share}, var_={"x": share * (1 - share) * n / (n - 1)})


def _by_segment(cohorts: list[Cohort]) -> dict[str, dict[str, Counters]]:
    found: dict[str, dict[str, Counters]] = {}
    for cohort in cohorts:
        if cohort.value:
            found.setdefault(cohort.value, {})[cohort.variant_id] = cohort.counters
    return found


def _evaluate(definition: CampaignDefined, cohorts: list[Cohort]) -> int:
    campaign, variants = campaign_rows(definition)
    return len(evaluate(campaign, variants, cohorts, _HEALTH, _LATE_MS).comparisons)


def _timed(work: Callable[[], int]) -> tuple[float, int]:
    started = time.process_time()
    found = work()
    return time.process_time() - started, found


EVALUATION: Final = Benchmark(
    "evaluation",
    "verdicts on large and on many campaigns, tea-tasting beside",
    (
        Figure("one large campaign, ms", "ms CPU"),
        Figure("tea-tasting, the same comparisons, ms", "ms CPU"),
        Figure("tea-tasting / ours", "×", at_least=1.0),
        Figure("1,000 campaigns, s", "s CPU"),
    ),
    prepare,
)
