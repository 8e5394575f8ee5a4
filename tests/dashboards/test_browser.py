"""The pages in a real Chromium, as a person sees them."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.pages import Visitor
from tests.support.snapshots import write_cases

pytestmark = pytest.mark.browser
Open = Callable[..., Visitor]
GLYPH = """t => { const c = document.createElement('canvas'); c.width = c.height = 40;
  const x = c.getContext('2d');
  x.font = '30px ' + getComputedStyle(document.querySelector('.mk')).fontFamily;
  x.fillText(t, 2, 32); return c.toDataURL(); }"""
DARKNESS = "getComputedStyle(document.querySelector('.stApp')).backgroundColor"


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize(("language", "word"), [("en", "Ship B"), ("zh", "采用 B")])
def test_the_verdict_is_seen_at_once(
    open_page: Open, site: str, width: int, theme: str, language: str, word: str
) -> None:
    """Without scrolling, in both languages, on a desk and on a phone, by day and by night."""
    visitor = open_page(site, f"/?lang={language}", width=width, theme=theme)
    assert visitor.say() == word
    money = visitor.page.locator(".verdict .money > b").bounding_box()
    assert money is not None
    assert money["y"] + money["height"] < 600
    colour = visitor.page.evaluate(DARKNESS)
    is_dark = sum(map(int, re.findall(r"\d+", colour)[:3])) < 200
    assert is_dark == (theme == "dark")
    visitor.check()


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize(
    "campaign", ["split", "four", "collecting", "stop", "no_holdout", "segments", "lost"]
)
def test_every_state_fits_the_screen(open_page: Open, site: str, width: int, campaign: str) -> None:
    """Nothing is cut, covered or outside, with four variants and long names too."""
    visitor = open_page(site, f"/?campaign={campaign}&lang=zh", width=width)
    assert visitor.page.locator(".head h1").inner_text() == campaign
    visitor.check()


def test_a_red_light_folds_the_results(open_page: Open, site: str) -> None:
    """Numbers that cannot be believed are not shown unless asked for."""
    visitor = open_page(site, "/?campaign=split")
    assert visitor.say() == "Do not trust these numbers"
    assert visitor.page.locator(".lights .bad").count() == 1
    assert not visitor.page.locator(".fo").is_visible()
    visitor.page.get_by_text("Show results anyway").click()
    visitor.page.locator(".fo").wait_for(state="visible")
    visitor.check()


def test_the_language_switch_goes_to_the_url_and_to_other_pages(open_page: Open, site: str) -> None:
    """A link that is passed on shows what its sender saw."""
    visitor = open_page(site)
    assert visitor.say() == "Ship B"
    visitor.act(lambda: visitor.page.get_by_text("中文", exact=True).click())
    assert "lang=zh" in visitor.page.url
    assert visitor.say() == "采用 B"
    visitor.act(lambda: visitor.page.get_by_role("link", name="实时运行").click())
    visitor.page.get_by_role("heading", name="实时运行").wait_for()
    assert "lang=zh" in visitor.page.url
    visitor.check()


def test_the_browsers_language_is_the_default(open_page: Open, site: str) -> None:
    """A Chinese browser gets Chinese without a click."""
    assert open_page(site, locale="zh-CN").say() == "采用 B"


def test_a_campaign_is_picked_and_kept_in_the_url(open_page: Open, site: str) -> None:
    """Several campaigns: the newest first, the others one click away."""
    visitor = open_page(site)
    visitor.page.get_by_test_id("stSelectbox").locator("input").click()
    visitor.act(lambda: visitor.page.get_by_role("option", name="stop", exact=True).click())
    assert "campaign=stop" in visitor.page.url
    assert visitor.say() == "Stop B"
    visitor.check()


def test_a_hostile_url_is_only_text(open_page: Open, site: str) -> None:
    """Whatever stands in the address is shown as it is written."""
    visitor = open_page(site, "/?campaign=%3Cimg%20src%3Dx%20onerror%3Dalert(1)%3E&lang=%3Cb%3E")
    assert "<img src=x onerror=alert(1)>" in visitor.page.locator(".memory").inner_text()
    assert visitor.page.locator(".mk img").count() == 0
    assert visitor.say() == "Ship B"
    visitor.check()


def test_chinese_characters_have_glyphs(open_page: Open, site: str) -> None:
    """Without a Chinese font each character is the same box."""
    page = open_page(site, "/?lang=zh").page
    first, second = (page.evaluate(GLYPH, character) for character in "骨采")
    assert first != second


def test_the_page_follows_the_snapshot(own_site: tuple[Path, str], open_page: Open) -> None:
    """From nothing to a verdict without a click, then the warning of the in-memory broker."""
    folder, base = own_site
    visitor = open_page(base)
    page = visitor.page
    assert "smslab demo" in page.locator(".empty").inner_text()
    write_cases(folder, "nobody")
    page.get_by_text("Nobody has been put into a group yet").wait_for()
    write_cases(folder, "collecting", number=2)
    page.locator(".verdict .say", has_text="Collecting results").wait_for()
    page.get_by_text("live, not final").first.wait_for()
    write_cases(folder, "ship", number=3, in_memory=True)
    page.locator(".verdict .say", has_text="Ship B").wait_for()
    page.locator(".memory", has_text="nothing here is kept").wait_for()
    visitor.settle()
    visitor.check()


def test_the_countdown_moves_between_snapshots(own_site: tuple[Path, str], open_page: Open) -> None:
    """While everybody waits for the window to pass, the page shows that time passes."""
    folder, base = own_site
    write_cases(folder, "collecting")
    page = open_page(base).page
    lead = page.locator(".verdict .money > span").first
    before = lead.inner_text()
    page.wait_for_function(
        "t => document.querySelector('.verdict .money > span').innerText !== t", arg=before
    )
    assert re.fullmatch(r"at least \d+ s left", lead.inner_text())


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_operations_show_what_needs_a_person(
    open_page: Open, site: str, width: int, theme: str
) -> None:
    """Connections, rates, lag, dead letters; the chart is drawn."""
    visitor = open_page(site, width=width, theme=theme)
    visitor.act(lambda: visitor.page.get_by_text("How is the sending going?").click())
    page = visitor.page
    page.locator(
        "[data-testid=stVegaLiteChart] canvas, [data-testid=stVegaLiteChart] svg"
    ).first.wait_for()
    assert page.locator(".conn").count() == 2
    assert "ESME_RINVPASWD" in page.locator(".conn .error").inner_text()
    assert "must fit 64 bits" in page.locator(".l-dead").inner_text()
    visitor.check()


def test_a_link_to_operations_opens_operations(own_site: tuple[Path, str], open_page: Open) -> None:
    """Also for the first visitor of a fresh server, and with the frame of the site.

    Streamlit itself asks for its health below the address of the page first, which is not there.
    """
    folder, base = own_site
    write_cases(folder, "ship")
    visitor = open_page(base, "/operations?lang=zh")
    assert visitor.page.locator(".head h1").inner_text() == "实时运行"
    assert visitor.page.get_by_role("link", name="决策", exact=True).count() == 1
    visitor.faults = [fault for fault in visitor.faults if "404" not in fault]
    visitor.check()
