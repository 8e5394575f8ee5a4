"""Offsets are used only with the log that they count."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pipeline.storage.identity import claim
from pipeline.storage.state import State, open_state
from runtime.process import CannotRun
from tests.pipeline.storage.test_state import TOPIC, flush

TRUE: dict[str, Any] = {
    "cluster_id": "one",
    "topic_ids": {TOPIC: "id-1"},
    "ends": {(TOPIC, 0): 10},
}


@pytest.fixture
def used(tmp_path: Path) -> State:
    """A database that has read ten records of a known cluster."""
    state = open_state(tmp_path)
    claim(state, tmp_path, **TRUE)
    state.commit(flush(0, 10), 1)
    return state


def test_the_same_kafka_is_accepted_again(used: State, tmp_path: Path) -> None:
    """A restart on the same cluster, grown meanwhile, goes on."""
    claim(used, tmp_path, **(TRUE | {"ends": {(TOPIC, 0): 999}}))


@pytest.mark.parametrize(
    ("other", "words"),
    [
        ({"cluster_id": "two"}, "cluster one"),
        ({"topic_ids": {TOPIC: "id-2"}}, "deleted and made again"),
        ({"ends": {(TOPIC, 0): 9}}, "ends at 9"),
    ],
)
def test_another_log_is_refused(
    used: State, tmp_path: Path, other: dict[str, Any], words: str
) -> None:
    """Another cluster, a topic made anew, a shorter log: one sentence with the setting."""
    with pytest.raises(CannotRun, match=words) as caught:
        claim(used, tmp_path, **(TRUE | other))
    assert "SMS_WORKER_DATA" in str(caught.value)


def test_a_broker_that_tells_little_is_accepted(used: State, tmp_path: Path) -> None:
    """What the broker does not tell is not compared and not forgotten."""
    claim(used, tmp_path, cluster_id="", topic_ids={}, ends={})
    for other in ({"topic_ids": {TOPIC: "id-2"}}, {"cluster_id": "two"}):
        with pytest.raises(CannotRun):
            claim(used, tmp_path, **(TRUE | other))
