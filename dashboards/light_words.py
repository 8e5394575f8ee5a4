"""The trust lights in words: what was checked and the numbers behind it. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from dashboards import metrics
from dashboards.facts import Decision
from dashboards.format import average, count, percent
from dashboards.texts import Words
from pipeline.rows import CHECKS, HealthCheck, LightStatus

Evidence = Mapping[str, float | int | str]


@dataclass(frozen=True, slots=True)
class Light:
    """One light: status, title, proof."""

    status: LightStatus
    title: str
    proof: str


def lights(words: Words, decision: Decision) -> list[Light]:
    """The lights in the order of `CHECKS`; that of the covariate where the plan has one."""
    has_none = decision.campaign.covariate is None
    hidden = "covariate_balanced" if has_none else ""
    return [
        _light(words, decision, decision.lights[name])
        for name in CHECKS
        if name in decision.lights and name != hidden
    ]


def summary(words: Words, shown: list[Light]) -> str:
    """How many passed."""
    passed = sum(light.status == "ok" for light in shown)
    off = sum(light.status in {"warn", "bad"} for light in shown)
    key = "some" if off else "all" if passed == len(shown) else "pending"
    return words(f"lights.{key}", n=len(shown), ok=passed, bad=off)


def _light(words: Words, decision: Decision, check: HealthCheck) -> Light:
    name = f"light.{check.check}"
    is_off = check.status in {"warn", "bad"} or (
        check.check == "outcomes_mature" and check.status == "pending"
    )
    keys = (f"{name}.{check.status}", f"{name}.off", name) if is_off else (name,)
    proof = _PROOFS[check.check](words, decision, check.evidence)
    return Light(check.status, words.first(*keys), proof or words("proof.waiting"))


def _split(words: Words, decision: Decision, evidence: Evidence) -> str:
    total = decision.assigned
    if not total:
        return ""
    arms = [r.variant_id for r in decision.shown]
    return " / ".join(percent(float(evidence.get(arm, 0)) / total) for arm in arms)


def _delivery(words: Words, decision: Decision, evidence: Evidence) -> str:
    rates = [evidence[r.variant_id] for r in decision.sent if r.variant_id in evidence]
    return " / ".join(percent(float(rate)) for rate in rates)


def _mature(words: Words, decision: Decision, evidence: Evidence) -> str:
    audience = float(evidence.get("audience", 0))
    if not audience:
        return ""
    share = float(evidence.get("mature", 0)) / audience
    left = float(evidence.get("seconds_left", 0))
    if share < 1 and left > 0:
        return words("proof.left", share=percent(share), left=words.duration(left))
    mature = count(float(evidence.get("mature", 0)))
    return words("proof.of", n=mature, total=count(audience))


def _double(words: Words, decision: Decision, evidence: Evidence) -> str:
    return _part(words, evidence, "double_assigned", "assigned")


def _receipts(words: Words, decision: Decision, evidence: Evidence) -> str:
    return _part(words, evidence, "unmatched", "receipts")


def _lost(words: Words, decision: Decision, evidence: Evidence) -> str:
    if "topic" not in evidence:
        return words("proof.nothing_lost")
    kind = words(f"kind.{evidence['topic']}")
    return words("proof.lost", n=count(float(evidence["missing"])), kind=kind)


def _past(words: Words, decision: Decision, evidence: Evidence) -> str:
    means = [evidence[r.variant_id] for r in decision.shown if r.variant_id in evidence]
    return f"{decision.campaign.covariate}: {' / '.join(average(float(mean)) for mean in means)}"


def _opt_outs(words: Words, decision: Decision, evidence: Evidence) -> str:
    if evidence.get("margin") == "none":
        return words("proof.no_limit")
    effect = float(evidence.get("effect_size", math.nan))
    if math.isnan(effect):
        return ""
    return words(
        "proof.opt_outs",
        arm=evidence.get("variant_id", ""),
        effect=metrics.difference(words, "opt_out_rate", effect, ""),
        margin=metrics.size(words, "opt_out_rate", float(evidence["margin"]), ""),
    )


def _part(words: Words, evidence: Evidence, part: str, whole: str) -> str:
    total = float(evidence.get(whole, 0))
    if not total:
        return ""
    return words("proof.of", n=count(float(evidence.get(part, 0))), total=count(total))


_PROOFS: Final[Mapping[str, Callable[[Words, Decision, Evidence], str]]] = {
    "split_as_planned": _split,
    "delivery_equal": _delivery,
    "outcomes_mature": _mature,
    "nobody_in_two_arms": _double,
    "opt_outs_in_limit": _opt_outs,
    "receipts_matched": _receipts,
    "nothing_lost": _lost,
    "covariate_balanced": _past,
}
