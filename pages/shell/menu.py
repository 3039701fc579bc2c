"""The list of pages. To add one: a file in ``pages/`` and a line here."""

import streamlit as st
from streamlit.navigation.page import StreamlitPage


def pages() -> list[StreamlitPage]:
    """Return the pages in the order of the menu; the first is what a newcomer sees."""
    return [
        st.Page("pages/curves.py", title="Curves", default=True),
        st.Page("pages/heatmap.py", title="Heatmap", url_path="heatmap"),
        st.Page("pages/images.py", title="Images", url_path="images"),
        st.Page("pages/compute.py", title="Compute", url_path="compute"),
    ]
