"""Ledger against counts: what is a difference, and what an unknown answer explains."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.rows import VariantResult
from runtime.process import CannotRun
from simulator.ledger import KEYS, Totals
from smslab.reconcile import reconcile, reconcile_files
from tests.support.results import evaluated


def results(**counters: int) -> list[VariantResult]:
    """One arm, A, with the given live counters."""
    return [row for row in evaluated(A=counters) if row.maturity == "live"]


def ledger(**facts: int) -> Totals:
    """What truly happened to arm A."""
    arm = dict.fromkeys(KEYS, 0) | facts
    return {"A": arm, "total": dict(arm)}


def test_equal_figures_agree() -> None:
    """Nothing lost, nothing twice, and both sides show the same keys."""
    found = reconcile(ledger(assigned=5, submitted=4), results(assigned=5, submitted=4), None)
    assert found.agrees
    assert (found.lost, found.counted_twice) == (0, 0)
    assert found.ledger == found.counted
    assert found.as_json()["counted"]["total"]["submitted"] == 4


def test_missing_and_surplus_do_not_cancel() -> None:
    """One lost here and one too many there are two differences."""
    found = reconcile(
        ledger(assigned=5, clicked=2, converted=0),
        results(assigned=5, clicked=1, converted=1),
        None,
    )
    assert (found.lost, found.counted_twice, found.agrees) == (1, 1, False)
    assert {d.key for d in found.differences} == {"clicked", "converted"}


@pytest.mark.parametrize(
    ("happened", "agrees"),
    [
        ({"submitted": 9}, True),  # the crash came before the operator had it
        ({"submitted": 10, "rejected": 1}, True),  # the refusal was cut off
        ({"submitted": 8}, False),  # one unknown explains one
        ({"submitted": 11}, False),  # it never explains more than was counted
        ({"submitted": 10, "delivered": 1}, False),  # a receipt is never cut off
    ],
)
def test_an_unknown_answer_explains_what_it_can(
    happened: dict[str, int],
    agrees: bool,  # noqa: FBT001
) -> None:
    """An attempt without answer may or may not have reached the operator; nothing else may."""
    counted = results(assigned=10, submitted=10, unknown=1)
    found = reconcile(ledger(assigned=10, **happened), counted, None)
    assert found.agrees is agrees
    assert found.as_json()["unknown"] == 1


def test_an_arm_that_only_one_side_knows_is_a_difference() -> None:
    """Nobody can vanish with their whole arm."""
    totals = ledger(assigned=1)
    totals["B"] = dict.fromkeys(KEYS, 0) | {"assigned": 3}
    found = reconcile(totals, results(assigned=1), None)
    assert (found.lost, found.counted["B"]["assigned"]) == (3, 0)


def test_files_that_are_not_there_are_a_sentence(tmp_path: Path) -> None:
    """The ledger first, then the results."""
    with pytest.raises(CannotRun, match=r"ledger .* cannot be read"):
        reconcile_files(tmp_path / "none.jsonl", tmp_path)
    (tmp_path / "ledger.jsonl").write_text("")
    with pytest.raises(CannotRun, match="no results of campaign"):
        reconcile_files(tmp_path / "ledger.jsonl", tmp_path)
