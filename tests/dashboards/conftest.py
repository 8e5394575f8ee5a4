"""A browser for the session, and a server over a folder of this test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.support.browser import FLAGS, browser_path
from tests.support.pages import Visitor, serving, visit
from tests.support.snapshots import write_cases


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One Chromium per module: its event loop would stop async tests of other modules."""
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=browser_path(), args=list(FLAGS))
        yield started
        started.close()


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The pages over several campaigns, the one to ship being the newest."""
    folder = tmp_path_factory.mktemp("site")
    write_cases(
        folder,
        *("ship", "split", "four", "collecting", "stop", "no_holdout", "segments", "alike"),
        *("lost", "lost_few"),
    )
    with serving(folder) as base:
        yield base


@pytest.fixture
def own_site(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A server over an empty folder of this test alone."""
    with serving(tmp_path) as base:
        yield tmp_path, base


@pytest.fixture
def open_page(browser: Browser) -> Iterator[Callable[..., Visitor]]:
    """Open pages; all of them are closed at the end."""
    opened: list[Visitor] = []

    def go(base: str, path: str = "/", **how: object) -> Visitor:
        visitor = visit(browser, base, **how)  # type: ignore[arg-type]
        opened.append(visitor)
        visitor.open(path)
        return visitor

    yield go
    for visitor in opened:
        visitor.page.context.close()
