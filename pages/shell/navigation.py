"""The list of pages. To add one: a file in ``pages/`` and a line here."""

import streamlit as st
from streamlit.navigation.page import StreamlitPage


def sections() -> dict[str, list[StreamlitPage]]:
    """Return the pages in the order of the menu, by heading; the first is the home page."""
    return {
        "Begin": [
            st.Page("pages/start.py", title="Start", default=True),
            st.Page("pages/lesson.py", title="Lesson", url_path="lesson"),
            st.Page("pages/method.py", title="Method", url_path="method"),
        ],
        "Look": [
            st.Page("pages/curves.py", title="Curves", url_path="curves"),
            st.Page("pages/heatmap.py", title="Heatmap", url_path="heatmap"),
            st.Page("pages/images.py", title="Images", url_path="images"),
            st.Page("pages/epochs.py", title="Epochs", url_path="epochs"),
            st.Page("pages/agreement.py", title="Agreement", url_path="agreement"),
            st.Page("pages/mitigation.py", title="Mitigation", url_path="mitigation"),
        ],
        "Work": [
            st.Page("pages/compute.py", title="Compute", url_path="compute"),
            st.Page("pages/own_data.py", title="Your data and model", url_path="own_data"),
        ],
    }


def page(title: str) -> StreamlitPage:
    """Return the page of that title, for a link to it."""
    return next(page for pages in sections().values() for page in pages if page.title == title)


def go(title: str) -> None:
    """Go to a page from a button.

    The pickers write themselves into the URL again, which Streamlit would refuse to clear.
    """
    st.switch_page(page(title), query_params={})
