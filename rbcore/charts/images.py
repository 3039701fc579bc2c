"""Bars: what the network says of one image, and who is fooled within one budget (figure 3)."""

import altair as alt
import numpy as np
import pandas as pd

from rbcore.charts.legend import COLORS, Legend
from rbcore.charts.theme import (
    DARK,
    GRAY,
    PALE,
    SHARE,
    Chart,
    fitted_height,
    interval_tooltips,
    names_axis,
    with_count,
)
from rbcore.norms import norm_of

MOST_CLASSES = 10
ROLES = {"before": COLORS[0], "after": COLORS[1], "other": PALE}


def class_probabilities(
    probabilities: pd.DataFrame, *, before: str, after: str | None = None, row_height: int = 24
) -> Chart:
    """Draw the probability of each class as a bar with its value.

    Parameters
    ----------
    probabilities
        ``class`` and ``probability``, one row a class; the `MOST_CLASSES` highest are drawn,
        in the order given.
    before, after
        The classes that the clean and the perturbed image are taken for; they have colors of their
        own and are named.
    row_height
        Pixels a class.
    """
    kept = probabilities.nlargest(MOST_CLASSES, "probability").sort_index()
    named = probabilities["class"].isin([before, after])
    shown = probabilities[named | probabilities.index.isin(kept.index)]
    roles = np.select(
        [shown["class"] == before, shown["class"] == after], ["before", "after"], "other"
    )
    table = shown.assign(role=roles, text=[f"{value:.1%}" for value in shown["probability"]])
    legend = Legend("role", list(ROLES), list(ROLES.values()), title="the model's class")
    base = alt.Chart(table).encode(
        y=names_axis("class", table["class"], limit=150),
        x=alt.X(
            "probability:Q", scale=alt.Scale(domain=[0, 1]), axis=alt.Axis(format="%", tickCount=5)
        ),
        tooltip=["class:N", alt.Tooltip("probability:Q", format=".2%")],
    )
    bars = base.mark_bar(size=row_height - 10).encode(color=legend.color())
    texts = base.mark_text(align="left", dx=4, color=GRAY).encode(text="text:N")
    return alt.layer(bars, texts, height=fitted_height(row_height * len(table), legend))


def fooled_bars(table: pd.DataFrame, *, row_height: int = 26) -> Chart:
    """Draw which share of each group's correct images is fooled at one budget, with its interval.

    Parameters
    ----------
    table
        As `rbcore.analyses.fooled_at` returns it.
    row_height
        Pixels a group.
    """
    named = table.assign(name=with_count(table["group"], table["n_correct"]))
    budget = table["budget"].iat[0]
    title = (
        f"fooled within {norm_of(table).symbol} {budget:g}: at least this share of correct images"
    )
    base = alt.Chart(named).encode(
        y=names_axis("name", named["name"], limit=220),
        tooltip=[
            alt.Tooltip("group:N"),
            alt.Tooltip("share:Q", format=SHARE),
            *interval_tooltips(SHARE),
            alt.Tooltip("n_correct:Q", title="n"),
        ],
    )
    scale, axis = alt.Scale(domain=[0, 1]), alt.Axis(format="%")
    bars = base.mark_bar(color=COLORS[5], size=14).encode(
        x=alt.X("share:Q", title=title, scale=scale, axis=axis)
    )
    whiskers = base.mark_rule(color=DARK, size=2).encode(x="low:Q", x2="high:Q")
    return alt.layer(bars, whiskers, height=fitted_height(row_height * len(named)), width=420)
