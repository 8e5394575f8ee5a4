"""Every example in a docstring is true."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import pytest

from smpp_bridge import Connection
from tests.support.ledger_operator import PASSWORD, SYSTEM_ID, run_operator

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
    """It prints what stands there; the client's have a bound `connection`."""
    if example.name.startswith("smpp_bridge.client.sender."):
        with (
            run_operator() as port,
            Connection(system_id=SYSTEM_ID, password=PASSWORD, port=port) as connection,
        ):
            connection.bind_transceiver()
            example.globs["connection"] = connection
            run(example)
    else:
        run(example)


def run(example: doctest.DocTest) -> None:
    """Run one, and compare."""
    result = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE).run(example)
    assert result.failed == 0
