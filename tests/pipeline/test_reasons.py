"""The codes of verdicts: the table names all that `evaluate` gives, and no other."""

from __future__ import annotations

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.evaluate import campaign_rows, evaluate
from pipeline.rows import JoinHealth, Verdict
from pipeline.verdict import REASONS
from schemas.events import HOLDOUT
from tests.support.results import WINDOW_MS, cohort, definition
from tests.support.snapshots import CASES, gap


def verdict_of(name: str) -> Verdict:
    """The verdict on a made case."""
    case = CASES[name]()
    campaign, variants = campaign_rows(case.campaign)
    health = msgspec.structs.replace(case.health, campaign_id=campaign.campaign_id)
    asked_ms, gaps = case.running_ms, case.gaps
    return evaluate(campaign, variants, case.cohorts, health, asked_ms, gaps=gaps).verdict


def test_every_reason_can_be_reached() -> None:
    """No code is a leftover."""
    reached = {(v.verdict, v.reason) for v in map(verdict_of, CASES)}
    assert reached == {(kind, reason) for kind, found in REASONS.items() for reason in found}


COUNTS = st.integers(0, 3000)


@settings(deadline=None)
@given(
    sizes=st.tuples(COUNTS, COUNTS, COUNTS),
    converted=st.tuples(COUNTS, COUNTS, COUNTS),
    opted_out=st.tuples(COUNTS, COUNTS),
    health=st.tuples(COUNTS, COUNTS, COUNTS),
    lost=COUNTS,
    limit=st.floats(0, 100),
    now_ms=st.integers(0, 2 * WINDOW_MS),
)
def test_no_other_reason_is_given(
    sizes: tuple[int, ...],
    converted: tuple[int, ...],
    opted_out: tuple[int, ...],
    health: tuple[int, ...],
    lost: int,
    limit: float,
    now_ms: int,
) -> None:
    """Whatever happens, the verdict is one that pages have words for."""
    cohorts = [
        cohort(
            arm,
            size,
            converted=min(size, bought),
            opted_out=0 if arm == HOLDOUT else min(size, left),
        )
        for arm, size, bought, left in zip(
            ("A", "B", HOLDOUT), sizes, converted, (*opted_out, 0), strict=True
        )
    ]
    campaign, variants = campaign_rows(definition(minimum_effect=limit))
    join = JoinHealth(
        campaign_id="spring",
        double_assigned=health[0],
        receipts=health[1],
        unmatched_receipts=min(health[1], health[2]),
    )
    gaps = [gap(lost, "sms.link.clicked.v1")] if lost else []
    found = evaluate(campaign, variants, cohorts, join, now_ms, gaps=gaps).verdict
    assert found.reason in REASONS[found.verdict]
