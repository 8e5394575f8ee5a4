"""How a campaign is decided, in words: the plan that was frozen, and its price. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import tzinfo
from typing import Final

from dashboards import metrics
from dashboards.facts import Decision
from dashboards.format import count, moment, percent
from dashboards.texts import Words
from pipeline.rows import Comparison

_RULES: Final = {"fixed": "fixed", "sequential": "sequential", "bandit": "sequential"}


def rule_sentences(words: Words, decision: Decision, zone: tzinfo) -> list[str]:
    """The rule, its error, what counts as none, cap and covariate, version and fingerprint."""
    return [*_rule(words, decision, zone), *_refinements(words, decision), _plan(words, decision)]


def _rule(words: Words, decision: Decision, zone: tzinfo) -> Iterator[str]:
    campaign = decision.campaign
    yield words(
        f"rule.{_RULES.get(campaign.method, 'fixed')}",
        time=moment(campaign.defined_at_ms, zone),
        metric=metrics.name(words, campaign.metric),
        window=words.duration(campaign.window_ms / 1000),
    )
    treatments = len(decision.variants) - 1
    is_share = campaign.family == "bh" and treatments > 1
    if 0 < campaign.alpha < 1:
        yield words("rule.error.bh" if is_share else "rule.error", n=count(1 / campaign.alpha))
    if treatments > 1:
        yield words.first(
            f"rule.family.{campaign.family}", "rule.family.holm", n=treatments, arm=campaign.control
        )
    if campaign.minimum_effect > 0:
        size = metrics.size(words, campaign.metric, campaign.minimum_effect, campaign.currency)
        yield words("rule.limit", limit=size)


def _refinements(words: Words, decision: Decision) -> Iterator[str]:
    """Cap and covariate, with what they change."""
    campaign, deciding = decision.campaign, decision.compared(decision.campaign.metric)
    if campaign.cap_minor is not None:
        cap = metrics.size(words, "revenue_per_recipient", campaign.cap_minor, campaign.currency)
        yield words("rule.cap", cap=cap, raw=_raw(words, decision, deciding))
    if campaign.covariate is not None:
        yield words("rule.covariate", column=campaign.covariate, share=_less_noise(deciding))


def _raw(words: Words, decision: Decision, deciding: Comparison | None) -> str:
    campaign = decision.campaign
    amount = math.nan if deciding is None else deciding.raw_effect_size
    return metrics.difference(words, campaign.metric, amount, campaign.currency)


def _less_noise(deciding: Comparison | None) -> str:
    return percent(math.nan if deciding is None else max(0.0, 1 - deciding.variance_ratio))


def _plan(words: Words, decision: Decision) -> str:
    campaign = decision.campaign
    key = "rule.plan" if campaign.plan_version <= 1 else "rule.plan.changed"
    return words(key, version=campaign.plan_version, hash=campaign.plan_hash[:8])
