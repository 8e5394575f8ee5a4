"""The verdict: one of six, with its reason and the numbers behind it. Pure.

Fixed horizon, honestly: until every assigned recipient is mature no winner is named, however
small a p-value looks meanwhile. Looking does not cost anything, deciding early would.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from pipeline.health import Evidence, Examined
from pipeline.rows import Campaign, Comparison, HealthCheck, Verdict, VerdictKind

BLOCKING: Final = ("split_as_planned", "nobody_in_two_arms", "receipts_matched")
"""A bad light here means that the numbers cannot be believed."""
Decision = tuple[VerdictKind, str | None, str, Evidence]


def reach_verdict(
    examined: Examined,
    comparisons: Sequence[Comparison],
    checks: Sequence[HealthCheck],
    decided_at_ms: int,
) -> Verdict:
    """The verdict on mature results."""
    deciding = [c for c in comparisons if c.decides and c.maturity == "mature"]
    kind, variant_id, reason, evidence = _decide(examined, deciding, checks)
    return Verdict(
        campaign_id=examined.campaign.campaign_id,
        decided_at_ms=decided_at_ms,
        verdict=kind,
        variant_id=variant_id,
        reason=reason,
        evidence=evidence,
        plan_hash=examined.campaign.plan_hash,
    )


def _decide(
    examined: Examined, deciding: Sequence[Comparison], checks: Sequence[HealthCheck]
) -> Decision:
    lights = {check.check: check for check in checks}
    progress = lights["outcomes_mature"].evidence
    broken = next((lights[name] for name in BLOCKING if lights[name].status == "bad"), None)
    if broken is not None:
        return "do_not_trust", None, broken.check, broken.evidence
    if not examined.is_complete:
        reason = "nobody_assigned" if examined.assigned == 0 else "outcomes_not_mature"
        return "collecting", None, reason, progress
    breach = lights["opt_outs_in_limit"]
    if breach.status == "bad":
        return "stop", str(breach.evidence["variant_id"]), "opt_outs_in_limit", breach.evidence
    if not deciding:
        return "your_call", None, "one_variant", progress
    return _winner(examined.campaign, deciding)


def _winner(campaign: Campaign, deciding: Sequence[Comparison]) -> Decision:
    """The best treatment that surely beats the control, else the control when all surely lose."""
    better = [c for c in deciding if c.ci_lower > 0]
    if better:
        best = max(better, key=lambda c: c.effect_size)
        small = best.ci_upper < campaign.minimum_effect
        if small:
            return "no_meaningful_difference", None, "smaller_than_it_matters", _numbers(best)
        return "ship", best.treatment, "treatment_earns_more", _numbers(best)
    if all(c.ci_upper < 0 for c in deciding):
        closest = max(deciding, key=lambda c: c.effect_size)
        return "ship", campaign.control, "control_earns_more", _numbers(closest)
    largest = max(deciding, key=lambda c: abs(c.effect_size))
    limit = campaign.minimum_effect
    if all(-limit < c.ci_lower and c.ci_upper < limit for c in deciding):
        return "no_meaningful_difference", None, "inside_minimum_effect", _numbers(largest)
    return "your_call", None, "interval_includes_zero", _numbers(largest)


def _numbers(comparison: Comparison) -> Evidence:
    return {
        "metric": comparison.metric,
        "control": comparison.control,
        "treatment": comparison.treatment,
        "control_n": comparison.control_n,
        "treatment_n": comparison.treatment_n,
        "control_value": comparison.control_value,
        "treatment_value": comparison.treatment_value,
        "effect_size": comparison.effect_size,
        "ci_lower": comparison.ci_lower,
        "ci_upper": comparison.ci_upper,
        "pvalue": comparison.pvalue,
        "confidence_level": comparison.confidence_level,
    }
