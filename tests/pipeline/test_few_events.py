"""Too few events for a mean to be near normal: nobody wins by that, and no check goes blind."""

from __future__ import annotations

import math

import msgspec
import numpy as np
import pytest

from pipeline.evaluate import Evaluation, campaign_rows, evaluate
from pipeline.rows import Cohort, JoinHealth
from schemas.events import HOLDOUT, CampaignDefined, Plan
from tests.support.results import WINDOW_MS, cohort, definition

LATE_MS = 100 * WINDOW_MS
HEALTHY = JoinHealth(campaign_id="spring", receipts=1000)


def found(plan: CampaignDefined, cohorts: list[Cohort]) -> Evaluation:
    """Evaluate made cohorts after the end."""
    campaign, variants = campaign_rows(plan)
    return evaluate(campaign, variants, cohorts, HEALTHY, LATE_MS)


def uneven(share: float, size: int, **changes: object) -> CampaignDefined:
    """Two texts, the new one for a small share; no holdout, no guardrail."""
    plan = definition(opt_out_margin=None, audience_size=size, expected_n=size, **changes)  # type: ignore[arg-type]
    variants = tuple(
        msgspec.structs.replace(variant, share=part)
        for variant, part in zip(plan.variants, (1 - share, share), strict=True)
    )
    return msgspec.structs.replace(plan, variants=variants, holdout=0.0)


@pytest.mark.parametrize("method", ["fixed", "sequential"])
@pytest.mark.parametrize("buyers", [10, 30, 100, 600])
def test_a_small_arm_without_buyers_makes_no_winner(method: str, buyers: int) -> None:
    """Equal texts, one for a tenth of the list: money names a winner in at most alpha of tests.

    800 campaigns: 0.05 + 3 × 0.0077. Without a rule for few events 36 % at ten buyers.
    """
    runs, size = 800, 10_000
    rng = np.random.default_rng(1)
    plan = uneven(0.1, size, method=method)
    shipped = 0
    for n, bought in zip(
        rng.binomial(size, 0.1, runs), rng.poisson(buyers, (runs, 1))[:, 0], strict=True
    ):
        b = int(rng.binomial(int(bought), 0.1))
        cohorts = [
            cohort("A", size - int(n), converted=int(bought) - b),
            cohort("B", int(n), converted=b),
        ]
        shipped += found(plan, cohorts).verdict.verdict == "ship"
    assert shipped / runs <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / runs)


@pytest.mark.parametrize(
    ("plan", "a", "b", "verdict"),
    [
        (uneven(0.1, 10_000), 10, 0, ("your_call", "too_few_events")),
        (uneven(0.1, 10_000, method="sequential"), 12, 0, ("your_call", "too_few_events")),
        # what would be expected of both counts, not what one of them happens to be
        (uneven(0.5, 10_000), 60, 0, ("ship", "control_earns_more")),
        (uneven(0.5, 10_000), 0, 60, ("ship", "treatment_earns_more")),
        # counts have exact tests
        (
            uneven(0.1, 10_000, metric="conversion_rate", minimum_effect=0.0),
            2,
            9,
            ("ship", "treatment_earns_more"),
        ),
    ],
)
def test_few_events_are_your_call_where_the_method_needs_a_normal_mean(
    plan: CampaignDefined, a: int, b: int, verdict: tuple[str, str]
) -> None:
    """Money, and adjusted rates; a plain rate is tested by counts at any number."""
    small = round(10_000 * plan.variants[1].share)
    made = [cohort("A", 10_000 - small, converted=a), cohort("B", small, converted=b)]
    told = found(plan, made).verdict
    assert (told.verdict, told.reason) == verdict
    if told.reason == "too_few_events":
        assert told.evidence["expected_events"] == pytest.approx((a + b) / 10)


def test_an_adjusted_rate_needs_events_too() -> None:
    """With a covariate a rate is compared as a mean, by Welch."""
    plan = uneven(0.1, 10_000, metric="conversion_rate", minimum_effect=0.0)
    plan = msgspec.structs.replace(plan, plan=Plan(covariate="past"))
    told = found(plan, [cohort("A", 9000, converted=10), cohort("B", 1000)]).verdict
    assert (told.verdict, told.reason) == ("your_call", "too_few_events")


def test_a_clear_text_wins_beside_one_of_which_little_is_known() -> None:
    """Too few events of one pair say nothing about the others."""
    plan = definition(opt_out_margin=None, audience_size=20_050)
    tiny = msgspec.structs.replace(plan.variants[0], variant_id="C", share=0.0)
    shares = (0.4988, 0.4988, 0.0024)
    variants = tuple(
        msgspec.structs.replace(variant, share=share)
        for variant, share in zip((*plan.variants, tiny), shares, strict=True)
    )
    plan = msgspec.structs.replace(plan, variants=variants, holdout=0.0)
    made = [
        cohort("A", 10_000, converted=100),
        cohort("B", 10_000, converted=300),
        cohort("C", 50, converted=1),
    ]
    told = found(plan, made).verdict
    assert (told.verdict, told.variant_id) == ("ship", "B")


@pytest.mark.parametrize("method", ["fixed", "sequential"])
def test_a_tiny_arm_does_not_blind_the_split_test(method: str) -> None:
    """4 people expected in the holdout are too few for chi-square; 6,000 against 3,996 are not."""
    plan = definition(opt_out_margin=None, audience_size=10_000, method=method)
    plan = msgspec.structs.replace(plan, holdout=0.0004)
    made = [
        cohort("A", 6000, converted=60),
        cohort("B", 3996, converted=200),
        cohort(HOLDOUT, 4),
    ]
    told = found(plan, made).verdict
    assert (told.verdict, told.reason) == ("do_not_trust", "split_as_planned")
    even = [
        cohort("A", 5000, converted=60),
        cohort("B", 4996, converted=200),
        cohort(HOLDOUT, 4),
    ]
    assert found(plan, even).verdict.verdict == "ship"
