"""The pages as scripts: every state draws without an exception, empty ones help."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from pipeline.snapshot import SERVE_FILE
from tests.support.snapshots import CASES, write_cases

APP = Path(__file__).parents[2] / "dashboards" / "router" / "app.py"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty data folder that the settings point at."""
    monkeypatch.setenv("SMS_DASHBOARD_DATA", str(tmp_path))
    yield tmp_path
    st.cache_data.clear()
    st.cache_resource.clear()


def run(page: str = "decision", **query: str) -> AppTest:
    """Run a page; it must not raise."""
    app = AppTest.from_file(APP, default_timeout=30)
    for name, value in query.items():
        app.query_params[name] = value
    app.run()
    if page != "decision":
        app.switch_page(f"../pages/{page}.py").run()
    assert not app.exception
    return app


def html_of(app: AppTest) -> str:
    """All HTML of the page."""
    return "\n".join(element.proto.body for element in app.get("html"))


@pytest.mark.parametrize("page", ["decision", "operations"])
def test_without_a_snapshot_a_command_helps(page: str) -> None:
    """A page that is opened before the worker runs is friendly, not broken."""
    found = html_of(run(page))
    assert "No results yet" in found
    assert "smslab demo" in found


@pytest.mark.parametrize("page", ["decision", "operations"])
def test_a_damaged_file_is_told(folder: Path, page: str) -> None:
    """Not a traceback."""
    (folder / SERVE_FILE).write_bytes(b"damaged" * 1000)
    assert "The results cannot be read" in html_of(run(page))


def test_without_a_campaign_a_command_helps(folder: Path) -> None:
    """The worker runs, nothing was applied."""
    write_cases(folder)
    found = html_of(run())
    assert "No campaign yet" in found
    assert "smslab campaign apply campaign.yaml" in found


def test_while_nobody_is_assigned_a_command_helps(folder: Path) -> None:
    """Nothing to show, and what to check."""
    write_cases(folder, "nobody")
    found = html_of(run())
    assert "Nobody has been put into a group yet" in found
    assert "smslab doctor" in found


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("name", CASES)
def test_every_state_draws(folder: Path, name: str, language: str) -> None:
    """All verdicts and reasons, in both languages."""
    write_cases(folder, name)
    app = run(lang=language)
    assert f'lang="{"zh-Hans" if language == "zh" else "en"}"' in html_of(app)
    assert name in html_of(app)


def test_an_unknown_campaign_shows_the_newest(folder: Path) -> None:
    """An old link still leads somewhere, and says so."""
    write_cases(folder, "ship", "stop")
    found = html_of(run(campaign="gone"))
    assert "There is no campaign “gone”" in found
    assert "Ship B" in found


def test_hostile_names_stay_text(folder: Path) -> None:
    """A campaign's name is shown as it is written."""
    write_cases(folder, "ship", rename={"ship": "<script>alert(1)</script>"})
    found = html_of(run())
    assert "<script>" not in found
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in found


def test_a_new_snapshot_is_shown_by_the_next_run(folder: Path) -> None:
    """The cache is keyed by the file, so that nothing old stays."""
    write_cases(folder, "open")
    app = run()
    assert "Your call" in html_of(app)
    write_cases(folder, "ship", number=2)
    app.run()
    assert "Ship B" in html_of(app)
    assert "Snapshot 2" in html_of(app)


def test_the_in_memory_broker_is_announced(folder: Path) -> None:
    """On both pages, loudly."""
    write_cases(folder, "ship", in_memory=True)
    assert "nothing here is kept" in html_of(run())
    assert "nothing here is kept" in html_of(run("operations"))


def test_operations_draw(folder: Path) -> None:
    """Connections, chart and tables."""
    write_cases(folder, "ship")
    app = run("operations")
    assert "unicom-2" in html_of(app)
    assert len(app.get("vega_lite_chart") or app.get("arrow_vega_lite_chart")) == 1
