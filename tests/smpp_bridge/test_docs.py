"""The configuration examples of the documents are what the code reads."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from smpp_bridge.config_file import _ACCOUNT, _CONNECTION, _LISTEN, parse_config

DOCS = Path(__file__).parents[2] / "docs"


def examples(page: str) -> list[str]:
    """The YAML of a page."""
    return re.findall(r"```yaml\n(.*?)```", (DOCS / page).read_text("utf-8"), re.DOTALL)


@pytest.mark.parametrize(
    ("page", "number", "mode"), [("bridge.md", 0, "gateway"), ("bridge.md", 1, "proxy")]
)
def test_the_examples_can_be_used(page: str, number: int, mode: str) -> None:
    """Copied into a file, with the passwords set, each starts its mode."""
    source = examples(page)[number]
    passwords = dict.fromkeys(re.findall(r"password_env: (\w+)", source), "secret")
    assert parse_config(source, passwords).config.mode == mode


def test_every_key_is_in_an_example() -> None:
    """Whoever looks for a key finds it in docs/bridge.md."""
    text = "".join(examples("bridge.md"))
    keys = {*_CONNECTION, *_ACCOUNT, *_LISTEN}
    assert {key for key in keys if not re.search(rf"\b{key}:", text)} == set()
