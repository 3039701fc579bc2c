"""Toys in a plane (figures 1 and 2): as pictures, and to try by hand with a slider of tau."""

import altair as alt
import numpy as np
import pandas as pd

from rbcore.charts.legend import COLORS, SHAPES, point_legend
from rbcore.charts.theme import DISTANCE, GRAY, SHARE_SENTENCE, Chart

IS_SAFE = "datum.is_correct && datum.distance > tau"
BAR_HEIGHT = 26
FARTHER, WITHIN = "farther than tau", "within tau"
TOOLTIP = ("class:N", "group:N", alt.Tooltip("distance:Q", format=DISTANCE), "state:N")


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
    is_farther = True if tau is None else points["distance"] > tau
    table = points.assign(state=np.where(is_farther, FARTHER, WITHIN))
    if "group" not in table:
        table["group"] = table["class"]
    side = [float(table[["x", "y"]].min().min()), float(table[["x", "y"]].max().max())]
    scale = alt.Scale(domain=side, nice=True)
    classes, groups = list(dict.fromkeys(table["class"])), list(dict.fromkeys(table["group"]))
    of_class = point_legend("class", classes, title="class")
    of_group = of_class if groups == classes else point_legend("group", groups, title="group")
    x, y = alt.X("x:Q", title=None, scale=scale), alt.Y("y:Q", title=None, scale=scale)
    dots = (
        alt.Chart(table)
        .mark_point(size=45, filled=True)
        .encode(
            x=x,
            y=y,
            color=of_class.color(),
            shape=of_group.shape(),
            opacity=alt.condition(alt.datum["state"] == FARTHER, alt.value(1.0), alt.value(0.35)),
            tooltip=list(TOOLTIP),
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


def toy_explorer(
    points: pd.DataFrame, boundaries: pd.DataFrame, *, tau: float, tau_max: float, width: int = 300
) -> alt.VConcatChart:
    """Draw points in a plane with a slider of tau, and bars of I_P(tau) that follow it.

    Points within tau of the boundary are hollow, as misclassified ones are; the gray band is all
    that lies within tau. The slider lives in the chart, so that dragging asks no server.

    Parameters
    ----------
    points
        ``x``, ``y``, ``class``, ``group``, ``distance`` (L2), ``is_correct``, and ``classifier``:
        whose boundary the distance is measured to. With several classifiers a choice between them
        is drawn beside the slider.
    boundaries
        ``line``, ``x``, ``y`` and ``classifier``.
    tau, tau_max
        Where the slider starts and ends, L2.
    width
        Of the square plot in pixels.
    """
    classes, groups = list(dict.fromkeys(points["class"])), list(dict.fromkeys(points["group"]))
    classifiers = list(dict.fromkeys(points["classifier"]))
    margin = 0.06
    middle = [(points[axis].min() + points[axis].max()) / 2 for axis in ("x", "y")]
    reach = (
        max(
            float((points[axis] - center).abs().max())
            for axis, center in zip("xy", middle, strict=True)
        )
        + margin
    )
    slider = alt.param(
        name="tau",
        value=tau,
        bind=alt.binding_range(
            min=0, max=tau_max, step=tau_max / 100, name="attacker's reach tau "
        ),
    )
    chosen = alt.param(
        name="classifier",
        value=classifiers[0],
        bind=alt.binding_radio(options=classifiers, name="classifier ")
        if len(classifiers) > 1
        else alt.Undefined,
    )
    scales = [alt.Scale(domain=[center - reach, center + reach], nice=False) for center in middle]
    axis = alt.Axis(labels=False, ticks=False, grid=False, domain=False)
    x, y = (
        alt.X("x:Q", title=None, axis=axis, scale=scales[0]),
        alt.Y("y:Q", title=None, axis=axis, scale=scales[1]),
    )
    colors = alt.Scale(domain=classes, range=list(COLORS[: len(classes)]))
    is_by_class = groups == classes
    line = (
        alt.Chart(_as_one_path(boundaries))
        .transform_filter("datum.classifier == classifier")
        .encode(x=x, y=y, order=alt.Order("position:Q"))
    )
    # A stroke is as wide to both sides of the line: drawn 2 tau wide it covers
    # what lies within tau.
    band = line.mark_line(
        color=GRAY,
        opacity=0.2,
        clip=True,
        strokeCap="round",
        strokeJoin="round",
        strokeWidth=alt.expr(f"tau * {width / reach}"),
    )
    dots = (
        alt.Chart(points)
        .transform_filter("datum.classifier == classifier")
        .transform_calculate(
            state=f"{IS_SAFE} ? 'correct and farther than tau' : 'within tau, or wrong'"
        )
        .mark_point(size=42, strokeWidth=1.5, opacity=1)
        .encode(
            x=x,
            y=y,
            fill=alt.Fill("class:N", scale=colors, legend=None),
            stroke=alt.Stroke("class:N", scale=colors, legend=None),
            fillOpacity=alt.condition(IS_SAFE, alt.value(0.85), alt.value(0.0)),
            strokeOpacity=alt.condition(IS_SAFE, alt.value(1.0), alt.value(0.6)),
            shape=alt.Shape(
                "class:N" if is_by_class else "group:N",
                scale=alt.Scale(domain=groups, range=list(SHAPES[: len(groups)])),
                legend=None,
            ),
            tooltip=list(TOOLTIP),
        )
    )
    shares = (
        alt.Chart(points)
        .transform_filter("datum.classifier == classifier")
        .transform_calculate(safe=f"{IS_SAFE} ? 1 : 0")
        .transform_aggregate(share="mean(safe)", n_safe="sum(safe)", n="count()", groupby=["group"])
        .transform_calculate(
            text="format(datum.share, '.0%') + ' (' + datum.n_safe + ' of ' + datum.n + ')'",
        )
        .encode(
            y=alt.Y(
                "group:N",
                title=None,
                sort=groups,
                axis=alt.Axis(ticks=False, domain=False, labelPadding=6),
            )
        )
    )
    share = alt.X(
        "share:Q",
        title=SHARE_SENTENCE,
        scale=alt.Scale(domain=[0, 1.5]),  # room for the words behind a full bar
        axis=alt.Axis(labels=False, ticks=False, domain=False, grid=False, titleAnchor="start"),
    )
    color = (
        alt.Color(
            "group:N",
            scale=alt.Scale(domain=groups, range=list(COLORS[: len(groups)])),
            legend=None,
        )
        if is_by_class
        else alt.value(GRAY)
    )
    bars = shares.mark_bar(size=15).encode(x=share, color=color)
    words = shares.mark_text(align="left", dx=6, fontSize=12, fontWeight="bold", color=GRAY).encode(
        x=share, text="text:N"
    )
    explorer: alt.VConcatChart = (
        alt.vconcat(
            alt.layer(
                band,
                line.mark_line(color=GRAY, strokeWidth=2, clip=True),
                dots,
                width=width,
                height=width,
            ),
            alt.layer(bars, words, width=width, height=BAR_HEIGHT * len(groups)),
            spacing=8,
        )
        .add_params(slider, chosen)
        .resolve_scale(
            color="independent", fill="independent", stroke="independent", shape="independent"
        )
        .configure_view(stroke=None)
    )
    return explorer


def _as_one_path(boundaries: pd.DataFrame) -> pd.DataFrame:
    """Return the lines one after the other with a gap between.

    As one path, so that their bands do not darken where they overlap.
    """
    gap = pd.DataFrame({"x": [None], "y": [None]}, dtype="float64")
    pieces = []
    for (classifier, _), piece in boundaries.groupby(["classifier", "line"], sort=False):
        pieces += [part.assign(classifier=str(classifier)) for part in (piece[["x", "y"]], gap)]
    path = pd.concat(pieces, ignore_index=True)
    return path.assign(position=range(len(path)))
