"""Simulated campaigns through the product's own evaluation: how often its verdict is wrong."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec
import numpy as np

from benchmarks.simulated_looks import Outcome, at_least, at_most
from pipeline.evaluate import campaign_rows, evaluate
from pipeline.rows import Cohort, Counters, JoinHealth, Verdict
from pipeline.stats import size_proportions
from schemas.events import CampaignDefined, Costs, Goal, Plan, VariantDefinition

Change = Callable[[CampaignDefined], CampaignDefined]
LOOKS, STEP = 12, 700
BASE, MARGIN, EFFECT = 0.02, 0.01, 0.01
"""Opt-outs pass 50 an arm at the fourth look: the sequence changes its method on the way."""
_LATE_MS: Final = 10**9
_HEALTH: Final = JoinHealth(campaign_id="c")


def as_planned(plan: CampaignDefined) -> CampaignDefined:
    """The product's way."""
    return plan


def unguarded(plan: CampaignDefined) -> CampaignDefined:
    """Forgets the limit of opt-outs."""
    return msgspec.structs.replace(plan, guardrails={})


def undecided(plan: CampaignDefined) -> CampaignDefined:
    """Asks for certainty."""
    return msgspec.structs.replace(plan, plan=msgspec.structs.replace(plan.plan, alpha=1e-6))


def harm_at_the_limit(runs: int, draw: np.random.Generator, change: Change = as_planned) -> Outcome:
    """Opt-outs rise by just the margin: of 12 looks any ships or stops in at most 5 %.

    The text converts better by far, so that only the guardrail is in its way.
    """
    campaign = change(_campaign("sequential", LOOKS * STEP * 2))
    wrong = 0
    for _ in range(runs):
        left = np.cumsum(draw.binomial(STEP, [BASE, BASE + MARGIN], (LOOKS, 2)), axis=0).tolist()
        bought = np.cumsum(draw.binomial(STEP, [0.1, 0.3], (LOOKS, 2)), axis=0).tolist()
        wrong += any(
            _verdict(campaign, STEP * look, hits, gone).verdict in {"ship", "stop"}
            for look, (hits, gone) in enumerate(zip(bought, left, strict=True), 1)
        )
    return at_most(wrong, runs, 0.05)


def planned_ships(runs: int, draw: np.random.Generator, change: Change = as_planned) -> Outcome:
    """A list of the planned size with a true effect of the MDE: the verdict ships it in 80 %."""
    n = size_proportions(BASE, EFFECT)
    campaign = change(_campaign("fixed", 2 * n))
    pairs = draw.binomial(n, [BASE, BASE + EFFECT], (runs, 2)).tolist()
    found = (_verdict(campaign, n, pair, [0, 0]) for pair in pairs)
    hits = sum((verdict.verdict, verdict.variant_id) == ("ship", "B") for verdict in found)
    return at_least(hits, runs, 0.8)


def _campaign(method: str, people: int) -> CampaignDefined:
    return CampaignDefined(
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
            VariantDefinition(variant_id=name, share=0.5, template="x") for name in "AB"
        ),
        control="A",
        holdout=0.0,
        goal=Goal(metric="conversion_rate", window_ms=60_000, minimum_effect=0.0),
        costs=Costs(currency="CNY", price_per_segment_micro=45_000, margin=0.3),
        plan=Plan(method=method, expected_n=people),  # type: ignore[arg-type]
        guardrails={"opt_out_rate": MARGIN},
        audience_size=people,
    )


def _verdict(plan: CampaignDefined, n: int, converted: list[int], opted_out: list[int]) -> Verdict:
    campaign, variants = campaign_rows(plan)
    cohorts = [
        Cohort(
            campaign_id="c",
            variant_id=name,
            cohort_start_ms=0,
            cohort_width_ms=1000,
            counters=Counters(assigned=n, converted=hits, opted_out=left),
        )
        for name, hits, left in zip("AB", converted, opted_out, strict=True)
    ]
    return evaluate(campaign, variants, cohorts, _HEALTH, _LATE_MS).verdict
