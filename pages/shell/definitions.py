"""What can be set: the answers to the open questions of the definition, and the parameters of a method."""

import streamlit as st

from pages.shell.selection import number, picker
from rbcore.distances import format_method, resolve_method
from rbcore.measures import CHOICES, Policy

LARGEST_TAU = 1e4
"""Farther than the corners of any image in [0, 1] lie from each other."""


def pick() -> Policy:
    """Draw the pickers and return the policy they say."""
    with st.sidebar.expander("Definitions"):
        misclassified = picker(
            "Misclassified images",
            "misclassified",
            list(CHOICES["misclassified"]),
            help=(
                "zero: they stay in their group with distance 0 (paper, eq. 4-6). exclude: they "
                "are left out (eq. 1-2)."
            ),
        )
        rest = picker(
            "Compared with",
            "rest",
            list(CHOICES["rest"]),
            help=(
                "pooled: all images outside the group. mean, sum: the other groups' curves "
                "(paper, fig. 4 and eq. 3)."
            ),
        )
        failed = picker(
            "Images without a distance",
            "failed",
            list(CHOICES["failed"]),
            help=(
                "exclude: they leave the measure, and its bounds are shown. raise: more than 1% "
                "of a group is an error."
            ),
        )
        correct_by = picker(
            "Correct according to",
            "correct_by",
            list(CHOICES["correct_by"]),
            help=(
                "own: the classifier that the distances are of, for certificates the smoothed one "
                "(g). network: the network (f), whatever the distances are of. Both are the same "
                "for attacks on the network."
            ),
        )
        tau_max = number(
            "Upper limit of tau (L2; 0: none)",
            "tau_max",
            0.0,
            LARGEST_TAU,
            0.0,
            help="0: the whole area under I_P(tau), exactly. A number: the area up to it.",
        )
    return Policy(
        misclassified=misclassified,
        rest=rest,
        failed=failed,
        correct_by=correct_by,
        tau_max=tau_max or None,
    )


def pick_parameters(method: str) -> str:
    """Draw a control for every parameter that a method declares.

    Return the method as it is spelled with what was picked.
    """
    chosen, values = resolve_method(method)
    picked = {}
    for parameter in chosen.parameters:
        key, value = f"{method} {parameter.name}", values[parameter.name]
        if parameter.choices:
            index = parameter.choices.index(value)
            picked[parameter.name] = st.selectbox(
                parameter.name, parameter.choices, index, key=key, help=parameter.meaning
            )
        else:
            kind = type(parameter.default)
            picked[parameter.name] = st.number_input(
                parameter.name,
                kind(parameter.low),
                kind(parameter.high),
                kind(value),
                step=1 if kind is int else None,
                format="%d" if kind is int else "%g",
                key=key,
                help=parameter.meaning,
            )
    return format_method(chosen, chosen.resolve(None, picked))
