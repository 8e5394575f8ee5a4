"""The examples of the statistics run, and every public function has one."""

from __future__ import annotations

import doctest
import importlib
import inspect
import pkgutil

import pytest

import pipeline.stats

MODULES = [
    importlib.import_module(f"pipeline.stats.{found.name}")
    for found in pkgutil.iter_modules(pipeline.stats.__path__)
]
CHECKS = "pipeline.stats.results"
"""Names and guards only: nothing to show."""


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)
def test_the_examples_give_what_they_print(module: object) -> None:
    """Each example of a docstring is run and gives exactly the printed values."""
    found = doctest.testmod(module)  # type: ignore[arg-type]
    assert found.failed == 0


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)
def test_every_public_function_has_an_example(module: object) -> None:
    """An analyst can copy a line from every function's docstring."""
    functions = inspect.getmembers(module, inspect.isfunction)
    own = [f for _, f in functions if f.__module__ == module.__name__ != CHECKS]  # type: ignore[attr-defined]
    for function in own:
        if not function.__name__.startswith("_"):
            assert ">>>" in (function.__doc__ or ""), function.__name__
