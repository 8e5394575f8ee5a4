"""What all pages share: settings, language, frame, and the watch for a new snapshot."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import streamlit as st

from dashboards import data
from dashboards.components.html import empty, esc, section
from dashboards.facts import Overview
from dashboards.settings import DashboardSettings
from dashboards.texts import LANGUAGES, Words
from pipeline.rows import Campaign
from pipeline.snapshot import SERVE_FILE
from pipeline.storage.reader import Generation, SnapshotUnreadable
from runtime.settings import read_settings

WATCH_S: Final = 2


@dataclass(frozen=True, slots=True)
class Visit:
    """One run of a page: who looks, in which language, at which snapshot."""

    settings: DashboardSettings
    words: Words
    generation: Generation | None
    overview: Overview | None
    trouble: str | None
    """Key of the text that says why there is no overview."""
    begun: float


def begin() -> Visit:
    """Settings, language and snapshot of this run."""
    settings = read_settings(DashboardSettings, os.environ)
    words = Words(language())
    generation = data.generation(settings.data)
    overview, trouble = None, "empty.no_snapshot"
    try:
        overview = data.overview(settings.data)
    except SnapshotUnreadable:
        trouble = "unreadable"
    missing = trouble if overview is None else None
    return Visit(settings, words, generation, overview, missing, time.monotonic())


def top(visit: Visit, head: str = "", campaign_id: str | None = None) -> None:
    """The frame above every page: warning, title, choice of campaign and language."""
    words = visit.words
    if visit.overview is not None and visit.overview.info.is_broker_in_memory:
        body = f"<b>{esc(words('memory.title'))}</b> {esc(words('memory.body'))}"
        st.html(section(words, "memory", body))
    has_choice = visit.overview is not None and len(visit.overview.campaigns) > 1
    row = st.container(
        key="top",
        horizontal=True,
        wrap=has_choice and campaign_id is not None,
        vertical_alignment="center",
        horizontal_alignment="distribute",
    )
    row.html(head or "<i></i>")
    with row.container(key="picks", horizontal=True, width="content"):
        if visit.overview is not None and campaign_id and has_choice:
            _pick_campaign(words, visit.overview, campaign_id)
        _pick_language(words)


def show(html: str) -> None:
    """A part of a page; Streamlit refuses an empty one."""
    if html:
        st.html(html)


def trouble(visit: Visit) -> None:
    """Why there is nothing to show, and the command that helps."""
    key = visit.trouble or "empty.no_campaign"
    tone = "bad" if key == "unreadable" else "wait"
    say(visit.words, tone, key, path=visit.settings.data / SERVE_FILE)


def say(words: Words, tone: str, key: str, **fields: object) -> None:
    """A friendly sentence with a command."""
    heading, body = words(f"{key}.title"), words(f"{key}.body", **fields)
    st.html(empty(words, tone, heading, body, words(f"{key}.command")))


def campaign(visit: Visit) -> Campaign | None:
    """The campaign in the URL, else of this session, else the newest."""
    if visit.overview is None or not visit.overview.campaigns:
        return None
    known = {row.campaign_id: row for row in visit.overview.campaigns}
    asked = st.query_params.get("campaign") or st.session_state.get("campaign", "")
    if asked in known:
        _remember("campaign", asked, is_default=asked == next(iter(known)))
        return known[asked]
    if asked:
        name = visit.words("unknown_campaign", name=asked)
        st.html(section(visit.words, "memory calm", esc(name)))
    return next(iter(known.values()))


@st.fragment(run_every=WATCH_S)
def live(visit: Visit, draw: Callable[[], None]) -> None:
    """Draw every two seconds, so that ages and countdowns move; a new snapshot draws the page."""
    is_later = time.monotonic() - visit.begun > WATCH_S / 2
    if is_later and data.generation(visit.settings.data) != visit.generation:
        st.rerun()
    draw()


def language() -> str:
    """From the URL, else of this session, else the browser's."""
    asked = st.query_params.get("lang") or st.session_state.get("lang", "")
    if asked not in LANGUAGES:
        asked = "zh" if (st.context.locale or "").lower().startswith("zh") else "en"
    _remember("lang", asked, is_default=False)
    return str(asked)


def _remember(name: str, value: str, *, is_default: bool) -> None:
    """Keep a choice in the URL, which st.navigation empties when the page changes."""
    st.session_state[name] = value
    if not is_default and st.query_params.get(name) != value:
        st.query_params[name] = value


def _pick_language(words: Words) -> None:
    # bind="query-params" would write the label (中文) to the URL.
    st.segmented_control(
        words("pick.language"),
        list(LANGUAGES),
        format_func=LANGUAGES.__getitem__,
        default=words.language,
        required=True,
        key=f"pick_lang_{words.language}",
        on_change=_picked,
        args=("lang", f"pick_lang_{words.language}"),
        label_visibility="collapsed",
    )


def _pick_campaign(words: Words, overview: Overview, campaign_id: str) -> None:
    names = [row.campaign_id for row in overview.campaigns]
    key = f"pick_campaign_{campaign_id}"
    st.selectbox(
        words("pick.campaign"),
        names,
        index=names.index(campaign_id),
        key=key,
        on_change=_picked,
        args=("campaign", key),
        label_visibility="collapsed",
        width=240,
    )


def _picked(name: str, key: str) -> None:
    st.query_params[name] = st.session_state[key]


def link(visit: Visit, page: str) -> None:
    """A link to another page: on a phone the navigation hides behind a button."""
    label = visit.words(f"nav.to_{page}")
    st.page_link(Path(__file__).parent / "pages" / f"{page}.py", label=label)
