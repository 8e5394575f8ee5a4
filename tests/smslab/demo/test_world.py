"""The demo's folder and its audience, without starting anything."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from campaigns.campaign_file import parse_campaign
from runtime.process import CannotRun
from runtime.settings import read_settings
from schemas.events import HOLDOUT
from schemas.subject import SubjectKey, Tokenizer
from simulator.people import read_people
from smslab.demo.world import EXAMPLE, make_world, own_folder, people_for
from smslab.kafka import Broker
from smslab.processes import PROCESSES

LOCAL = Broker("127.0.0.1:9092", is_in_memory=False, kind="apache")
LASTING = Broker("127.0.0.1:9092", is_in_memory=False, kind="external")
CAMPAIGN = parse_campaign((EXAMPLE / "campaign.yaml").read_text("utf-8"))


def test_the_audience_gives_exactly_the_messages_asked_for(tmp_path: Path) -> None:
    """Whatever the key, the people outside the holdout are as many as the messages."""
    world = make_world(tmp_path, LOCAL, messages=123, rate_per_s=10)
    tokenizer = Tokenizer(SubjectKey("demo", world.subject_key))
    audience = world.campaign_file.with_name("audience.csv")
    people = list(read_people(audience, world.campaign, tokenizer))
    assert sum(person.variant_id != HOLDOUT for person in people) == 123


@given(st.binary(min_size=32, max_size=32), st.integers(1, 300))
def test_enough_people_are_found_for_any_key(key: bytes, messages: int) -> None:
    """An unlucky key only makes the search longer."""
    assert people_for(CAMPAIGN, key, messages) >= messages


def test_every_process_accepts_its_settings(tmp_path: Path) -> None:
    """No variable is missing, unknown or unreadable."""
    world = make_world(tmp_path, LOCAL, messages=10, rate_per_s=10)
    by_command = {process.command: process.settings for process in PROCESSES.values()}
    for child in world.children():
        read_settings(by_command[child.command], child.environment)


def test_secrets_are_not_shown(tmp_path: Path) -> None:
    """Neither the world nor its processes print them."""
    world = make_world(tmp_path, LOCAL, messages=10, rate_per_s=10)
    for secret in (world.subject_key.hex(), world.password, world.webhook_secret):
        assert secret not in f"{world!r} {world.children()!r}"


def test_a_lasting_broker_gets_names_of_this_run(tmp_path: Path) -> None:
    """Two demos on one cluster do not add up, and none sends the other's messages."""
    worlds = [
        make_world(tmp_path / name, LASTING, messages=10, rate_per_s=10) for name in ("1", "2")
    ]
    assert len({world.campaign.campaign_id for world in worlds}) == 2
    assert len({world.campaign.connection for world in worlds}) == 2


def test_a_foreign_folder_is_left_alone(tmp_path: Path) -> None:
    """A demo empties its folder, so it must be its own."""
    (tmp_path / "thesis.txt").write_text("do not delete")
    with pytest.raises(CannotRun, match="is not empty and not a demo's"), own_folder(tmp_path):
        pass
    assert (tmp_path / "thesis.txt").exists()


def test_a_folder_has_one_demo_and_is_emptied_for_the_next(tmp_path: Path) -> None:
    """The second is told; after the first has ended its data are gone."""
    folder = tmp_path / "demo"
    with own_folder(folder):
        (folder / "worker").mkdir()
        with pytest.raises(CannotRun, match="another demo runs"), own_folder(folder):
            pass
    with own_folder(folder):
        assert not (folder / "worker").exists()
