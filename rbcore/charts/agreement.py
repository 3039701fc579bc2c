"""Two methods against each other: by image, by group, and certificates beside attacks."""

from dataclasses import replace

import altair as alt
import numpy as np
import pandas as pd

from rbcore.charts.legend import COLORS, SHAPES, Legend, point_legend
from rbcore.charts.theme import GRAY, SIGMA, Chart
from rbcore.norms import distance_title, norm_of

MOST_POINTS = 2_000
"""Points a scatter draws: more take a browser seconds, and hide each other."""
MOST_SEGMENTS = 40
RADIUS, UPPER_F, UPPER_G = (
    "certified radius of g",
    "attack: upper bound of f",
    "attack: upper bound of g",
)


def thinned(table: pd.DataFrame, most: int, seed: int = 0) -> pd.DataFrame:
    """Return at most so many rows of a table, drawn at random with a fixed seed, in their order."""
    return table if len(table) <= most else table.sample(most, random_state=seed).sort_index()


def distance_scatter(
    pairs: pd.DataFrame, first: str, second: str, *, logarithmic: bool = False, side: int = 420
) -> Chart:
    """Draw each image's distance by one method against that by another, with the line of equality.

    Parameters
    ----------
    pairs
        As `rbcore.analyses.paired_distances` returns it; draw `thinned` ones. On logarithmic axes
        those with a 0 are left out.
    first, second
        Names of the two methods, for the axes.
    logarithmic
        Whether both axes are.
    side
        Height in pixels, without the legend.
    """
    values = pairs[["first", "second"]].to_numpy(np.float64)
    positive = values[values > 0]
    most = float(values.max()) * 1.05 if len(positive) else 1.0
    least = float(positive.min()) / 1.2 if logarithmic and len(positive) else 0.0
    drawn = pairs[(values > 0).all(axis=1)] if logarithmic else pairs
    scale = alt.Scale(type="log" if logarithmic else "linear", domain=[least, most], nice=False)
    axis, norm = alt.Axis(tickCount=6, format="~g"), norm_of(pairs).symbol
    x = alt.X("first:Q", title=f"{norm} by {first}", scale=scale, axis=axis)
    y = alt.Y("second:Q", title=f"{norm} by {second}", scale=scale, axis=axis)
    line = (
        alt.Chart(pd.DataFrame({"first": [least, most], "second": [least, most]}))
        .mark_line(color=GRAY, strokeDash=[5, 4])
        .encode(x=x, y=y)
    )
    chosen = alt.selection_point(fields=["group"], bind="legend")
    legend = point_legend("group", list(dict.fromkeys(pairs["group"])))
    points = (
        alt.Chart(drawn)
        .mark_point(filled=True, size=32)
        .encode(
            x=x,
            y=y,
            color=legend.color(),
            shape=legend.shape(),
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
    return alt.layer(line, points, height=side + legend.height)


def agreement_scatter(
    pairs: pd.DataFrame, first: str, second: str, *, colors: str = "dataset", width: int = 320
) -> Chart:
    """Draw sigma of every group by two methods against each other.

    In the shaded quarters their signs agree.

    Parameters
    ----------
    pairs
        ``group``, ``sigma_first``, ``sigma_second``, ``n`` and the column named by ``colors``.
    first, second
        Names of the two methods, for the axes.
    colors
        The column whose values have a color and a shape each.
    width
        Of the square plot in pixels, to which the height of the legend comes.
    """
    both = pairs[["sigma_first", "sigma_second"]].to_numpy(np.float64)
    edge = max(0.1, float(np.nanmax(np.abs(both)))) * 1.05
    scale = alt.Scale(domain=[-edge, edge], nice=False)
    legend = point_legend(colors, list(dict.fromkeys(pairs[colors])), title=colors)
    legend = replace(legend, width=width * 4 // 7)  # of the narrow column of a page
    if len(legend.names) == 1:
        legend = replace(legend, shown=[])
    side = width + legend.height

    def axes(of_x: str, of_y: str) -> dict[str, alt.X | alt.Y]:
        return {
            "x": alt.X(of_x, title=f"sigma by {first}", scale=scale),
            "y": alt.Y(of_y, title=f"sigma by {second}", scale=scale),
        }

    shade = (
        alt.Chart(pd.DataFrame({"a": [0.0, -edge], "b": [edge, 0.0]}))
        .mark_rect(color=GRAY, opacity=0.12)
        .encode(**axes("a:Q", "a:Q"), x2="b:Q", y2="b:Q")
    )
    dots = (
        alt.Chart(pairs)
        .mark_point(size=50, filled=True, opacity=0.75)
        .encode(
            **axes("sigma_first:Q", "sigma_second:Q"),
            color=legend.color(),
            shape=legend.shape(),
            tooltip=[
                alt.Tooltip(f"{colors}:N"),
                alt.Tooltip("group:N"),
                alt.Tooltip("sigma_first:Q", title=f"sigma by {first}", format=SIGMA),
                alt.Tooltip("sigma_second:Q", title=f"sigma by {second}", format=SIGMA),
                alt.Tooltip("n:Q"),
            ],
        )
    )
    return alt.layer(shade, dots, width=side, height=side)


def evenly(table: pd.DataFrame, most: int = MOST_SEGMENTS) -> pd.DataFrame:
    """Return at most so many rows of a table, evenly spaced from its first to its last."""
    if len(table) <= most:
        return table
    return table.iloc[np.linspace(0, len(table) - 1, most).round().astype(int)]


def certificate_segments(table: pd.DataFrame, *, height: int = 286) -> Chart:
    """Draw for each image the certified radius of g, and the upper bounds of f and of g above it.

    A full line joins radius and upper bound of g: they bracket g's distance. A dashed line leads to
    the upper bound of f, which is the distance of another classifier.

    Parameters
    ----------
    table
        As `rbcore.analyses.certificates_and_attacks` returns it; draw `evenly` chosen rows.
    height
        In pixels, without the legend.
    """
    ordered = table.reset_index(drop=True).assign(rank=range(1, len(table) + 1))
    axis = alt.Axis(labels=False, ticks=False)
    x = alt.X("rank:O", title="images, by the upper bound of f", axis=axis)
    norm = norm_of(table)
    columns = {RADIUS: "radius", UPPER_F: "upper_f"}
    if table["upper_g"].notna().any():
        columns[UPPER_G] = "upper_g"
    marks = pd.concat(
        [
            ordered[["sample_id", "rank", "status"]].assign(value=ordered[column], what=name)
            for name, column in columns.items()
        ],
        ignore_index=True,
    ).dropna(subset="value")
    shapes = [SHAPES[2], SHAPES[0], SHAPES[5]]
    legend = Legend("what", list(columns), COLORS[: len(columns)], shapes=shapes[: len(columns)])
    points = (
        alt.Chart(marks)
        .mark_point(filled=True, size=60, opacity=1)
        .encode(
            x=x,
            y=alt.Y("value:Q", title=distance_title(norm)),
            color=legend.color(),
            shape=legend.shape(),
            tooltip=[
                "sample_id:N",
                "what:N",
                alt.Tooltip("value:Q", title=norm.symbol, format=".4f"),
                alt.Tooltip("status:N", title="certificate"),
            ],
        )
    )
    dashed = (
        alt.Chart(ordered)
        .mark_rule(color=GRAY, strokeDash=[3, 3])
        .encode(x=x, y="radius:Q", y2="upper_f:Q")
    )
    full = (
        alt.Chart(ordered[ordered["upper_g"].notna()])
        .mark_rule(color=COLORS[2], size=3)
        .encode(x=x, y="radius:Q", y2="upper_g:Q")
    )
    layers = [dashed, full, points] if UPPER_G in columns else [dashed, points]
    return alt.layer(*layers, height=height + legend.height)
