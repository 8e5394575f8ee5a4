"""The trust lights: may these numbers be believed? Pure."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

from pipeline.arms import Arm
from pipeline.detectable import detectable_effect
from pipeline.examined import Examined
from pipeline.looks import compare_counts, compare_sums, expected_pair, planned_shares
from pipeline.lost_records import counted_of
from pipeline.rows import HealthCheck, LightStatus
from pipeline.stats.srm import check_equal_rates, check_sample_ratio, watch_sample_ratio
from schemas.events import HOLDOUT

SRM_ALPHA: Final = 0.001
"""Fabijan et al. (2019): one false alarm in a thousand campaigns."""
DELIVERY_ALPHA: Final = 0.001
MAX_DOUBLE_SHARE: Final = 0.001
UNMATCHED_SHARES: Final = (0.02, 0.10)
MAX_LOST_SHARE: Final = UNMATCHED_SHARES[1]
"""Of the records of a kind: lost, they are in no total, as a receipt without its message. But not
for fewer of them than the people who may stand in two arms."""
COVARIATE_ALPHAS: Final = (0.001, 1e-6)
"""To point it out, and to believe nothing. The second is for what is broken, such as a covariate
that one arm lacks: with few big spenders a fair split passes 0.001 more often than it should."""
Evidence = dict[str, float | int | str]
Light = tuple[LightStatus, Evidence]


def check_health(examined: Examined) -> list[HealthCheck]:
    """One light per check."""
    return [
        HealthCheck(
            campaign_id=examined.campaign.campaign_id, check=name, status=status, evidence=evidence
        )
        for name, (status, evidence) in ((name, check(examined)) for name, check in _CHECKS.items())
    ]


def _split_as_planned(examined: Examined) -> Light:
    campaign = examined.campaign
    shares = planned_shares(campaign, examined.variants)
    counts = {arm.variant_id: arm.n for arm in examined.live}
    pvalue = math.nan if examined.at_any_time else check_sample_ratio(counts, shares)
    if math.isnan(pvalue):  # an arm too small for the chi-square must not hide the others
        pvalue = watch_sample_ratio(counts, shares).pvalue
    evidence: Evidence = {"pvalue": pvalue, **counts}
    if math.isnan(pvalue):
        return "pending", evidence
    return ("bad" if pvalue < SRM_ALPHA else "ok"), evidence


def _delivery_equal(examined: Examined) -> Light:
    arms = [arm for arm in examined.mature if arm.variant_id != HOLDOUT]
    hits = {arm.variant_id: arm.counters.delivered for arm in arms}
    trials = {arm.variant_id: arm.counters.accepted for arm in arms}
    pvalue = check_equal_rates(hits, trials)
    rates = {arm: hits[arm] / trials[arm] for arm in hits if trials[arm]}
    evidence: Evidence = {"pvalue": pvalue, **rates}
    if math.isnan(pvalue):
        return "pending", evidence
    return ("warn" if pvalue < DELIVERY_ALPHA else "ok"), evidence


def _outcomes_mature(examined: Examined) -> Light:
    evidence: Evidence = {
        "assigned": examined.assigned,
        "mature": examined.matured,
        "audience": examined.campaign.audience_size or examined.assigned,
    }
    if examined.seconds_left is not None:
        evidence["seconds_left"] = examined.seconds_left
    if not examined.is_complete:
        smallest = detectable_effect(examined)
        if smallest is not None and math.isfinite(smallest):
            evidence["detectable_effect"] = smallest
    return ("ok" if examined.is_complete else "pending"), evidence


def _nobody_in_two_arms(examined: Examined) -> Light:
    double = examined.join.double_assigned
    evidence: Evidence = {"double_assigned": double, "assigned": examined.assigned}
    if double == 0:
        return ("ok" if examined.assigned else "pending"), evidence
    return ("warn" if double <= MAX_DOUBLE_SHARE * examined.assigned else "bad"), evidence


def _opt_outs_in_limit(examined: Examined) -> Light:
    lights = opt_out_lights(examined)
    if not lights:
        margin = examined.campaign.opt_out_margin
        return "ok", {"margin": "none" if math.isnan(margin) else margin}
    return max(lights.values(), key=_harm)


def opt_out_lights(examined: Examined) -> dict[str, Light]:
    """Treatment → whether it makes more people opt out than the plan accepts; mature results.

    `bad`: the rise is surely above the margin. `ok`: it is surely not. `warn`: not known yet.
    """
    margin = examined.campaign.opt_out_margin
    if math.isnan(margin):
        return {}
    control = next(arm for arm in examined.mature if arm.variant_id == examined.campaign.control)
    return {
        arm.variant_id: _opt_out_light(control, arm, examined)
        for arm in examined.mature
        if arm is not control and arm.variant_id != HOLDOUT
    }


def _harm(light: Light) -> tuple[int, float]:
    """Orders lights by what they say, then by how much."""
    status, evidence = light
    effect = float(evidence["effect_size"])
    return _SEVERITY.index(status), -math.inf if math.isnan(effect) else effect


def _opt_out_light(control: Arm, arm: Arm, examined: Examined) -> Light:
    campaign, margin = examined.campaign, examined.campaign.opt_out_margin
    shares = planned_shares(campaign, examined.variants)
    found = compare_counts(
        "opt_out_rate",
        (control.counters.opted_out, control.n),
        (arm.counters.opted_out, arm.n),
        level=1 - campaign.alpha,
        expected_n=expected_pair(campaign, shares, control.variant_id, arm.variant_id),
        at_any_time=examined.at_any_time,
    ).difference
    evidence: Evidence = {
        "variant_id": arm.variant_id,
        "effect_size": found.effect_size,
        "ci_lower": found.ci_lower,
        "ci_upper": found.ci_upper,
        "margin": margin,
    }
    if math.isnan(found.effect_size):
        return "pending", evidence
    if found.ci_lower > margin:
        return "bad", evidence
    return ("ok" if found.ci_upper <= margin else "warn"), evidence


def _receipts_matched(examined: Examined) -> Light:
    join = examined.join
    evidence: Evidence = {"receipts": join.receipts, "unmatched": join.unmatched_receipts}
    if join.receipts == 0:
        return "pending", evidence
    share = join.unmatched_receipts / join.receipts
    warn, bad = UNMATCHED_SHARES
    return ("bad" if share > bad else "warn" if share > warn else "ok"), evidence


def _nothing_lost(examined: Examined) -> Light:
    """As if all records that are missing had been about this campaign; nobody can tell."""
    kinds = [
        (is_much, missing / (missing + counted), topic, missing, counted)
        for topic, missing in examined.lost.items()
        for counted in (counted_of(topic, examined.live),)
        for is_much in (_is_much(missing, counted, examined.assigned),)
    ]
    if not kinds:
        return "ok", {"missing": 0}
    is_much, _, topic, missing, counted = max(kinds)
    evidence: Evidence = {"topic": topic, "missing": missing, "counted": counted}
    return ("bad" if is_much else "warn"), evidence


def _is_much(missing: int, counted: int, people: int) -> bool:
    return missing > max(MAX_LOST_SHARE * (missing + counted), MAX_DOUBLE_SHARE * people)


def _covariate_balanced(examined: Examined) -> Light:
    """Whether arms differ in what must have been known before they were made.

    They do when it was measured after the messages, or is missing in one arm, where it counts as 0.
    """
    if examined.campaign.covariate is None:
        return "ok", {"covariate": "none"}
    evidence: Evidence = {arm.variant_id: arm.past.mean for arm in examined.mature if arm.n}
    pvalues = _differences_of_past(examined)
    known = [p for p in pvalues if not math.isnan(p)]
    if not known:
        has_any = any(arm.n for arm in examined.mature)
        return ("warn" if has_any and pvalues else "pending"), evidence
    pvalue = min(1.0, min(known) * len(pvalues))
    warn, bad = COVARIATE_ALPHAS
    status: LightStatus = "bad" if pvalue < bad else "warn" if pvalue < warn else "ok"
    return status, {"pvalue": pvalue, **evidence}


def _differences_of_past(examined: Examined) -> list[float]:
    """p-values of the covariate, every treatment against the control; `nan` without any spread."""
    campaign = examined.campaign
    shares = planned_shares(campaign, examined.variants)
    control = next(arm for arm in examined.mature if arm.variant_id == campaign.control)
    treatments = [a for a in examined.mature if a is not control and a.variant_id != HOLDOUT]
    return [
        compare_sums(
            control.past,
            arm.past,
            level=1 - campaign.alpha,
            expected_n=expected_pair(campaign, shares, control.variant_id, arm.variant_id),
            at_any_time=examined.at_any_time,
        ).difference.pvalue
        for arm in treatments
    ]


_SEVERITY: Final = ("ok", "pending", "warn", "bad")
_CHECKS: Final[dict[str, Callable[[Examined], Light]]] = {
    "split_as_planned": _split_as_planned,
    "delivery_equal": _delivery_equal,
    "outcomes_mature": _outcomes_mature,
    "nobody_in_two_arms": _nobody_in_two_arms,
    "opt_outs_in_limit": _opt_outs_in_limit,
    "receipts_matched": _receipts_matched,
    "nothing_lost": _nothing_lost,
    "covariate_balanced": _covariate_balanced,
}
