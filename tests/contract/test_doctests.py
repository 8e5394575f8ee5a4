"""Every example in a docstring is true."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import pytest

PACKAGES = ("schemas", "runtime", "smpp_bridge", "campaigns", "pipeline", "tracking", "dashboards")


def modules() -> list[str]:
    """Every module that can be imported without running something."""
    names = []
    for package in PACKAGES:
        path = importlib.import_module(package).__path__
        found = (module.name for module in pkgutil.walk_packages(path, f"{package}."))
        names += [name for name in found if not name.endswith("__main__")]
    return names


def examples() -> list[doctest.DocTest]:
    """One per docstring with examples."""
    finder = doctest.DocTestFinder(exclude_empty=True)
    found = [
        t
        for name in modules()
        if ".router" not in name and ".pages" not in name
        for t in finder.find(importlib.import_module(name))
    ]
    return [test for test in found if test.examples]


@pytest.mark.parametrize("example", examples(), ids=lambda test: test.name)
def test_example(example: doctest.DocTest) -> None:
    """It prints what stands there."""
    result = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE).run(example)
    assert result.failed == 0
