"""Router: frame, style and the pages.

Stands in a folder of its own: with a folder `pages` beside the script, Streamlit would run the
file of a page by itself for whoever is the first to open its address.
"""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from dashboards import shell
from dashboards.texts import Words

HERE = Path(__file__).parents[1]
PAGES = (("decision", ":material/gavel:"), ("operations", ":material/bolt:"))


def main() -> None:
    """Choose the page and run it."""
    st.set_page_config(
        page_title="smslab",
        page_icon=str(HERE / "icon.png"),
        layout="wide",
        initial_sidebar_state="collapsed",
    )
    st.html(HERE / "style.css")
    words = Words(shell.language())
    pages = [
        st.Page(
            HERE / "pages" / f"{name}.py",
            title=words(f"nav.{name}"),
            icon=icon,
            url_path=name,
            default=position == 0,
        )
        for position, (name, icon) in enumerate(PAGES)
    ]
    st.navigation(pages, position="top").run()


main()
