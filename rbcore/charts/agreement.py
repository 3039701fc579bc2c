"""Two methods on the same images: distances against each other, and certificates of g beside attacks on f and g."""

import altair as alt
import numpy as np
import pandas as pd

from rbcore.charts.groups import COLORS, LEGEND_ROW, Chart

MOST_POINTS = 2_000
"""Points a scatter draws: more take a browser seconds, and hide each other."""
MOST_SEGMENTS = 40
SHAPES = ("circle", "square", "triangle-up", "diamond", "cross", "triangle-down")
GRAY = "#7F7F7F"
LEGEND_COLUMNS = 4
RADIUS, UPPER_F, UPPER_G = (
    "certified radius of g",
    "attack: upper bound of f",
    "attack: upper bound of g",
)


def thinned(table: pd.DataFrame, most: int, seed: int = 0) -> pd.DataFrame:
    """Return a table of at most so many rows, drawn at random with a fixed seed and in their order."""
    return table if len(table) <= most else table.sample(most, random_state=seed).sort_index()


def distance_scatter(
    pairs: pd.DataFrame, first: str, second: str, *, logarithmic: bool = False, side: int = 420
) -> Chart:
    """Draw each image's distance by two methods against each other, with the line of equal distances.

    Parameters
    ----------
    pairs
        As `rbcore.analyses.paired_distances` returns it; draw `thinned` ones. On logarithmic axes
        those with a 0 are left out.
    first, second
        Names of the two methods, for the axes.
    """
    groups = list(dict.fromkeys(pairs["group"]))
    values = pairs[["first", "second"]].to_numpy(np.float64)
    positive = values[values > 0]
    most = float(values.max()) * 1.05 if len(positive) else 1.0
    least = float(positive.min()) / 1.2 if logarithmic and len(positive) else 0.0
    drawn = pairs[(values > 0).all(axis=1)] if logarithmic else pairs
    scale = alt.Scale(type="log" if logarithmic else "linear", domain=[least, most], nice=False)
    axis = alt.Axis(tickCount=6, format="~g")
    x = alt.X("first:Q", title=f"L2 by {first}", scale=scale, axis=axis)
    y = alt.Y("second:Q", title=f"L2 by {second}", scale=scale, axis=axis)
    line = (
        alt.Chart(pd.DataFrame({"first": [least, most], "second": [least, most]}))
        .mark_line(color=GRAY, strokeDash=[5, 4])
        .encode(x=x, y=y)
    )
    chosen = alt.selection_point(fields=["group"], bind="legend")
    legend = alt.Legend(orient="bottom", columns=LEGEND_COLUMNS, labelLimit=110, symbolOpacity=1)
    points = (
        alt.Chart(drawn)
        .mark_point(filled=True, size=32)
        .encode(
            x=x,
            y=y,
            color=alt.Color(
                "group:N",
                title=None,
                legend=legend,
                scale=alt.Scale(
                    domain=groups, range=[COLORS[i % len(COLORS)] for i in range(len(groups))]
                ),
            ),
            shape=alt.Shape(
                "group:N",
                title=None,
                legend=legend,
                scale=alt.Scale(
                    domain=groups, range=[SHAPES[i % len(SHAPES)] for i in range(len(groups))]
                ),
            ),
            opacity=alt.condition(chosen, alt.value(0.65), alt.value(0.04)),
            tooltip=[
                "sample_id:N",
                "group:N",
                alt.Tooltip("first:Q", title=first, format=".4f"),
                alt.Tooltip("second:Q", title=second, format=".4f"),
                alt.Tooltip("ratio:Q", title="ratio", format=".3f"),
            ],
        )
        .add_params(chosen)
    )
    return alt.layer(line, points, height=side + LEGEND_ROW * -(-len(groups) // LEGEND_COLUMNS))


def evenly(table: pd.DataFrame, most: int = MOST_SEGMENTS) -> pd.DataFrame:
    """Return at most so many rows of a table, evenly spaced from its first to its last."""
    if len(table) <= most:
        return table
    return table.iloc[np.linspace(0, len(table) - 1, most).round().astype(int)]


def certificate_segments(table: pd.DataFrame, *, height: int = 320) -> Chart:
    """Draw for each image the certified radius of g, and the upper bounds of f and of g above it.

    A full line joins radius and upper bound of g: they bracket g's distance. A dashed line leads to
    the upper bound of f, which is the distance of another classifier.

    Parameters
    ----------
    table
        As `rbcore.analyses.certificates_and_attacks` returns it; draw `evenly` chosen rows.
    """
    ordered = table.reset_index(drop=True).assign(rank=range(1, len(table) + 1))
    x = alt.X(
        "rank:O", title="images, by the upper bound of f", axis=alt.Axis(labels=False, ticks=False)
    )
    title = "L2 distance in [0, 1] pixel space"
    kinds = {
        RADIUS: ("radius", COLORS[0], "triangle-up"),
        UPPER_F: ("upper_f", COLORS[1], "circle"),
    }
    if table["upper_g"].notna().any():
        kinds[UPPER_G] = ("upper_g", COLORS[2], "triangle-down")
    marks = pd.concat(
        [
            ordered[["sample_id", "rank", "status"]].assign(value=ordered[column], what=name)
            for name, (column, _, _) in kinds.items()
        ],
        ignore_index=True,
    ).dropna(subset="value")
    names = list(kinds)
    legend = alt.Legend(orient="bottom", columns=1, labelLimit=260)
    points = (
        alt.Chart(marks)
        .mark_point(filled=True, size=60, opacity=1)
        .encode(
            x=x,
            y=alt.Y("value:Q", title=title),
            color=alt.Color(
                "what:N",
                title=None,
                legend=legend,
                scale=alt.Scale(domain=names, range=[color for _, color, _ in kinds.values()]),
            ),
            shape=alt.Shape(
                "what:N",
                title=None,
                legend=legend,
                scale=alt.Scale(domain=names, range=[shape for _, _, shape in kinds.values()]),
            ),
            tooltip=[
                "sample_id:N",
                "what:N",
                alt.Tooltip("value:Q", title="L2", format=".4f"),
                alt.Tooltip("status:N", title="certificate"),
            ],
        )
    )
    dashed = (
        alt.Chart(ordered)
        .mark_rule(color=GRAY, strokeDash=[3, 3])
        .encode(x=x, y="radius:Q", y2="upper_f:Q")
    )
    layers: list[alt.Chart] = [dashed, points]
    if UPPER_G in kinds:
        both = ordered[ordered["upper_g"].notna()]
        full = (
            alt.Chart(both)
            .mark_rule(color=COLORS[2], size=3)
            .encode(x=x, y="radius:Q", y2="upper_g:Q")
        )
        layers.insert(1, full)
    return alt.layer(*layers, height=height)
