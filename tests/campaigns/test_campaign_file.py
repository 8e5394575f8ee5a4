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
