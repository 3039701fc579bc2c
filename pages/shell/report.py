"""A report of the selection to keep: a button in the sidebar of every page, and what it makes when it is clicked."""

import html
from functools import partial

import streamlit as st

from pages.shell import show
from pages.shell.selection import Selection
from rbcore import RobustnessBiasError
from rbcore.measures import DEFAULT_POLICY, Policy
from rbcore.reports import selection


def button(chosen: Selection) -> None:
    """Draw the button; without a trained run there is nothing to report."""
    st.sidebar.download_button(
        "Report of this selection",
        partial(page_of, chosen, _policy()),  # runs when it is clicked, outside the page's run
        file_name=f"{show.file_stem('report')}.html",
        mime="text/html",
        on_click="ignore",
        key="report",
        width="stretch",
        disabled=chosen.run is None,
        help=(
            "One HTML file that opens offline: the answer, the charts, the definitions, and how "
            "to get the numbers again."
        ),
    )


def page_of(chosen: Selection, policy: Policy) -> str:
    """Return the report, or a page that says why there is none: a failed download would say nothing."""
    try:
        return selection.html(chosen.run, chosen.epoch, chosen.method, chosen.by, policy=policy)
    except RobustnessBiasError as error:
        return (
            '<!doctype html><html lang="en"><meta charset="utf-8"><title>No '
            "report</title><h1>There is no report of this "
            f"selection</h1><p>{html.escape(str(error))}</p></html>\n"
        )


def _policy() -> Policy:
    """Return the definitions as they are picked, or as the link asks for them, else the default ones."""
    names = ("misclassified", "rest", "failed", "correct_by", "tau_max")
    asked = {name: st.session_state.get(name, st.query_params.get(name)) for name in names}
    given = {name: value for name, value in asked.items() if value is not None}
    try:
        if "tau_max" in given:
            given["tau_max"] = float(given["tau_max"]) or None
        return Policy(**given)
    except (RobustnessBiasError, ValueError):
        return DEFAULT_POLICY
