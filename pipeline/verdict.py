"""The verdict: one of six, with its reason and the numbers behind it. Pure.

Fixed horizon, honestly: until every assigned recipient is mature no winner is named, however
small a p-value looks meanwhile. Looking does not cost anything, deciding early would. The same
holds for data faults: their lights are shown at once, by tests that hold at every look, but they
replace the verdict at the end.

A sequential plan may be read at every look: its intervals and its split test hold at all looks
together. A split that is off and harm count at once, other faults and a winner from the minimum
run on (`is_readable`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Final

from pipeline.detectable import is_too_small
from pipeline.examined import Examined
from pipeline.health import Evidence, Light, opt_out_lights
from pipeline.looks import is_sequential
from pipeline.measures import BY_COUNTS, deciding_events, expected_events
from pipeline.rows import Campaign, Comparison, HealthCheck, Verdict, VerdictKind
from schemas.events import DIRECTIONS, HOLDOUT

BLOCKING: Final = (
    "split_as_planned",
    "nobody_in_two_arms",
    "nothing_lost",
    "receipts_matched",
    "covariate_balanced",
)
"""A bad light here means that the numbers cannot be believed."""
REASONS: Final[Mapping[VerdictKind, tuple[str, ...]]] = {
    "collecting": ("nobody_assigned", "outcomes_not_mature", "list_too_small"),
    "ship": ("treatment_earns_more", "control_earns_more"),
    "stop": ("opt_outs_in_limit",),
    "no_meaningful_difference": ("inside_minimum_effect", "smaller_than_it_matters"),
    "your_call": (
        "one_variant",
        "opt_outs_not_ruled_out",
        "interval_includes_zero",
        "interval_undefined",
        "too_few_events",
    ),
    "do_not_trust": (*BLOCKING, "plan_unusable"),
}
"""Verdict → its reasons: codes that pages and programs may rely on."""
OK: Final[Light] = ("ok", {})
Decision = tuple[VerdictKind, str | None, str, Evidence]


def reach_verdict(
    examined: Examined,
    comparisons: Sequence[Comparison],
    checks: Sequence[HealthCheck],
    decided_at_ms: int,
    previous: Verdict | None = None,
) -> Verdict:
    """The verdict on mature results; `previous` only keeps `list_too_small` from flapping."""
    deciding = [c for c in comparisons if c.decides and c.maturity == "mature"]
    lights = {check.check: check for check in checks}
    too_small = is_too_small(examined, was_told=_was_too_small(examined, previous))
    kind, variant_id, reason, evidence = _decide(examined, deciding, lights, too_small=too_small)
    return Verdict(
        campaign_id=examined.campaign.campaign_id,
        decided_at_ms=decided_at_ms,
        verdict=kind,
        variant_id=variant_id,
        reason=reason,
        evidence={**lights["outcomes_mature"].evidence, **evidence},
        plan_hash=examined.campaign.plan_hash,
    )


def refuse_plan(campaign: Campaign, fault: str, decided_at_ms: int) -> Verdict:
    """The verdict on a definition that cannot be evaluated."""
    return Verdict(
        campaign_id=campaign.campaign_id,
        decided_at_ms=decided_at_ms,
        verdict="do_not_trust",
        variant_id=None,
        reason="plan_unusable",
        evidence={"fault": fault},
        plan_hash=campaign.plan_hash,
    )


def _was_too_small(examined: Examined, previous: Verdict | None) -> bool:
    """Whether that was the last word under this plan; a new plan starts anew."""
    if previous is None or previous.plan_hash != examined.campaign.plan_hash:
        return False
    return previous.reason == "list_too_small"


def _decide(
    examined: Examined,
    deciding: Sequence[Comparison],
    lights: Mapping[str, HealthCheck],
    *,
    too_small: bool,
) -> Decision:
    if examined.is_complete:
        return _decide_now(examined, deciding, lights)
    collecting = _collecting(examined, too_small=too_small)
    if not is_sequential(examined.campaign) or not examined.assigned:
        return collecting
    early = _decide_now(examined, deciding, lights)
    if early[2] in _AT_ONCE or (early[0] == "do_not_trust" and is_readable(examined)):
        return early
    if early[0] in _FROM_MINIMUM_RUN and is_readable(examined):
        return *early[:3], {**early[3], "stopped_early": 1}
    return collecting


_AT_ONCE: Final = ("split_as_planned", "opt_outs_in_limit")
"""Tests that hold at every look. The other faults are shares that start from a few people and
from topics that are read one after the other: they wait for the minimum run."""
_FROM_MINIMUM_RUN: Final = ("ship", "no_meaningful_difference")
MINIMUM_RUN: Final = 0.1
"""Share of the plan's N* that must be mature before a winner may be named."""
MINIMUM_EVENTS: Final = 50
"""Conversions (or what else the metric counts) in each arm before its mean is near normal."""
EXPECTED_EVENTS: Final = 25
"""The same at the end, expected in each of two arms if both had one rate. Fewer in a small arm and
its mean is so skewed that Welch errs in up to 36 % of tests (tests/pipeline/test_few_events.py)."""


