"""The campaign file: what is read, and how mistakes are told."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from campaigns.campaign_file import CampaignError, parse_campaign
from campaigns.definition import definition_of, plan_hash

EXAMPLE = (Path(__file__).parents[2] / "examples/double11/campaign.yaml").read_text("utf-8")


def changed(path: str, value: object) -> str:
    """The example with one key replaced (or removed, for None)."""
    document = yaml.safe_load(EXAMPLE)
    *parents, last = path.split(".")
    place = document
    for name in parents:
        place = place[name]
    if value is None:
        del place[last]
    else:
        place[last] = value
    return yaml.safe_dump(document, allow_unicode=True)


def test_the_demo_campaign_is_read() -> None:
    """Every part of the example file arrives in the campaign."""
    campaign = parse_campaign(EXAMPLE)
    assert campaign.shares == {"A": 0.5, "B": 0.5}
    assert (campaign.control, campaign.holdout) == ("A", 0.1)
    assert campaign.goal.window_ms == 60_000
    assert campaign.guardrails == {"opt_out_rate": 0.01}
    assert campaign.costs.price_per_segment_micro == 45_000


@pytest.mark.parametrize(
    ("path", "value", "sentence"),
    [
        ("campaign", "Double 11", "campaign: 'Double 11' must be lower case"),
        ("purpose", None, "purpose: is missing."),
        ("purpose", "spam", "purpose: 'spam' must be one of promotional"),
        ("holdout", 1.5, "holdout: 1.5 must be a number from 0 to 0.9."),
        ("goal.window", "5 days", "goal.window: '5 days' must be a duration such as 90s"),
        ("goal.window", "367d", "goal.window: '367d' must be at least a millisecond and at most"),
        ("goal.window", "0.0001s", "goal.window: '0.0001s' must be at least a millisecond"),
        ("costs.price_per_segment_micro", 10**9 + 1, "must be a whole number from 0 to 1000000000"),
        ("goal.metric", "clicks", "goal.metric: 'clicks' must be one of"),
        ("variants.B.share", 0.7, "variants: shares must add up to 1, they add up to 1.2."),
        ("variants.B.template", "{{name", "variants.B.template: '{{name' has an unpaired"),
        ("variants.B.template", "{{a+b}}", "'{{a+b}}' must be {{field}} or"),
        ("links", {}, "links.target: is missing, but a template uses {{link}}."),
        ("control", "C", "control: 'C' must be one of the variants."),
        ("costs.currency", "yuan", "costs.currency: 'yuan' must be an ISO 4217 code"),
        ("source_addr", "ABCDEFGHIJKL", "at most 20 digits or 11 letters"),
        ("variants", [], "variants: must be a mapping"),
        ("holdouts", 0.1, "holdouts: is not a known key; did you mean holdout?"),
        ("goal.windw", "5d", "goal.windw: is not a known key; did you mean window?"),
        ("guardrails", {"opt_out_rate": {"margin": 3}}, "guardrails.opt_out_rate.margin: 3 must"),
    ],
)
def test_a_mistake_is_one_sentence_with_path_and_fix(
    path: str, value: object, sentence: str
) -> None:
    """Every mistake names where it is and what would be right."""
    with pytest.raises(CampaignError) as error:
        parse_campaign(changed(path, value))
    assert any(sentence in problem for problem in error.value.problems), error.value.problems


def test_all_mistakes_are_told_at_once() -> None:
    """Nobody has to fix a file one run at a time."""
    text = changed("purpose", "spam").replace("window: 60s", "window: soon")
    with pytest.raises(CampaignError) as error:
        parse_campaign(text)
    assert len(error.value.problems) == 2


@pytest.mark.parametrize(
    ("keys", "sentence"),
    [
        ({"plan": {"family": "fdr"}}, "plan.family: 'fdr' must be one of holm, bonferroni"),
        ({"plan": {"cap_minor": 0}}, "plan.cap_minor: 0 must be a whole number from 1"),
        (
            {"plan": {"method": "sequential", "family": "bh"}},
            "plan.family: 'bh' holds for one look only; with method sequential use holm",
        ),
        ({"plan": {"method": "bandit", "family": "dunnett"}}, "plan.family: 'dunnett' holds for"),
        (
            {
                "plan": {"family": "dunnett"},
                "goal": {"metric": "click_rate", "window": "60s", "minimum_effect": 0.01},
            },
            "plan.family: 'dunnett' compares means of equal spread; with metric click_rate",
        ),
        ({"plan": {"family": "dunnett"}, "covariate": "past"}, "'dunnett' knows no covariate"),
    ],
)
def test_a_family_that_cannot_keep_its_promise_is_refused(
    keys: dict[str, object], sentence: str
) -> None:
    """A ValueError that names the rule, before anything is sent."""
    document = yaml.safe_load(EXAMPLE) | keys
    with pytest.raises(ValueError, match="plan") as error:
        parse_campaign(yaml.safe_dump(document, allow_unicode=True))
    assert sentence in str(error.value)


@pytest.mark.parametrize(
    "keys",
    [
        {"plan": {"family": "bonferroni"}},
        {"plan": {"family": "bh"}},
        {"plan": {"family": "dunnett"}},
        {"plan": {"cap_minor": 50_000}},
        {"plan": {"method": "sequential"}},
        {"plan": {"alpha": 0.01}},
        {"plan": {"power": 0.9}},
        {"covariate": "loyalty_points"},
        {"analyse_by": ["loyalty"]},
        {"holdout": 0.2},
        {"guardrails": {"opt_out_rate": {"margin": 0.02}}},
    ],
)
def test_every_part_of_the_plan_is_frozen_and_hashed(keys: dict[str, object]) -> None:
    """Family, cap and covariate travel in the definition; a change of any part is another hash."""
    original = parse_campaign(EXAMPLE)
    assert (original.plan.family, original.plan.cap_minor) == ("holm", None)
    other = parse_campaign(yaml.safe_dump(yaml.safe_load(EXAMPLE) | keys, allow_unicode=True))
    definition = definition_of(other, now_ms=1, audience_size=10)
    assert definition.plan_hash != plan_hash(original, 10)
    assert definition.plan.covariate == keys.get("covariate")
    plan = keys.get("plan", {})
    assert isinstance(plan, dict)
    assert all(getattr(definition.plan, name) == value for name, value in plan.items())


@given(st.text(max_size=200))
def test_no_text_makes_the_reader_raise_anything_else(text: str) -> None:
    """Whatever stands in the file, there is a campaign or a list of sentences."""
    try:
        parse_campaign(text)
    except CampaignError as error:
        problems = error.problems
        assert problems


def test_the_plan_hash_changes_with_what_decides_and_with_nothing_else() -> None:
    """A changed window is another plan; another sender is not."""
    original = parse_campaign(EXAMPLE)
    assert plan_hash(parse_campaign(changed("source_addr", "10690002"))) == plan_hash(original)
    assert plan_hash(parse_campaign(changed("goal.window", "61s"))) != plan_hash(original)
    definition = definition_of(original, now_ms=1, audience_size=10)
    assert definition.plan_hash == plan_hash(original, 10) != plan_hash(original, 11)
    assert definition.plan.expected_n == 10
