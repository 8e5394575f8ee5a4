"""The examples of docs/bridge.md are what the code reads."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from smpp_bridge.config_file import parse_config

TEXT = (Path(__file__).parents[2] / "docs" / "bridge.md").read_text("utf-8")
EXAMPLES = re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL)


@pytest.mark.parametrize(("number", "mode"), [(0, "gateway"), (1, "proxy")])
def test_the_examples_can_be_used(number: int, mode: str) -> None:
    """Copied into a file, with the passwords set, each starts its mode."""
    passwords = dict.fromkeys(("CMCC_PASSWORD", "CT_PASSWORD", "APP_PASSWORD"), "secret")
    assert parse_config(EXAMPLES[number], passwords).config.mode == mode
