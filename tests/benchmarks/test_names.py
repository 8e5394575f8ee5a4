"""Names in a dict and in a directory are measured alike."""

from __future__ import annotations

import pytest

from benchmarks.names import KINDS, measure


@pytest.mark.parametrize("kind", KINDS)
def test_every_figure_is_there(kind: str) -> None:
    """For any number of names, also none that fills a batch."""
    found = measure(kind, 12_345)
    assert list(found) == ["octets_per_name", "us_per_name_added", "us_per_stranger"]
    assert min(found["us_per_name_added"], found["us_per_stranger"]) > 0


def test_another_kind_is_refused() -> None:
    """The message names what there is."""
    with pytest.raises(ValueError, match="kind == 'list', must be one of dict, directory"):
        measure("list", 1)
