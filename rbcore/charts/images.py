"""One image: what the network says of it on the way to its perturbed image and beyond (figure 3)."""

import altair as alt
import numpy as np
import pandas as pd

from rbcore.charts.groups import AXES_HEIGHT, COLORS, Chart

MOST_CLASSES = 10
ROLES = {"before": COLORS[0], "after": COLORS[1], "other": "#A6A6A6"}


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
    """
    kept = probabilities.nlargest(MOST_CLASSES, "probability").sort_index()
    named = probabilities["class"].isin([before, after])
    shown = probabilities[named | probabilities.index.isin(kept.index)]
    roles = np.select(
        [shown["class"] == before, shown["class"] == after], ["before", "after"], "other"
    )
    table = shown.assign(role=roles, text=[f"{value:.1%}" for value in shown["probability"]])
    base = alt.Chart(table).encode(
        y=alt.Y(
            "class:N",
            title=None,
            sort=list(table["class"]),
            axis=alt.Axis(labelLimit=150, labelOverlap=False),
        ),
        x=alt.X(
            "probability:Q", scale=alt.Scale(domain=[0, 1]), axis=alt.Axis(format="%", tickCount=5)
        ),
        tooltip=["class:N", alt.Tooltip("probability:Q", format=".2%")],
    )
    bars = base.mark_bar(size=row_height - 10).encode(
        color=alt.Color(
            "role:N",
            title="the model's class",
            scale=alt.Scale(domain=list(ROLES), range=list(ROLES.values())),
            legend=alt.Legend(orient="bottom"),
        )
    )
    texts = base.mark_text(align="left", dx=4, color="#7F7F7F").encode(text="text:N")
    return alt.layer(bars, texts, height=row_height * len(table) + AXES_HEIGHT)
