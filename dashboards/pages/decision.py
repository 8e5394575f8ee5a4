"""Decision: which text to send, why, and whether to believe it."""

from __future__ import annotations

import streamlit as st

from dashboards import data, shell
from dashboards.components import decision as parts
from dashboards.facts import Decision


def main() -> None:
    """One campaign."""
    visit = shell.begin()
    campaign = shell.campaign(visit)
    found = data.decision(visit.settings.data, campaign.campaign_id) if campaign else None
    if found is None:
        shell.top(visit)
        shell.live(visit, lambda: shell.trouble(visit))
        return
    shell.top(visit, parts.head(visit.words, found), found.campaign.campaign_id)
    shell.live(visit, lambda: _banner(visit, found))
    st.html(parts.rule(visit.words, found, visit.settings.time_zone))
    st.html(parts.trust(visit.words, found))
    _results(visit, found)
    st.html(parts.texts(visit.words, found))
    with st.container(key="foot", horizontal=True, horizontal_alignment="distribute"):
        st.html(parts.foot(visit.words, found, visit.settings.time_zone))
        shell.link(visit, "operations")


def _banner(visit: shell.Visit, found: Decision) -> None:
    st.html(parts.verdict(visit.words, found, data.now_ms()))


def _results(visit: shell.Visit, found: Decision) -> None:
    if found.is_blocked and found.shown:
        with st.expander(visit.words("show_anyway")):
            st.html(parts.results(visit.words, found))
    elif found.assigned:
        st.html(parts.results(visit.words, found))
    elif not found.is_blocked:
        shell.say(visit.words, "wait", "empty.nobody")


main()
