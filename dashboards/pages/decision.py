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
    shell.show(parts.rule(visit.words, found, visit.settings.time_zone))
    shell.show(parts.trust(visit.words, found))
    _results(visit, found)
    shell.show(parts.texts(visit.words, found))
    with st.container(key="foot", horizontal=True, horizontal_alignment="distribute"):
        shell.show(parts.foot(visit.words, found, visit.settings.time_zone))
        shell.link(visit, "operations")


def _banner(visit: shell.Visit, found: Decision) -> None:
    shell.show(parts.verdict(visit.words, found, data.now_ms()))


def _results(visit: shell.Visit, found: Decision) -> None:
    if found.is_blocked and found.shown:
        with st.expander(visit.words("show_anyway")):
            shell.show(parts.results(visit.words, found))
    elif found.assigned:
        shell.show(parts.results(visit.words, found))
    elif not found.is_blocked:
        shell.say(visit.words, "wait", "empty.nobody")


main()
