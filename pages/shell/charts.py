"""Charts on a page: each with a text alternative, and its downloads."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import pandas as pd
import streamlit as st

from pages.shell.selection import current
from rbcore.analyses import kappa_in_words
from rbcore.charts import AnyChart, chart_png, chart_svg
from rbcore.reports.spreadsheet import csv_text


def draw(
    chart: AnyChart,
    name: str,
    *,
    alt: str,
    table: pd.DataFrame,
    width: str = "stretch",
    **events: Any,
) -> Any:
    """Draw a chart with its downloads below: PNG and SVG of the chart, CSV of the numbers in it.

    Parameters
    ----------
    chart
        A chart of `rbcore.charts`.
    name
        What it shows, in a word or two; unique on its page. Files are named after it
        and the selection.
    alt
        What it says, for those who do not see it.
    table
        The numbers drawn, as they are.
    **events
        ``on_select`` and ``selection_mode``, as `streamlit.altair_chart` takes them; then what was
        selected is returned.
    """
    selected = st.altair_chart(chart, width=width, alt=alt, key=f"chart {name}", **events)
    stem = file_stem(name)
    with st.popover("Download", type="tertiary", help=f"{name} as a picture or a table"):
        for label, suffix, kind, make in (
            ("PNG", "png", "image/png", partial(chart_png, chart)),
            ("SVG", "svg", "image/svg+xml", partial(chart_svg, chart)),
            ("CSV", "csv", "text/csv", partial(csv_text, table)),
        ):
            st.download_button(
                f"{name}: {label}",
                make,  # runs when it is clicked
                file_name=f"{stem}.{suffix}",
                mime=kind,
                on_click="ignore",
                key=f"download {name} {suffix}",
                width="stretch",
            )
    return selected


def draw_agreement(agreement: pd.DataFrame, of: str, *, counted: str, **columns: Any) -> None:
    """Draw how often two sigmas have the same sign, as a table.

    Parameters
    ----------
    agreement
        The attributes of `rbcore.analyses.Agreement` in columns, and what each row is of
        in a column ``of``.
    counted
        Which groups count, for the heading's help.
    **columns
        Further columns of the table, each as Streamlit configures it.
    """
    st.dataframe(
        agreement.assign(
            same=[f"{row.n_same} of {row.n}" for row in agreement.itertuples()],
            interval=[f"[{row.low:.0%}, {row.high:.0%}]" for row in agreement.itertuples()],
            kappa=agreement["kappa"].map(kappa_in_words),
        )[[of, "same", "share", "interval", "kappa", *columns]],
        hide_index=True,
        height="content",
        column_config={
            "same": st.column_config.TextColumn("same sign", help=counted),
            "share": st.column_config.NumberColumn("share", format="percent"),
            "interval": st.column_config.TextColumn(
                "95% interval", help="Wilson; treats groups as independent"
            ),
            "kappa": st.column_config.TextColumn("kappa", help="Cohen's kappa: beyond chance"),
            **columns,
        },
    )


@contextmanager
def scrolled(name: str) -> Iterator[None]:
    """Let what is drawn inside scroll sideways by itself where it is wider than the page."""
    key = f"scrolled-{name}"
    st.html(f"<style>.st-key-{key} {{ overflow-x: auto; }}</style>")
    with st.container(key=key):
        yield


def file_stem(name: str) -> str:
    """Return a file name without its suffix: what is shown, and of which selection, in ASCII."""
    selection = current()
    parts = [name, selection.dataset, selection.by, selection.model]
    parts += [f"epoch{selection.epoch}"] if selection.epoch is not None else []
    return re.sub(r"[^A-Za-z0-9.=-]+", "_", "-".join([*parts, selection.method]))[:120]
