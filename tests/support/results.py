"""Made cohorts and definitions for tests of results."""

from __future__ import annotations

from typing import Final

from pipeline.arms import add_up
from pipeline.evaluate import campaign_rows
from pipeline.rows import Cohort, Counters, Maturity, Moments, VariantResult
from pipeline.variant_results import variant_result
from schemas.events import (
    HOLDOUT,
    CampaignDefined,
    Costs,
    Goal,
    Plan,
    VariantDefinition,
)

MATURITIES: Final[tuple[Maturity, ...]] = ("mature", "live")
WINDOW_MS = 60_000
COST_MICRO = 45_000
REVENUE_MINOR = 8_000


def definition(
    *,
    metric: str = "profit_per_recipient",
    minimum_effect: float = 3.0,
    audience_size: int | None = 1,
    opt_out_margin: float | None = 0.01,
    method: str = "fixed",
    expected_n: int | None = None,
) -> CampaignDefined:
    """A campaign with two variants and a holdout.

    An audience of one is over as soon as everybody there is has had the window.
    """
    return CampaignDefined(
        event_id="spring/1",
        occurred_at_ms=0,
        campaign_id="spring",
        plan_version=1,
        plan_hash="abc",
        salt="spring",
        purpose="promotional",
        language="zh",
        connection="demo",
        source_addr="10690001",
        variants=(
            VariantDefinition(variant_id="A", share=0.5, template="亲爱的{{用户名}} {{link}}"),
            VariantDefinition(variant_id="B", share=0.5, template="【云店】{{用户名}} {{link}}"),
        ),
        control="A",
        holdout=0.1,
        goal=Goal(metric=metric, window_ms=WINDOW_MS, minimum_effect=minimum_effect),  # type: ignore[arg-type]
        costs=Costs(
            currency="CNY",
            price_per_segment_micro=COST_MICRO,
            margin=0.3,
            opt_out_cost_minor=800,
        ),
        plan=Plan(method=method, expected_n=expected_n),  # type: ignore[arg-type]
        guardrails={} if opt_out_margin is None else {"opt_out_rate": opt_out_margin},
        audience_size=audience_size,
    )


def cohort(
    variant_id: str,
    assigned: int,
    *,
    converted: int = 0,
    opted_out: int = 0,
    clicked: int = 0,
    delivery_rate: float = 0.95,
    start_ms: int = 0,
) -> Cohort:
    """A cohort in which every converter spends the same and opted nothing else."""
    is_sent = variant_id != HOLDOUT
    reached = assigned if is_sent else 0
    delivered = round(reached * delivery_rate)
    cost = COST_MICRO if is_sent else 0
    return Cohort(
        campaign_id="spring",
        variant_id=variant_id,
        cohort_start_ms=start_ms,
        cohort_width_ms=1000,
        counters=Counters(
            assigned=assigned,
            submitted=reached,
            accepted=reached,
            delivered=delivered,
            failed=reached - delivered,
            clicked=clicked,
            replied=opted_out,
            opted_out=opted_out,
            converted=converted,
            attributed=min(clicked, converted),
            segments=reached,
            cost_micro=reached * cost,
            revenue_minor=converted * REVENUE_MINOR,
        ),
        moments=Moments(
            sum_rr=converted * REVENUE_MINOR**2,
            sum_rc=converted * REVENUE_MINOR * cost,
            sum_cc=assigned * cost * cost,
            sum_co=opted_out * cost,
            sum_k=converted * REVENUE_MINOR,
            sum_kk=converted * REVENUE_MINOR**2,
            sum_kc=converted * REVENUE_MINOR * cost,
        ),
    )


def evaluated(**arms: dict[str, int]) -> list[VariantResult]:
    """Results of arms with the given counters, one cohort each, as `evaluate` gives them."""
    campaign, _ = campaign_rows(definition())
    rows = []
    for variant_id, counters in arms.items():
        counted = Cohort(
            campaign_id="spring",
            variant_id=variant_id,
            cohort_start_ms=0,
            cohort_width_ms=1000,
            counters=Counters(**counters),
        )
        arm = add_up(variant_id, [counted], campaign.currency)
        rows += [variant_result(campaign, arm, None, maturity) for maturity in MATURITIES]
    return rows
