"""Number fields bound to the URL.

A value in a link that cannot be taken is said, never swallowed.
"""

import streamlit as st

from pages.shell.text import plain


def field(
    label: str,
    key: str,
    low: float = 0.0,
    high: float | None = None,
    *,
    default: float = 0.0,
    help: str | None = None,
) -> float:
    """Draw a field for a number and return it."""
    _say_what_is_wrong(key, low, high, default)
    return st.number_input(
        label, low, high, default, step=0.05, format="%.3g", key=key, bind="query-params", help=help
    )


def page_of(n_pages: int, key: str = "page") -> int:
    """Draw the field that turns pages, from 1."""
    if st.session_state.get(key, 1) > n_pages:
        st.session_state[key] = 1
    _say_what_is_wrong(key, 1, n_pages, 1)
    try:
        return st.number_input(f"Page (of {n_pages})", 1, n_pages, key=key, bind="query-params")
    except OverflowError:  # Streamlit reads the link itself, and breaks off at 1e999: said above
        return 1


def _say_what_is_wrong(key: str, low: float, high: float | None, default: float) -> None:
    asked = st.query_params.get(key)
    if asked is None or key in st.session_state:
        return
    try:
        number = float(asked)
    except ValueError:
        number = float("nan")
    if not low <= number <= (float("inf") if high is None else high):
        st.warning(
            plain(
                f"The link asks for {key} {asked!r}, which is not possible here; "
                f"showing {default:g}."
            )
        )
