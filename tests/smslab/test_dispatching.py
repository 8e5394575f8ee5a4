"""Launching a campaign twice, on a real broker."""

from __future__ import annotations

import uuid
from pathlib import Path

import pytest
from rich.progress import Progress

from pipeline.dispatch.settings import DispatchSettings
from schemas.events import CampaignDefined
from simulator.people import write_audience
from smslab.definitions import definition_in_force
from smslab.demo.world import EXAMPLE
from smslab.dispatching import carry_out, order_of

pytestmark = pytest.mark.kafka


async def launch(folder: Path, kafka: str, text: str) -> CampaignDefined:
    """Apply a campaign file; what is in force then."""
    file = folder / "campaign.yaml"
    file.write_text(text, "utf-8")
    order = order_of(file, DispatchSettings(kafka=kafka, subject_key=bytes(32)))
    with Progress(disable=True) as progress:
        found = order.survey(progress)
        assert await carry_out(order, found, kafka, progress) == found.recipients
    in_force = await definition_in_force(kafka, order.campaign.campaign_id)
    assert in_force is not None
    return in_force


async def test_the_same_plan_again_changes_nothing_another_is_a_new_version(
    kafka: str, tmp_path: Path
) -> None:
    """A plan is frozen with its hash and N*; whoever changes it makes a version that shows."""
    write_audience(tmp_path / "audience.csv", 60, seed=1)
    name = f"t{uuid.uuid4().hex[:10]}"
    text = (EXAMPLE / "campaign.yaml").read_text("utf-8").replace("double11-coupon", name)
    first = await launch(tmp_path, kafka, text)
    again = await launch(tmp_path, kafka, text)
    assert again == first
    assert (first.plan_version, first.plan.expected_n) == (1, 60)
    changed = await launch(tmp_path, kafka, text.replace("minimum_effect: 20", "minimum_effect: 9"))
    assert (changed.plan_version, changed.plan_hash != first.plan_hash) == (2, True)


async def test_a_campaign_nobody_knows_has_no_definition(kafka: str) -> None:
    """Nothing is made up."""
    assert await definition_in_force(kafka, f"none-{uuid.uuid4().hex}") is None