def is_readable(examined: Examined) -> bool:
    """Whether the asymptotic sequences may be believed yet (docs/statistics.md)."""
    expected = examined.campaign.expected_n or examined.campaign.audience_size or 0
    variants = [arm for arm in examined.mature if arm.variant_id != HOLDOUT]
    few = any(deciding_events(arm, examined.campaign) < MINIMUM_EVENTS for arm in variants)
    return examined.matured >= MINIMUM_RUN * expected and not few


def _collecting(examined: Examined, *, too_small: bool) -> Decision:
    if not examined.assigned:
        return "collecting", None, "nobody_assigned", {}
    return "collecting", None, "list_too_small" if too_small else "outcomes_not_mature", {}


def _decide_now(
    examined: Examined, deciding: Sequence[Comparison], lights: Mapping[str, HealthCheck]
) -> Decision:
    broken = next((lights[name] for name in BLOCKING if lights[name].status == "bad"), None)
    if broken is not None:
        return "do_not_trust", None, broken.check, broken.evidence
    breach = lights["opt_outs_in_limit"]
    if breach.status == "bad":
        return "stop", str(breach.evidence["variant_id"]), "opt_outs_in_limit", breach.evidence
    if not deciding:
        return "your_call", None, "one_variant", {}
    return _winner(examined, deciding)


def _winner(examined: Examined, deciding: Sequence[Comparison]) -> Decision:
    """The best harmless treatment that surely beats the control, or what else can be said."""
    campaign, limit = examined.campaign, examined.campaign.minimum_effect
    few = [c for c in deciding if _is_too_rare(examined, c)]
    known = [c for c in deciding if c not in few]
    equal = [c for c in known if _is_inside(c, limit)]
    clear = [c for c in known if c.pvalue_adjusted <= campaign.alpha and c not in equal]
    better = [c for c in clear if gain(c) > 0]
    if better:
        return _ship_harmless(better, opt_out_lights(examined))
    worse = [c for c in clear if gain(c) < 0]
    if len(worse) == len(deciding):
        closest = _largest(deciding)
        return "ship", closest.control, "control_earns_more", _numbers(closest, wins=False)
    if len(equal) + len(worse) == len(deciding):
        includes_zero = all(c.ci_lower <= 0 <= c.ci_upper for c in equal)
        reason = "inside_minimum_effect" if includes_zero else "smaller_than_it_matters"
        return "no_meaningful_difference", None, reason, _numbers(_largest(equal))
    return _undecided(examined, [c for c in deciding if c not in equal and c not in worse], few)


def _undecided(
    examined: Examined, undecided: Sequence[Comparison], few: Sequence[Comparison]
) -> Decision:
    undefined = [c for c in undecided if math.isnan(c.ci_lower)]
    if undefined:
        return "your_call", None, "interval_undefined", _numbers(undefined[0])
    if few:
        rare = _largest(few)
        events = {"expected_events": _events_of(examined, rare)}
        return "your_call", None, "too_few_events", {**_numbers(rare), **events}
    return "your_call", None, "interval_includes_zero", _numbers(_largest(undecided))


def _is_too_rare(examined: Examined, comparison: Comparison) -> bool:
    """Whether a method for normal means met a mean that is none yet."""
    is_by_counts = comparison.method in BY_COUNTS
    return not is_by_counts and _events_of(examined, comparison) < EXPECTED_EVENTS


def _events_of(examined: Examined, comparison: Comparison) -> float:
    names = comparison.control, comparison.treatment
    arms = [arm for arm in examined.mature if arm.variant_id in names]
    return expected_events(arms, examined.campaign)


def _ship_harmless(better: Sequence[Comparison], opt_outs: Mapping[str, Light]) -> Decision:
    """Non-inferiority: a winner must have been shown not to breach the margin (Schuirmann 1987)."""
    harmless = [c for c in better if opt_outs.get(c.treatment, OK)[0] == "ok"]
    if harmless:
        best = _largest(harmless)
        return "ship", best.treatment, "treatment_earns_more", _numbers(best, wins=True)
    best = _largest(better)
    evidence = {f"opt_out_{name}": value for name, value in opt_outs[best.treatment][1].items()}
    return "your_call", None, "opt_outs_not_ruled_out", {**_numbers(best), **evidence}


def gain(comparison: Comparison) -> float:
    """The effect in the metric's own direction: above 0 the treatment is better."""
    is_higher = DIRECTIONS[comparison.metric] == "higher"
    return comparison.effect_size if is_higher else -comparison.effect_size


def _is_inside(comparison: Comparison, limit: float) -> bool:
    """Whether the whole interval is too small to matter."""
    return -limit < comparison.ci_lower and comparison.ci_upper < limit


def _largest(comparisons: Sequence[Comparison]) -> Comparison:
    """The one that does best; an undefined effect comes last."""
    return max(comparisons, key=lambda c: -math.inf if math.isnan(gain(c)) else gain(c))


def _numbers(comparison: Comparison, *, wins: bool | None = None) -> Evidence:
    """The evidence of a comparison; `wins` tells whether the treatment or the control won."""
    evidence: Evidence = {
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
        "pvalue_adjusted": comparison.pvalue_adjusted,
        "confidence_level": comparison.confidence_level,
    }
    if wins is not None:
        values = comparison.treatment_value, comparison.control_value
        evidence["winner_value"], evidence["loser_value"] = values if wins else values[::-1]
    return evidence
