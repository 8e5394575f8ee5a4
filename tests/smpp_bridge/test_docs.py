"""The configuration examples of the documents are what the code reads."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

import pytest

from smpp_bridge.config_file import _ACCOUNT, _CONNECTION, _LISTEN, parse_config
from smpp_bridge.protocol.text import UCS2_CODING, AnyEncoding, encode_text

DOCS = Path(__file__).parents[2] / "docs"
SMPP = (DOCS / "smpp.md").read_text("utf-8")


def examples(page: str) -> list[str]:
    """The YAML of a page."""
    return re.findall(r"```yaml\n(.*?)```", (DOCS / page).read_text("utf-8"), re.DOTALL)


@pytest.mark.parametrize("page", ["bridge.md", "smpp.md"])
@pytest.mark.parametrize(("number", "mode"), [(0, "gateway"), (1, "proxy")])
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


def test_every_default_encoding_has_its_row() -> None:
    """A setting of docs/smpp.md by its name; the rest is `ucs2 and the others`."""
    rows = "".join(re.findall(r"^\| `.*`.* \|.*data_coding.*$", SMPP, re.MULTILINE))
    for default in get_args(AnyEncoding):
        named = f"`{default}`" in rows
        assert named or encode_text("a", default=default).data_coding == UCS2_CODING, default


def test_every_module_and_setting_that_the_page_names_is_there() -> None:
    """`name.py` of the protocol, and `name: value` of a connection."""
    here = DOCS.parent / "smpp_bridge/protocol"
    modules = set(re.findall(r"`(\w+\.py)`", SMPP))
    assert {name for name in modules if not name.startswith("test_")} <= {
        path.name for path in here.glob("*.py")
    }
    prose = re.sub(r"```.*?```", "", SMPP, flags=re.DOTALL)
    named = set(re.findall(r"`(\w+): [\w+]+`", prose))
    assert named
    assert named <= {*_CONNECTION, *_ACCOUNT, *_LISTEN}
