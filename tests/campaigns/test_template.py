"""Templates and previews."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from campaigns.campaign_file import parse_campaign
from campaigns.preview import preview
from campaigns.template import MissingField, TemplateError, fields_of, render
from tests.campaigns.test_campaign_file import EXAMPLE

PLAIN = st.text().filter(lambda text: "{{" not in text and "}}" not in text)


@given(PLAIN, PLAIN.filter(bool))
def test_values_stand_where_the_fields_were(text: str, value: str) -> None:
    """Everything around a field stays as it is, and values are never read as templates."""
    prefix = text.rstrip("{")
    assert render(prefix + "{{用户名}}", {"用户名": value}) == prefix + value


def test_a_default_fills_an_empty_field() -> None:
    """Absent and empty are the same."""
    template = '{{shop | default: "云店"}}'
    assert [render(template, values) for values in ({}, {"shop": ""}, {"shop": "X"})] == [
        "云店",
        "云店",
        "X",
    ]


def test_a_missing_field_is_named() -> None:
    """Nobody receives a text with a hole."""
    with pytest.raises(MissingField, match="用户名"):
        render("{{用户名}}!", {})


@pytest.mark.parametrize("template", ["{{", "}}", "{{a}} {{", "{{}}", "{{1a}}", "{{a | b}}"])
def test_a_broken_template_is_refused(template: str) -> None:
    """Unpaired or unreadable tags are found before anything is sent."""
    with pytest.raises(TemplateError):
        fields_of(template)


def test_a_preview_counts_what_will_be_billed() -> None:
    """Segments, encoding and cost come from the code that encodes."""
    campaign = parse_campaign(EXAMPLE)
    values = {"用户名": "小明", "店铺名": "云店"}
    first, second = preview(campaign, values, link="https://s.example/abcdefghij")
    assert (first.encoding, first.segments, first.cost_micro) == ("ucs2", 1, 45_000)
    assert any("opt out" in warning for warning in first.warnings)
    assert second.warnings == ()


def test_a_single_odd_character_is_pointed_out() -> None:
    """One typographic apostrophe doubles the bill of a Latin text."""
    campaign = parse_campaign(EXAMPLE)
    variant = campaign.variants[0]
    english = replace(campaign, variants=(_with_template(variant, "Don’t wait! Reply STOP"),))
    (found,) = preview(english, {}, link="")
    assert any("’" in warning for warning in found.warnings)


def _with_template(variant: object, template: str) -> object:
    import msgspec  # noqa: PLC0415 - only this helper needs it

    return msgspec.structs.replace(variant, template=template)
