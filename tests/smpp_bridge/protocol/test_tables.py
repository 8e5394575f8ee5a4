"""docs/smpp.md says what the code does."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from smpp_bridge.protocol.constants import REFUSED_BINDS, THROTTLED, CommandStatus
from smpp_bridge.protocol.message_states import STATES
from smpp_bridge.protocol.states import BUSY, NOT_SERVED
from smpp_bridge.protocol.status_uses import USES
from smpp_bridge.protocol.tables import DOCUMENT, renewed

TEXT = DOCUMENT.read_text(encoding="utf-8")
ROOT = Path(__file__).parents[3]


def test_the_tables_of_the_document_are_current() -> None:
    """After a change: python -m smpp_bridge.protocol.tables."""
    assert renewed(TEXT) == TEXT


def test_every_status_and_state_is_in_the_document() -> None:
    """The tables are complete, and there are markers for them."""
    assert all(f"`ESME_{status.name}`" in TEXT for status in CommandStatus)
    assert all(f"`{state}`" in TEXT for state in STATES)


PACKAGE = ROOT / "smpp_bridge"
WITHOUT_ROWS = {"protocol.constants", "protocol.meanings", "protocol.status_uses"}
"""They name every status, or hold the tables that have their own notes."""
OWN_TABLES = {(status, "protocol.states") for status in (*BUSY.values(), *NOT_SERVED.values())}


def used_in(path: Path) -> Iterator[CommandStatus]:
    """Every status that a module names, by attribute or as a word; ROK is no news."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        name = ""
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            name = node.attr if node.value.id == "CommandStatus" else ""
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            name = node.value
        if name in CommandStatus.__members__ and name != "ROK":
            yield CommandStatus[name]


def test_every_use_of_a_status_is_told_and_nothing_else() -> None:
    """A new refusal gets a row in `status_uses`, one that is gone loses it."""
    found = set()
    for path in PACKAGE.rglob("*.py"):
        module = ".".join(path.relative_to(PACKAGE).with_suffix("").parts)
        if module not in WITHOUT_ROWS:
            found |= {(status, module) for status in used_in(path)}
    told = {(use.status, use.module) for use in USES}
    assert found - told - OWN_TABLES == set()
    assert told - found == set()


def test_the_column_here_is_filled_for_what_is_used() -> None:
    """As a reader sees it."""
    rows = {cells[2].strip(" `"): cells[4].strip() for cells in map(cells_of, TEXT.splitlines())}
    used = {use.status for use in USES} | {*BUSY.values(), *NOT_SERVED.values()}
    used |= {*THROTTLED, *REFUSED_BINDS}
    assert [status.name for status in used if not rows[f"ESME_{status.name}"]] == []


def cells_of(line: str) -> list[str]:
    """Of a row of a table, padded."""
    return [*line.split("|"), *[""] * 5]


def test_a_marker_without_a_table_is_an_error() -> None:
    """A misspelt marker does not leave a stale table behind."""
    with pytest.raises(KeyError):
        renewed("<!-- table: nonsense -->\n<!-- end -->")


def test_the_files_that_the_document_names_are_there() -> None:
    """Tests, modules and links of the compliance table exist."""
    here = Path(__file__).parent
    for name in set(re.findall(r"`(test_\w+\.py)`", TEXT)):
        assert (here / name).is_file(), name
    for name in set(re.findall(r"`(tests/[\w/]+\.py)`", TEXT)):
        assert (ROOT / name).is_file(), name
    for link in re.findall(r"\]\(([^)#]+)\)", TEXT):
        assert (DOCUMENT.parent / link).is_file(), link
