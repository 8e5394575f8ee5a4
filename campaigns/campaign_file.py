"""The campaign file: YAML text → a checked `Campaign`, or every problem at once."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final

import yaml

from campaigns.plan_rules import plan_conflict
from campaigns.template import TemplateError, fields_of
from schemas import reading
from schemas.events import (
    HOLDOUT,
    MAX_PRICE_MICRO,
    MAX_WINDOW_MS,
    Costs,
    Goal,
    Plan,
    Purpose,
    VariantDefinition,
)
from schemas.reading import Key, Problems, read_keys

_ID: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_DURATION: Final = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_UNIT_MS: Final = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
LINK: Final = "link"
"""The merge field that becomes the person's short link."""


class CampaignError(ValueError):
    """A campaign file that cannot be used; `problems` are sentences with path and fix."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


@dataclass(frozen=True, slots=True)
class Audience:
    """Where the recipients come from. `file` is relative to the campaign file."""

    file: str
    msisdn: str
    default_region: str


@dataclass(frozen=True, slots=True)
class Campaign:
    """A campaign as its file describes it."""

    campaign_id: str
    purpose: Purpose
    language: str
    connection: str
    source_addr: str
    audience: Audience
    variants: tuple[VariantDefinition, ...]
    control: str
    holdout: float
    goal: Goal
    costs: Costs
    plan: Plan
    guardrails: dict[str, float]
    analyse_by: tuple[str, ...]
    link_target: str | None
    rate_per_s: float | None

    @property
    def covariate(self) -> str | None:
        """Column of the audience that takes noise out of the goal."""
        return self.plan.covariate

    @property
    def shares(self) -> dict[str, float]:
        """Variant → share of those who are not held out."""
        return {variant.variant_id: variant.share for variant in self.variants}


def parse_campaign(source: str) -> Campaign:
    """Read the text of a campaign file.

    Raises:
        CampaignError: With every problem found, if there is any.
    """
    try:
        document = yaml.safe_load(source)
    except yaml.YAMLError as error:
        raise CampaignError([f"the file: is not YAML: {_one_line(error)}"]) from error
    problems = Problems()
    found = read_keys(document, "", _KEYS, problems)
    values = _nested(found, problems)
    variants = _variants(found.get("variants"), problems)
    _check_links(variants, values["links"], problems)
    control = found.get("control") or (variants[0].variant_id if variants else "")
    if variants and control not in {variant.variant_id for variant in variants}:
        problems.add("control", f"{control!r} must be one of the variants.")
    _check_plan(values, found.get("covariate"), problems)
    if problems.sentences:
        raise CampaignError(problems.sentences)
    return Campaign(
        campaign_id=found["campaign"],
        purpose=found["purpose"],
        language=found["language"],
        connection=found["connection"],
        source_addr=found["source_addr"],
        audience=Audience(**values["audience"]),
        variants=variants,
        control=control,
        holdout=found["holdout"],
        goal=Goal(
            metric=values["goal"]["metric"],
            window_ms=values["goal"]["window"],
            minimum_effect=values["goal"]["minimum_effect"],
        ),
        costs=Costs(**values["costs"]),
        plan=Plan(**values["plan"], covariate=found["covariate"]),
        guardrails=values["guardrails"],
        analyse_by=found["analyse_by"],
        link_target=values["links"].get("target"),
        rate_per_s=values["schedule"].get("rate_per_s"),
    )


def duration_ms(value: Any) -> int:
    """`90s`, `30m`, `2h`, `5d` in milliseconds.

    Examples:
        >>> duration_ms("90s"), duration_ms("5d")
        (90000, 432000000)
    """
    found = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if found is None or float(found[1]) <= 0:
        raise ValueError("must be a duration such as 90s, 30m, 2h or 5d.")
    return round(float(found[1]) * _UNIT_MS[found[2]])


def _window_ms(value: Any) -> int:
    window_ms = duration_ms(value)
    if not 1 <= window_ms <= MAX_WINDOW_MS:
        raise ValueError("must be at least a millisecond and at most 366d.")
    return window_ms


def _campaign_id(value: Any) -> str:
    if not isinstance(value, str) or not _ID.fullmatch(value):
        raise ValueError("must be lower case letters, digits and dashes, at most 63.")
    return value


def _source_addr(value: Any) -> str:
    """SMPP 3.4 §5.2.8: 20 octets; alphanumeric senders have at most 11."""
    address = str(value) if isinstance(value, int) else value
    is_digits = isinstance(address, str) and address.isdigit()
    if not isinstance(address, str) or not address.isascii() or not address:
        raise ValueError("must be digits or at most 11 letters.")
    if len(address) > (20 if is_digits else 11):
        raise ValueError("must be at most 20 digits or 11 letters.")
    return address


def _currency(value: Any) -> str:
    if not isinstance(value, str) or not re.fullmatch("[A-Z]{3}", value):
        raise ValueError("must be an ISO 4217 code such as CNY.")
    return value


_METRICS: Final = (
    "conversion_rate",
    "click_rate",
    "reply_rate",
    "revenue_per_recipient",
    "profit_per_recipient",
)
_KEYS: Final = {
    "campaign": Key(_campaign_id),
    "purpose": Key(reading.one_of("promotional", "transactional", "service", "otp")),
    "language": Key(reading.text, "en"),
    "connection": Key(reading.text),
    "source_addr": Key(_source_addr),
    "audience": Key(reading.anything),
    "analyse_by": Key(reading.texts, ()),
    "covariate": Key(reading.text, None),
    "holdout": Key(reading.number(0, 0.9), 0.0),
    "control": Key(reading.text, None),
    "variants": Key(reading.anything),
    "links": Key(reading.anything, {}),
    "goal": Key(reading.anything),
    "guardrails": Key(reading.anything, {}),
    "costs": Key(reading.anything),
    "plan": Key(reading.anything, {}),
    "schedule": Key(reading.anything, {}),
}
_NESTED: Final = {
    "audience": {
        "file": Key(reading.text),
        "msisdn": Key(reading.text, "msisdn"),
        "default_region": Key(reading.text, ""),
    },
    "links": {
        "target": Key(reading.text, None),
        "mode": Key(reading.one_of("per_recipient"), "per_recipient"),
    },
    "goal": {
        "metric": Key(reading.one_of(*_METRICS)),
        "window": Key(_window_ms),
        "minimum_effect": Key(reading.number(0, 1e12)),
    },
    "costs": {
        "currency": Key(_currency),
        "price_per_segment_micro": Key(reading.whole(0, MAX_PRICE_MICRO)),
        "billed_on": Key(reading.one_of("submitted", "accepted", "delivered"), "accepted"),
        "margin": Key(reading.number(0, 1), 1.0),
        "opt_out_cost_minor": Key(reading.whole(0, 10**12), 0),
    },
    "plan": {
        "method": Key(reading.one_of("fixed", "sequential", "bandit"), "fixed"),
        "alpha": Key(reading.number(0.0001, 0.5), 0.05),
        "power": Key(reading.number(0.5, 0.999), 0.8),
        "expected_n": Key(reading.whole(2, 2**31 - 1), None),
        "family": Key(reading.one_of("holm", "bonferroni", "bh", "dunnett"), "holm"),
        "cap_minor": Key(reading.whole(1, 10**12), None),
    },
    "schedule": {
        "start": Key(reading.anything, None),
        "waves": Key(reading.anything, None),
        "rate_per_s": Key(reading.number(0.1, 1e6), None),
    },
}
_GUARDRAIL: Final = {"margin": Key(reading.number(0, 1))}
_VARIANT: Final = {"share": Key(reading.number(0.001, 1)), "template": Key(reading.text)}


def _nested(found: dict[str, Any], problems: Problems) -> dict[str, dict[str, Any]]:
    values = {
        name: read_keys(found[name], name, keys, problems) if name in found else {}
        for name, keys in _NESTED.items()
    }
    guardrails = found.get("guardrails", {})
    limits = read_keys(
        guardrails, "guardrails", {"opt_out_rate": Key(reading.anything, None)}, problems
    )
    values["guardrails"] = {
        name: read.get("margin", 0.0)
        for name, rule in limits.items()
        if rule is not None
        and (read := read_keys(rule, f"guardrails.{name}", _GUARDRAIL, problems))
    }
    return values


def _variants(value: Any, problems: Problems) -> tuple[VariantDefinition, ...]:
    if value is None:
        return ()
    if not isinstance(value, dict) or not value:
        problems.add("variants", "must be a mapping such as A: {share: 0.5, template: …}.")
        return ()
    variants = []
    for name, body in value.items():
        path = f"variants.{name}"
        found = read_keys(body, path, _VARIANT, problems)
        if not re.fullmatch(r"[A-Za-z0-9_-]{1,32}", str(name)) or str(name) == HOLDOUT:
            problems.add(path, f"must be 1-32 letters, digits, dashes, and not {HOLDOUT!r}.")
        if len(found) == len(_VARIANT):
            _check_template(found["template"], path, problems)
            variants.append(VariantDefinition(variant_id=str(name), **found))
    total = sum(variant.share for variant in variants)
    if len(variants) == len(value) and abs(total - 1) > 1e-6:
        problems.add("variants", f"shares must add up to 1, they add up to {total:g}.")
    return tuple(variants)


def _check_template(template: str, path: str, problems: Problems) -> None:
    try:
        fields_of(template)
    except TemplateError as error:
        problems.add(f"{path}.template", str(error))


def _check_plan(
    values: dict[str, dict[str, Any]], covariate: str | None, problems: Problems
) -> None:
    plan, goal = values["plan"], values["goal"]
    if not {"method", "family"} <= plan.keys() or "metric" not in goal:
        return
    conflict = plan_conflict(
        method=plan["method"],
        family=plan["family"],
        metric=goal["metric"],
        covariate=covariate,
    )
    if conflict is not None:
        place, _, sentence = conflict.partition(": ")
        problems.add(place, sentence)


def _check_links(
    variants: tuple[VariantDefinition, ...], links: dict[str, Any], problems: Problems
) -> None:
    uses_link = any("{{link" in variant.template.replace(" ", "") for variant in variants)
    if uses_link and not links.get("target"):
        problems.add("links.target", "is missing, but a template uses {{link}}.")


def _one_line(error: yaml.YAMLError) -> str:
    return " ".join(str(error).split())
