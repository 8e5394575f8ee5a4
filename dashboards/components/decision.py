"""The parts of the decision page, put together."""

from __future__ import annotations

from datetime import tzinfo

from dashboards import metrics
from dashboards.components.economics import economics_html
from dashboards.components.forest import forest_html
from dashboards.components.funnel import funnel_html
from dashboards.components.html import esc, section
from dashboards.components.lights import lights_html
from dashboards.components.segments import segments_html
from dashboards.components.texts import texts_html
from dashboards.components.verdict import banner_html
from dashboards.facts import Decision
from dashboards.format import count, moment
from dashboards.light_words import lights
from dashboards.rule_words import rule_sentences
from dashboards.texts import Words
from dashboards.verdict_words import banner


def head(words: Words, decision: Decision) -> str:
    """The campaign's name, what is compared, and whether the plan was changed."""
    campaign = decision.campaign
    others = [v.variant_id for v in decision.variants if v.variant_id != campaign.control]
    against = words(
        "head.against" if others else "head.one",
        control=campaign.control,
        others=words("list").join(others),
    )
    sub = words(
        "head.sub",
        arms=against,
        metric=metrics.name(words, campaign.metric),
        window=words.duration(campaign.window_ms / 1000),
    )
    version = campaign.plan_version
    mark = words("head.changed", version=version) if version > 1 else ""
    chip = f'<em class="chip">{esc(mark)}</em>' if mark else ""
    body = f"<h1>{esc(campaign.campaign_id)}</h1><p>{esc(sub)} {chip}</p>"
    return section(words, "head", body)


def verdict(words: Words, decision: Decision, now_ms: int) -> str:
    """The banner."""
    return banner_html(words, banner(words, decision, now_ms))


def trust(words: Words, decision: Decision) -> str:
    """The trust lights."""
    return lights_html(words, lights(words, decision))


def results(words: Words, decision: Decision) -> str:
    """Funnel, forest plot, money, segments."""
    if not decision.shown:
        return ""
    chip = _chip(words, decision)
    pair = funnel_html(words, decision, chip) + forest_html(words, decision, chip)
    money = economics_html(words, decision, chip)
    return f'<div class="two">{pair}</div>{money}{segments_html(words, decision)}'


def texts(words: Words, decision: Decision) -> str:
    """What was sent."""
    return texts_html(words, decision) if decision.variants else ""


def rule(words: Words, decision: Decision, zone: tzinfo) -> str:
    """How it is decided, folded."""
    told = words.gap.join(rule_sentences(words, decision, zone))
    body = f"<summary>{esc(words('rule.title'))}</summary><p>{esc(told)}</p>"
    return section(words, "rule", f"<details>{body}</details>")


def foot(words: Words, decision: Decision, zone: tzinfo) -> str:
    """Which snapshot this is."""
    info = decision.info
    text = words(
        "foot",
        n=count(info.snapshot),
        time=moment(info.snapshot_at_ms, zone),
        zone=zone,
        events=count(info.events_applied),
    )
    return section(words, "foot", esc(text))


def _chip(words: Words, decision: Decision) -> str:
    if decision.maturity == "live":
        return words("chip.live")
    if decision.matured < decision.assigned:
        return words("chip.part", n=count(decision.matured))
    return ""
