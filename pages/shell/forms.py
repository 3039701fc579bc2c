"""Input widgets: pickers and number fields bound to the URL, and one for each declared parameter.

A value in a link that cannot be used is reported, never ignored.
"""

import math

import streamlit as st

from pages.shell.text import escape_markdown
from rbcore.distances import format_method, resolve_method
from rbcore.parameters import Parameter, Value


def picker(label: str, key: str, options: list[str], help: str | None = None) -> str:
    """Draw a select box bound to the URL, and report a value in the URL that is not an option.

    The options are the names that the library and the command line use, because the URL holds
    what the picker shows; the first is the default.
    """
    asked = st.query_params.get(key)
    if key in st.session_state:
        # Another picker can take the picked option away. Streamlit would then draw the default
        # but keep the old value in the URL, so that a copied link opened something else.
        if st.session_state[key] not in options:
            st.session_state[key] = options[0]
    elif asked is not None and asked not in options:
        _warn_of_link(key, asked, "is not available here", repr(options[0]))
    return st.selectbox(label, options, key=key, bind="query-params", help=help)


def number_field(
    label: str,
    key: str,
    low: float = 0.0,
    high: float | None = None,
    default: float = 0.0,
    *,
    help: str | None = None,
) -> float:
    """Draw a number field bound to the URL; whole numbers where ``default`` is one.

    A value in the URL that is not a number, or out of range, is reported.
    """
    kind = type(default)
    asked = st.query_params.get(key)
    if key in st.session_state:
        # The range can shrink when another picker changes.
        if not _is_number(st.session_state[key], low, high, kind):
            st.session_state[key] = default
    elif asked is not None and not _is_number(asked, low, high, kind):
        what = "a whole number" if kind is int else "a number"
        reach = f"of at least {low:g}" if high is None else f"from {low:g} to {high:,g}"
        _warn_of_link(key, asked, f"is not {what} {reach}", f"{default:g}")
        st.session_state[key] = default
    try:
        return st.number_input(
            label,
            low,
            high,
            default,
            step=1 if kind is int else 0.05,
            format="%d" if kind is int else "%.3g",
            key=key,
            bind="query-params",
            help=help,
        )
    except OverflowError:  # Streamlit reads the URL itself, and fails at 1e999: reported above
        return default


def page_field(n_pages: int) -> int:
    """Draw the field that turns pages; the first is 1."""
    return int(number_field(f"Page (of {n_pages})", "page", 1, n_pages, 1))


def parameter_fields(method: str) -> str:
    """Draw a field for every parameter that a method declares; return the method as picked."""
    chosen, values = resolve_method(method)
    picked = {
        parameter.name: parameter_field(
            parameter, values[parameter.name], f"{method} {parameter.name}"
        )
        for parameter in chosen.parameters
    }
    return format_method(chosen, chosen.resolve(None, picked))


def parameter_field(parameter: Parameter, value: Value, key: str) -> Value:
    """Draw a field for a declared parameter, with its meaning as help, and return its value."""
    if parameter.choices:
        index = parameter.choices.index(str(value))
        return st.selectbox(
            parameter.name, parameter.choices, index, key=key, help=parameter.meaning
        )
    kind = type(parameter.default)
    return st.number_input(
        parameter.name,
        kind(parameter.low),
        kind(parameter.high),
        kind(value),
        step=1 if kind is int else None,
        format="%d" if kind is int else "%g",
        key=key,
        help=parameter.meaning,
    )


def _warn_of_link(key: str, asked: str, problem: str, shown: str) -> None:
    st.warning(
        escape_markdown(f"The link asks for {key} {asked!r}, which {problem}; showing {shown}.")
    )


def _is_number(value: object, low: float, high: float | None, kind: type) -> bool:
    try:
        given = kind(str(value))
    except ValueError:
        return False
    return low <= given <= (math.inf if high is None else high) and math.isfinite(given)
