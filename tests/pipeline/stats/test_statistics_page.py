"""docs/statistics.md names what exists, and its example runs."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pipeline.stats
from pipeline.verdict import REASONS

PAGE = (Path(__file__).parents[3] / "docs" / "statistics.md").read_text(encoding="utf-8")


def test_every_public_function_is_explained() -> None:
    """No number can be computed that the page does not explain, and nothing else is named."""
    named = set(re.findall(r"`([a-z]+_[a-z_]+)`", PAGE))
    functions = {
        name
        for name in pipeline.stats.__all__
        if inspect.isfunction(getattr(pipeline.stats, name)) or name == "compare_exactly"
    }
    assert functions <= named
    columns = {"effect_size", "ci_lower", "ci_upper"}
    reasons = {reason for known in REASONS.values() for reason in known}
    assert named - functions <= columns | reasons | {"analyse_by", "cap_minor", "raw_effect_size"}


def test_the_example_of_the_page_runs() -> None:
    """The block that analysts copy does what it says."""
    blocks = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)
    assert blocks
    for block in blocks:
        exec(compile(block, "statistics.md", "exec"), {})  # noqa: S102
