"""A covariate that was not known before the assignment, or not of everybody, is seen."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from pipeline.evaluate import Evaluation, campaign_rows, evaluate
from pipeline.rows import Cohort, HealthCheck, JoinHealth
from schemas.events import Plan
from tests.support.results import WINDOW_MS, cohort, definition

LATE_MS = 100 * WINDOW_MS
SIZE = 5000
HEALTHY = JoinHealth(campaign_id="spring", receipts=1000)


def found(past: dict[str, np.ndarray], method: str = "fixed") -> Evaluation:  # type: ignore[type-arg]
    """Equal texts; 500 of each 5,000 buy, and the covariate of the buyers is as everybody's."""
    plan = msgspec.structs.replace(
        definition(opt_out_margin=None, audience_size=2 * SIZE, minimum_effect=1.0),
        plan=Plan(method=method, covariate="past", expected_n=2 * SIZE),  # type: ignore[arg-type]
        holdout=0.0,
    )
    campaign, variants = campaign_rows(plan)
    return evaluate(campaign, variants, [_arm(a, v) for a, v in past.items()], HEALTHY, LATE_MS)


def _arm(name: str, past: np.ndarray) -> Cohort:  # type: ignore[type-arg]
    v = past.astype(int).tolist()
    made = cohort(name, SIZE, converted=500)
    bought = sorted(v)[-500:]
    sums = msgspec.structs.replace(
        made.moments,
        sum_v=sum(v),
        sum_vv=sum(x * x for x in v),
        sum_kv=8000 * sum(bought),
        sum_cv=45_000 * sum(v),
    )
    return msgspec.structs.replace(made, moments=sums)


def light(result: Evaluation) -> HealthCheck:
    """The light of the covariate."""
    return next(c for c in result.health_checks if c.check == "covariate_balanced")


@pytest.mark.parametrize("method", ["fixed", "sequential"])
def test_a_covariate_that_one_arm_lacks_decides_nothing(method: str) -> None:
    """The one it is known of would look worse by all that it explains: without the light a winner.

    As one that was measured after the messages, which a good text changes.
    """
    rng = np.random.default_rng(1)
    known = rng.integers(0, 1000, SIZE)
    result = found({"A": known, "B": np.zeros(SIZE)}, method)
    assert (result.verdict.verdict, result.verdict.reason) == ("do_not_trust", "covariate_balanced")
    assert light(result).evidence["A"] == pytest.approx(float(known.mean()))
    assert light(result).evidence["B"] == 0


@pytest.mark.parametrize("method", ["fixed", "sequential"])
def test_missing_in_all_arms_alike_costs_sharpness_only(method: str) -> None:
    """Counted as 0 it is still a number from before the assignment."""
    rng = np.random.default_rng(2)
    past = {arm: rng.integers(0, 1000, SIZE) * (rng.random(SIZE) < 0.3) for arm in "AB"}
    result = found(past, method)
    assert light(result).status == "ok"
    assert result.verdict.verdict != "do_not_trust"


def test_a_covariate_that_nobody_has_is_pointed_out() -> None:
    """It changes nothing, which whoever wrote the plan should know."""
    result = found({"A": np.zeros(SIZE), "B": np.zeros(SIZE)})
    assert light(result).status == "warn"
    assert result.verdict.verdict != "do_not_trust"


def test_a_plan_without_one_has_nothing_to_check() -> None:
    """All lights are always there; this one is green then."""
    campaign, variants = campaign_rows(definition())
    made = [cohort("A", 100), cohort("B", 100)]
    result = evaluate(campaign, variants, made, HEALTHY, LATE_MS)
    assert (light(result).status, light(result).evidence) == ("ok", {"covariate": "none"})


def test_equal_groups_rarely_differ_by_chance() -> None:
    """A light at 0.001 and a fault at 0.000001: none of 300 fair campaigns is a fault."""
    rng = np.random.default_rng(3)
    status = [
        light(found({arm: rng.lognormal(5, 1, SIZE) for arm in "AB"})).status for _ in range(300)
    ]
    assert status.count("bad") == 0
    assert status.count("warn") <= 3
