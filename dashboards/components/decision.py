"""The parts of the decision page, put together."""

from __future__ import annotations

from datetime import tzinfo
from typing import Final

from dashboards import metrics
from dashboards.components.economics import economics_html
from dashboards.components.forest import forest_html
from dashboards.components.funnel import funnel_html
from dashboards.components.html import esc, section
from dashboards.components.lights import lights_html
from dashboards.components.texts import texts_html
from dashboards.components.verdict import banner_html
from dashboards.facts import Decision
from dashboards.format import count, moment
from dashboards.light_words import lights
from dashboards.texts import Words
from dashboards.verdict_words import banner


def head(words: Words, decision: Decision) -> str:
    """The campaign's name and what is compared."""
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
    return section(words, "head", f"<h1>{esc(campaign.campaign_id)}</h1><p>{esc(sub)}</p>")


def verdict(words: Words, decision: Decision, now_ms: int) -> str:
    """The banner."""
    return banner_html(words, banner(words, decision, now_ms))


def trust(words: Words, decision: Decision) -> str:
    """The trust lights."""
    return lights_html(words, lights(words, decision))


def results(words: Words, decision: Decision) -> str:
    """Funnel, forest plot, money."""
    if not decision.shown:
        return ""
    chip = _chip(words, decision)
    pair = funnel_html(words, decision, chip) + forest_html(words, decision, chip)
    return f'<div class="two">{pair}</div>' + economics_html(words, decision, chip)


def texts(words: Words, decision: Decision) -> str:
    """What was sent."""
    return texts_html(words, decision) if decision.variants else ""


_RULES: Final = {"fixed": "fixed", "sequential": "sequential", "bandit": "sequential"}


def rule(words: Words, decision: Decision, zone: tzinfo) -> str:
    """How it is decided, folded."""
    campaign = decision.campaign
    lines = [
        words(
            f"rule.{_RULES.get(campaign.method, 'fixed')}",
            time=moment(campaign.defined_at_ms, zone),
            metric=metrics.name(words, campaign.metric),
            window=words.duration(campaign.window_ms / 1000),
        )
    ]
    if 0 < campaign.alpha < 1:
        lines.append(words("rule.error", n=count(1 / campaign.alpha)))
    if campaign.minimum_effect > 0:
        size = metrics.size(words, campaign.metric, campaign.minimum_effect, campaign.currency)
        lines.append(words("rule.limit", limit=size))
    lines.append(words("rule.plan", version=campaign.plan_version, hash=campaign.plan_hash[:8]))
    body = f"<summary>{esc(words('rule.title'))}</summary><p>{esc(words.gap.join(lines))}</p>"
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
