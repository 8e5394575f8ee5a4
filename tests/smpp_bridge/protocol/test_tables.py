"""docs/smpp.md says what the code does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from smpp_bridge.protocol.constants import CommandStatus
from smpp_bridge.protocol.message_states import STATES
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
