"""Pieces stay small enough to read."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = (
    "schemas",
    "runtime",
    "smpp_bridge",
    "campaigns",
    "pipeline",
    "tracking",
    "dashboards",
    "simulator",
    "smslab",
    "benchmarks",
)
FILES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
FILE_LINES = 500
FUNCTION_LINES = 50
PAGE_LINES = 60


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_file_and_its_functions_are_small(path: Path) -> None:
    """No file above 500 lines, no function above 50, no page above 60."""
    text = path.read_text(encoding="utf-8")
    limit = PAGE_LINES if path.parent.name == "pages" else FILE_LINES
    assert text.count("\n") <= limit
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno is not None
            assert node.end_lineno - node.lineno < FUNCTION_LINES, node.name


def test_the_list_of_packages_is_complete() -> None:
    """A new package cannot escape the limits."""
    found = {path.parent.name for path in ROOT.glob("*/__init__.py")}
    assert found - {"tests"} <= set(PACKAGES)
