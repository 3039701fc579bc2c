"""How the open questions of the definition are answered: pickers in the sidebar, kept in the URL."""

import streamlit as st

from pages.shell.selection import picker
from rbcore.measures import CHOICES, Policy


def pick() -> Policy:
    """Draw the pickers and return the policy they say."""
    with st.sidebar.expander("Definitions"):
        misclassified = picker(
            "Misclassified images",
            "misclassified",
            list(CHOICES["misclassified"]),
            help="zero: they stay in their group with distance 0 (paper, eq. 4-6). exclude: they are left out (eq. 1-2).",
        )
        rest = picker(
            "Compared with",
            "rest",
            list(CHOICES["rest"]),
            help="pooled: all images outside the group. mean, sum: the other groups' curves (paper, fig. 4 and eq. 3).",
        )
        failed = picker(
            "Images without a distance",
            "failed",
            list(CHOICES["failed"]),
            help="exclude: they leave the measure, and its bounds are shown. raise: more than 1% of a group is an error.",
        )
        tau_max = st.number_input(
            "Upper limit of tau (L2; 0: none)",
            min_value=0.0,
            key="tau_max",
            bind="query-params",
            help="0: the whole area under I_P(tau), exactly. A number: the area up to it.",
        )
    return Policy(misclassified=misclassified, rest=rest, failed=failed, tau_max=tau_max or None)
