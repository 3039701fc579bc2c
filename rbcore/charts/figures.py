"""The paper's smaller figures: toys in a plane (1 and 2), fooled or not at one budget (3), and two methods against each other."""

import altair as alt
import numpy as np
import pandas as pd

from rbcore.charts.groups import COLORS, Chart
from rbcore.inference import CONFIDENCE

SHAPES = ("circle", "cross", "triangle-up", "diamond")
GRAY = "#7F7F7F"


def toy_plane(
    points: pd.DataFrame, boundaries: pd.DataFrame, *, tau: float | None = None, width: int = 300
) -> Chart:
    """Draw points in a plane with the boundaries of a classifier (figures 1 and 2).

    Parameters
    ----------
    points
        ``x``, ``y``, ``class``, ``distance`` (L2) and, where the points have subgroups, ``group``.
    boundaries
        ``line`` (which piece), ``x``, ``y``, and optionally ``offset``: 0 for a boundary, else how
        far from one (dotted).
    tau
        A budget, L2: points no farther than it from a boundary are pale.
    width
        Of the square plot in pixels.
    """
    table = points.assign(
        state="farther than tau" if tau is None else _states(points["distance"], tau)
    )
    if "group" not in table:
        table["group"] = table["class"]
    side = [float(table[["x", "y"]].min().min()), float(table[["x", "y"]].max().max())]
    scale = alt.Scale(domain=side, nice=True)
    classes, groups = list(dict.fromkeys(table["class"])), list(dict.fromkeys(table["group"]))
    color = alt.Color(
        "class:N", scale=alt.Scale(domain=classes, range=list(COLORS[: len(classes)]))
    )
    by_shape = "class:N" if groups == classes else "group:N"
    shape = alt.Shape(by_shape, scale=alt.Scale(domain=groups, range=list(SHAPES[: len(groups)])))
    x, y = alt.X("x:Q", title=None, scale=scale), alt.Y("y:Q", title=None, scale=scale)
    dots = (
        alt.Chart(table)
        .mark_point(size=45, filled=True)
        .encode(
            x=x,
            y=y,
            color=color,
            shape=shape,
            opacity=alt.condition(
                alt.datum["state"] == "farther than tau", alt.value(1.0), alt.value(0.35)
            ),
            tooltip=["class:N", "group:N", alt.Tooltip("distance:Q", format=".3f"), "state:N"],
        )
    )
    lines = boundaries if "offset" in boundaries else boundaries.assign(offset=0.0)
    drawn = [
        alt.Chart(lines[lines["offset"] == 0]).mark_line(color=GRAY, strokeWidth=2, clip=True),
        alt.Chart(lines[lines["offset"] != 0]).mark_line(color=GRAY, strokeDash=[3, 4], clip=True),
    ]
    return alt.layer(
        *[line.encode(x=x, y=y, detail=["line:N", "offset:Q"]) for line in drawn],
        dots,
        width=width,
        height=width,
    )


def _states(distance: pd.Series, tau: float) -> np.ndarray:
    return np.where(distance > tau, "farther than tau", "within tau")


def fooled_bars(table: pd.DataFrame, *, row_height: int = 26) -> Chart:
    """Draw which share of each group's correct images is fooled at one budget, with its interval (figure 3).

    Parameters
    ----------
    table
        As `rbcore.analyses.fooled_at` returns it.
    """
    named = table.assign(
        name=[f"{row.group} (n = {row.n_correct:,})" for row in table.itertuples()]
    )
    y = alt.Y(
        "name:N",
        title=None,
        sort=list(named["name"]),
        axis=alt.Axis(labelLimit=220, labelOverlap=False),
    )
    title = f"fooled within L2 {table['budget'].iat[0]:g}: at least this share of correct images"
    scale = alt.Scale(domain=[0, 1])
    base = alt.Chart(named).encode(y=y)
    tooltip = [
        "group:N",
        alt.Tooltip("share:Q", format=".1%"),
        alt.Tooltip("low:Q", title=f"{CONFIDENCE:.0%} from", format=".1%"),
        alt.Tooltip("high:Q", title=f"{CONFIDENCE:.0%} to", format=".1%"),
        alt.Tooltip("n_correct:Q", title="n"),
    ]
    bars = base.mark_bar(color=COLORS[5], size=14).encode(
        x=alt.X("share:Q", title=title, scale=scale, axis=alt.Axis(format="%")), tooltip=tooltip
    )
    whiskers = base.mark_rule(color="#444444", size=2).encode(
        x="low:Q", x2="high:Q", tooltip=tooltip
    )
    return alt.layer(bars, whiskers, height=row_height * len(named), width=420)


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
    """
    both = pairs[["sigma_first", "sigma_second"]]
    edge = max(0.1, float(np.nanmax(np.abs(both.to_numpy(np.float64))))) * 1.05
    scale = alt.Scale(domain=[-edge, edge], nice=False)
    x = alt.X("sigma_first:Q", title=f"sigma by {first}", scale=scale)
    y = alt.Y("sigma_second:Q", title=f"sigma by {second}", scale=scale)
    legend = alt.Legend() if pairs[colors].nunique() > 1 else None
    corners = pd.DataFrame({"a": [0.0, -edge], "b": [edge, 0.0]})
    shade = (
        alt.Chart(corners)
        .mark_rect(color=GRAY, opacity=0.12)
        .encode(
            x=alt.X("a:Q", scale=scale, title=f"sigma by {first}"),
            x2="b:Q",
            y=alt.Y("a:Q", scale=scale, title=f"sigma by {second}"),
            y2="b:Q",
        )
    )
    dots = (
        alt.Chart(pairs)
        .mark_point(size=50, filled=True, opacity=0.75)
        .encode(
            x=x,
            y=y,
            color=alt.Color(f"{colors}:N", scale=alt.Scale(range=list(COLORS)), legend=legend),
            shape=alt.Shape(f"{colors}:N", legend=legend),
            tooltip=[f"{colors}:N", "group:N", "sigma_first:Q", "sigma_second:Q", "n:Q"],
        )
    )
    return alt.layer(shade, dots, width=width, height=width)
