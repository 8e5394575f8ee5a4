"""The verdict in words: what to do, why, and what it is worth. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from dashboards import metrics
from dashboards.facts import MONEY, Decision
from dashboards.format import average, count, money, percent
from dashboards.texts import Words
from pipeline.rows import Comparison, Verdict, VerdictKind
from schemas.events import HOLDOUT

Fields = dict[str, object]
Tone = str
TONES: Final[Mapping[VerdictKind, Tone]] = {
    "collecting": "wait",
    "ship": "good",
    "stop": "bad",
    "no_meaningful_difference": "calm",
    "your_call": "warn",
    "do_not_trust": "bad",
}


@dataclass(frozen=True, slots=True)
class Banner:
    """The words of the banner. `progress` is a share of 0 to 1 while results are collected."""

    tone: Tone
    say: str
    why: str
    big: str = ""
    lead: str = ""
    details: tuple[str, ...] = field(default=())
    progress: float | None = None
    mark: str = ""
    """Instead of the mark of the tone."""


def banner(words: Words, decision: Decision, now_ms: int) -> Banner:
    """The verdict of a campaign; `now_ms` counts down while results are collected."""
    verdict = decision.verdict
    if verdict is None or verdict.verdict == "collecting":
        return _collecting(words, decision, now_ms)
    fields = _fields(words, decision, verdict)
    big, lead, details = _worth(words, decision, verdict)
    return Banner(
        tone=TONES.get(verdict.verdict, "warn"),
        say=words.first(f"say.{verdict.reason}", f"say.{verdict.verdict}", **fields),
        why=_why(words, decision, verdict, fields),
        big=big,
        lead=lead,
        details=details,
    )


def _collecting(words: Words, decision: Decision, now_ms: int) -> Banner:
    share = decision.matured / decision.audience if decision.audience else 0.0
    numbers = {
        "mature": count(decision.matured),
        "assigned": count(decision.assigned),
        "audience": count(decision.audience),
        "window": words.duration(decision.campaign.window_ms / 1000),
    }
    is_sending = 0 < decision.assigned < decision.audience
    lines = (words("progress.assigned", **numbers),) if is_sending else ()
    left = decision.seconds_left
    lead = ""
    if left is not None and decision.assigned:
        rest = left - (now_ms - decision.info.snapshot_at_ms) / 1000
        key = "progress.left.more" if is_sending else "progress.left"
        lead = words(key, left=words.duration(rest))
        lead = lead if rest > 0 else words("progress.done")
    return Banner(
        tone="wait",
        say=words("say.collecting"),
        why=_why_collecting(words, decision, numbers),
        big=percent(math.floor(share * 100) / 100) if decision.assigned else "",
        lead=lead,
        details=lines,
        progress=share if decision.assigned else None,
    )


def _why_collecting(words: Words, decision: Decision, numbers: Mapping[str, str]) -> str:
    campaign, verdict = decision.campaign, decision.verdict
    if not decision.assigned:
        return words("why.nobody_assigned")
    reason = verdict.reason if verdict else "outcomes_not_mature"
    light = decision.lights.get("outcomes_mature")
    smallest = float(light.evidence.get("detectable_effect", math.nan)) if light else math.nan
    keys = [f"why.{reason}", "why.outcomes_not_mature"]
    if campaign.method != "fixed":
        keys.insert(0, f"why.{reason}.sequential")
    return words.first(
        *keys,
        **numbers,
        metric=metrics.name(words, campaign.metric),
        limit=metrics.size(words, campaign.metric, campaign.minimum_effect, campaign.currency),
        detectable=metrics.size(words, campaign.metric, smallest, campaign.currency),
    )


def _why(words: Words, decision: Decision, verdict: Verdict, fields: Fields) -> str:
    text = words.first(f"why.{verdict.reason}", f"why.{verdict.verdict}", **fields)
    if verdict.evidence.get("stopped_early") and verdict.verdict == "ship":
        text += words.gap + words("why.stopped_early")
    is_guarded = not math.isnan(decision.campaign.opt_out_margin)
    if verdict.reason == "treatment_earns_more" and is_guarded:
        text += words.gap + words("why.guarded")
    return text


def _fields(words: Words, decision: Decision, verdict: Verdict) -> Fields:
    """Everything a sentence may name, from the newest rows: a verdict keeps its first evidence."""
    campaign, evidence = decision.campaign, verdict.evidence
    deciding = _deciding(decision, verdict)
    size = metrics.size(words, campaign.metric, campaign.minimum_effect, campaign.currency)
    margin = metrics.size(words, "opt_out_rate", campaign.opt_out_margin, campaign.currency)
    fields: Fields = {
        "arm": verdict.variant_id or "",
        "metric": metrics.name(words, campaign.metric),
        "limit": size,
        "margin": margin,
        "control": campaign.control,
        "treatment": deciding.treatment if deciding else str(evidence.get("treatment", "")),
        "fault": str(evidence.get("fault", "")),
        **_sides(campaign.metric, campaign.currency, deciding, verdict),
    }
    return fields | _broken(words, decision, verdict.reason)


_ABOUT_ONE: Final = ("opt_outs_not_ruled_out", "interval_undefined", "too_few_events")
"""Reasons that are about the treatment of their evidence, which need not be the best."""


def _deciding(decision: Decision, verdict: Verdict) -> Comparison | None:
    winner = verdict.variant_id
    treatment = winner if winner not in {None, decision.campaign.control} else None
    if treatment is None and verdict.reason in _ABOUT_ONE:
        treatment = str(verdict.evidence.get("treatment", "")) or None
    return decision.compared(decision.campaign.metric, treatment)


def _sides(
    metric: str, currency: str, deciding: Comparison | None, verdict: Verdict
) -> dict[str, object]:
    if deciding is None:
        return dict.fromkeys(("best", "other", "best_value", "other_value"), "")
    treatment = deciding.treatment, metrics.value(metric, deciding.treatment_value, currency)
    control = deciding.control, metrics.value(metric, deciding.control_value, currency)
    keeps_control = verdict.verdict == "ship" and verdict.variant_id == deciding.control
    best, other = (control, treatment) if keeps_control else (treatment, control)
    return {"best": best[0], "best_value": best[1], "other": other[0], "other_value": other[1]}


def _broken(words: Words, decision: Decision, reason: str) -> Fields:
    find = _BROKEN.get(reason)
    return {} if find is None else find(words, decision)


def _split(words: Words, decision: Decision) -> Fields:
    """The arm whose share is farthest from its plan."""
    live = {r.variant_id: r.counters.assigned for r in decision.results if r.maturity == "live"}
    held = decision.campaign.holdout
    planned = {v.variant_id: v.share * (1 - held) for v in decision.variants} | {HOLDOUT: held}
    total = decision.assigned or 1
    worst = max(live, key=lambda arm: abs(live[arm] / total - planned.get(arm, 0)), default=HOLDOUT)
    return {
        "arm": metrics.arm(words, worst),
        "share": percent(live.get(worst, 0) / total),
        "planned": percent(planned.get(worst, 0)),
    }


def _double(words: Words, decision: Decision) -> Fields:
    return _of(decision, "nobody_in_two_arms", "double_assigned", "assigned")


def _receipts(words: Words, decision: Decision) -> Fields:
    return _of(decision, "receipts_matched", "unmatched", "receipts")


def _lost(words: Words, decision: Decision) -> Fields:
    light = decision.lights.get("nothing_lost")
    topic = str(light.evidence.get("topic", "")) if light else ""
    kind = words(f"kind.{topic}") if topic else ""
    return {"kind": kind, **_of(decision, "nothing_lost", "missing", "counted")}


def _past(words: Words, decision: Decision) -> Fields:
    light = decision.lights.get("covariate_balanced")
    evidence = light.evidence if light else {}
    arms = [r.variant_id for r in decision.shown if r.variant_id in evidence]
    values = (f"{metrics.arm(words, arm)} {average(float(evidence[arm]))}" for arm in arms)
    return {"column": decision.campaign.covariate or "", "values": " / ".join(values)}


def _opt_outs(words: Words, decision: Decision) -> Fields:
    light = decision.lights.get("opt_outs_in_limit")
    effect = float(light.evidence.get("effect_size", math.nan)) if light else math.nan
    return {"effect": metrics.difference(words, "opt_out_rate", effect, "")}


def _of(decision: Decision, check: str, part: str, whole: str) -> Fields:
    light = decision.lights.get(check)
    evidence = light.evidence if light else {}
    return {
        "n": count(float(evidence.get(part, math.nan))),
        "total": count(float(evidence.get(whole, math.nan))),
    }


_BROKEN: Final[Mapping[str, Callable[[Words, Decision], Fields]]] = {
    "split_as_planned": _split,
    "nobody_in_two_arms": _double,
    "nothing_lost": _lost,
    "receipts_matched": _receipts,
    "covariate_balanced": _past,
    "opt_outs_in_limit": _opt_outs,
}

Worth = tuple[str, str, tuple[str, ...]]
"""The big figure, what it is, and the lines below."""


def _worth(words: Words, decision: Decision, verdict: Verdict) -> Worth:
    """What following the verdict is worth, in money where it can be said."""
    if verdict.verdict == "do_not_trust":
        lead = words.first(f"money.none.{verdict.reason}", "money.none.do_not_trust")
        return words("money.none"), lead, ()
    if verdict.verdict == "stop":
        return _worth_of_stopping(words, decision)
    control = HOLDOUT if verdict.reason == "one_variant" else None
    deciding = _deciding(decision, verdict)
    treatment = deciding.treatment if deciding else None
    found = decision.compared(MONEY, treatment, control)
    if found is None or math.isnan(found.ci_lower):
        return words("money.none"), words("money.none.undefined"), ()
    return _worth_in_money(words, decision, verdict, found)


def _worth_in_money(words: Words, decision: Decision, verdict: Verdict, found: Comparison) -> Worth:
    currency, people = decision.campaign.currency, decision.audience
    keeps_control = verdict.verdict == "ship" and verdict.variant_id == found.control
    flip = -1 if keeps_control else 1
    each = flip * found.effect_size
    low, high = sorted((flip * found.ci_lower, flip * found.ci_upper))
    sides = found.control, found.treatment
    best, other = sides if keeps_control else sides[::-1]
    fields = {
        "n": count(people),
        "best": metrics.arm(words, best),
        "other": metrics.arm(words, other),
        "lo": money(low * people, currency, sign=True),
        "hi": money(high * people, currency, sign=True),
        "each": money(each, currency, sign=True),
        "thousand": money(each * 1000, currency, sign=True),
    }
    if verdict.verdict == "ship":
        key = "money.audience" if each > 0 else "money.audience.less"
        big = money(each * people, currency, sign=True)
        return big, words(key, **fields), (words("likely", **fields), words("money.each", **fields))
    key = "money.open.holdout" if other == HOLDOUT else "money.open"
    return words("range", **fields), words(key, **fields), (words("money.each", **fields),)


def _worth_of_stopping(words: Words, decision: Decision) -> Worth:
    campaign = decision.campaign
    margin = metrics.size(words, "opt_out_rate", campaign.opt_out_margin, campaign.currency)
    effect = str(_opt_outs(words, decision)["effect"])
    lead = words("money.opt_outs", control=campaign.control)
    return effect, lead, (words("money.opt_outs.limit", margin=margin),)
