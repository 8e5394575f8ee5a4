"""Router: frame, style and the pages."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from dashboards import shell
from dashboards.texts import Words

HERE = Path(__file__).parent
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
