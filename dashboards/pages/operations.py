"""Live operations: connections, rates, lag, and what could not be used."""

from __future__ import annotations

import streamlit as st

from dashboards import data, shell
from dashboards.components import operations as parts
from dashboards.facts import Operations
from dashboards.rates import rates_chart


def main() -> None:
    """The whole system."""
    visit = shell.begin()
    found = data.operations(visit.settings.data) if visit.overview else None
    shell.top(visit, parts.head(visit.words))
    if found is None:
        shell.live(visit, lambda: shell.trouble(visit))
        return
    shell.live(visit, lambda: _now(visit, found))
    _rates(visit, found)
    st.html(parts.tables(visit.words, found, visit.settings.time_zone))
    shell.link(visit, "decision")


def _now(visit: shell.Visit, found: Operations) -> None:
    now_ms = data.now_ms()
    st.html(parts.summary(visit.words, found, now_ms))
    st.html(parts.connections(visit.words, found, now_ms))


def _rates(visit: shell.Visit, found: Operations) -> None:
    words, at_ms = visit.words, found.info.snapshot_at_ms
    chart = rates_chart(words, found.activity, at_ms, visit.settings.time_zone)
    with st.container(key="rates", border=True):
        st.html(parts.rates(words, found))
        if chart is not None:
            st.vega_lite_chart(chart, alt=words("rates.title"))


main()
