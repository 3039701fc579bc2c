"""What a mitigation changed, drawn: curves before and after, each change, and what it cost."""

from itertools import cycle

import altair as alt
import numpy as np
import pandas as pd

from rbcore.charts.legend import COLORS, DASHES, Legend
from rbcore.charts.theme import (
    DISTANCE,
    GRAY,
    LESS,
    MORE,
    RB_TITLE,
    SHARE,
    Chart,
    curve_tooltips,
    fitted_height,
    interval_tooltips,
    names_axis,
    rule_at,
    share_axis,
    tau_axis,
    with_count,
)
from rbcore.inference import CONFIDENCE
from rbcore.norms import norm_of
from rbcore.training.mitigations import MITIGATIONS

UP, DOWN, NEITHER = "went up", "went down", "no change shown"
CHANGE_COLORS = {UP: MORE, DOWN: LESS, NEITHER: GRAY}
MEASURES = {
    "auc": ("area under the curve", DISTANCE),
    "distance": ("mean distance of correct images", DISTANCE),
    "accuracy": ("accuracy", SHARE),
}
SHAPES = ("circle", "square", "triangle-up", "cross", "triangle-down", "stroke")
"""Of the runs of each mitigation, in the order in which they are registered."""
BIASES = {"sigma": ("size", "size_low", "size_high"), "RB": ("rb", "rb_low", "rb_high")}
"""What can stand on the axis of the bias, with the columns of value and interval."""


def before_after_curves(
    table: pd.DataFrame,
    *,
    titles: tuple[str, str] = ("plain", "mitigated"),
    tau: float | None = None,
    width: int = 330,
) -> alt.HConcatChart:
    """Draw `side_curves` before and after, side by side on the same axes (figures 17 to 22).

    Parameters
    ----------
    table, tau
        As `side_curves`.
    titles
        Of the left panel, before, and of the right one, after.
    width
        Of each panel in pixels.
    """
    return alt.HConcatChart(
        hconcat=[
            side_curves(table, when, tau=tau).properties(title=title, width=width)
            for when, title in zip(("before", "after"), titles, strict=True)
        ]
    )


def side_curves(
    table: pd.DataFrame, when: str, *, tau: float | None = None, height: int = 260
) -> Chart:
    """Draw I_P(tau) of a group and the rest under one of two models.

    The axes are the same for both.

    Parameters
    ----------
    table
        As `rbcore.analyses.curves_of_sides` returns it.
    when
        ``before`` or ``after``.
    tau
        Where to draw a rule, L2: the budget at which a fairness term compared the groups.
    height
        Of the plot in pixels.
    """
    sizes = table.groupby("group", sort=False)["n"].max()
    names = with_count(sizes.index, sizes)
    sides = table["group"].map(dict(zip(sizes.index, names, strict=True)))
    legend = Legend("side", names, [COLORS[1], COLORS[0]], dashes=DASHES[:2])
    base = alt.Chart(table.assign(side=sides)[table["when"] == when]).encode(
        x=tau_axis(norm_of(table), float(table["tau"].max())), color=legend.color()
    )
    bands = base.mark_area(interpolate="step-after", opacity=0.15).encode(y="low:Q", y2="high:Q")
    lines = base.mark_line(interpolate="step-after", strokeWidth=2.5).encode(
        y=share_axis(),
        strokeDash=legend.dash(),
        tooltip=[
            *curve_tooltips(name="side"),
            alt.Tooltip("rb:Q", title=RB_TITLE, format=DISTANCE),
        ],
    )
    layers = [bands, lines] if tau is None else [bands, lines, rule_at(x=tau)]
    return alt.layer(*layers, height=fitted_height(height, legend))


def changes_chart(changes: pd.DataFrame, measure: str, *, row_height: int = 30) -> Chart:
    """Draw one measure of every side before (open) and after (filled) with paired intervals.

    The interval is drawn from the value before: where it does not reach the open mark,
    the change is shown.

    Parameters
    ----------
    changes
        As ``changes`` of `rbcore.analyses.Effect`.
    measure
        One of `MEASURES`.
    row_height
        In pixels.
    """
    title, form = MEASURES[measure]
    if form == DISTANCE:
        title = f"{title}, {norm_of(changes).symbol}"
    own = changes[changes["measure"] == measure]
    table = own.assign(
        name=with_count(own["who"], own["n"]),
        start=own["before"] + own["low"],
        end=own["before"] + own["high"],
        shown=np.select(
            [own["is_shown"] & (own["change"] > 0), own["is_shown"]], [UP, DOWN], NEITHER
        ),
    )
    legend = Legend("shown", list(CHANGE_COLORS), list(CHANGE_COLORS.values()))
    ends = table[["before", "after", "start", "end"]].to_numpy(np.float64)
    low, high = float(np.nanmin(ends)), float(np.nanmax(ends))
    margin = 0.04 * (high - low) or 0.01
    x = alt.X(
        "before:Q",
        title=title,
        scale=alt.Scale(domain=[low - margin, high + margin], nice=False),
        axis=alt.Axis(format="%" if form.endswith("%") else "~g", tickCount=6),
    )
    base = alt.Chart(table).encode(
        y=names_axis("name", table["name"]),
        tooltip=[
            alt.Tooltip("name:N", title="images"),
            alt.Tooltip("before:Q", format=form),
            alt.Tooltip("after:Q", format=form),
            alt.Tooltip("change:Q", format=f"+{form}"),
            *interval_tooltips(f"+{form}"),
            alt.Tooltip("shown:N", title="shown"),
        ],
    )
    links = base.mark_rule(size=1.5, color=GRAY, strokeDash=[3, 2]).encode(x=x, x2="after:Q")
    whiskers = base.mark_rule(size=4, opacity=0.45).encode(
        x=alt.X("start:Q", title=title), x2="end:Q", color=legend.color()
    )
    opened = base.mark_point(size=80, filled=False, strokeWidth=2, color=GRAY, opacity=1).encode(
        x=x
    )
    filled = base.mark_point(size=90, filled=True, opacity=1).encode(
        x=alt.X("after:Q", title=title), color=legend.color()
    )
    height = fitted_height(row_height * len(table), legend)
    return alt.layer(links, whiskers, opened, filled, height=height)


def trade_off_chart(
    table: pd.DataFrame,
    *,
    bias: str = "sigma",
    compared: str | None = None,
    tau: float = 0.5,
    height: int = 326,
) -> Chart:
    """Draw the bias of a group against the accuracy of all images, one mark a run.

    Fairness terms that differ in alpha only are joined by a line in the order of alpha; a
    click selects ``run``.

    Parameters
    ----------
    table
        As `rbcore.analyses.trade_off` returns it.
    bias
        One of `BIASES`.
    compared
        Name of a run to ring.
    tau
        At which RB was measured, for the title of its axis.
    height
        In pixels, without the legend.
    """
    value, low, high = BIASES[bias]
    title = (
        "|sigma| of the group: 0 is no bias"
        if bias == "sigma"
        else f"RB at tau = {tau:g}: 0 is no bias"
    )
    drawn = table.assign(
        accuracy_in_words=[
            f"{row.accuracy:.1%} [{row.accuracy_low:.1%}, {row.accuracy_high:.1%}]"
            for row in table.itertuples()
        ],
        bias_in_words=[
            f"{row[value]:.3f} [{row[low]:.3f}, {row[high]:.3f}]" for _, row in table.iterrows()
        ],
    )
    marks = _marks_of_kinds()
    kinds = [kind for kind in marks if kind in set(table["kind"])]
    colors, shapes = zip(*(marks[kind] for kind in kinds), strict=True)
    legend = Legend("kind", kinds, colors, shapes=shapes)
    x = alt.X(
        "accuracy:Q",
        title="accuracy of all test images",
        axis=alt.Axis(format="%"),
        scale=alt.Scale(zero=False),
    )
    y = alt.Y(f"{value}:Q", title=title, scale=alt.Scale(zero=True))
    tooltip = [
        alt.Tooltip("run:N"),
        alt.Tooltip("kind:N"),
        alt.Tooltip("setting:N"),
        alt.Tooltip("trained_tau:Q", title="trained at tau"),
        alt.Tooltip("accuracy_in_words:N", title=f"accuracy [{CONFIDENCE:.0%}]"),
        alt.Tooltip("bias_in_words:N", title=f"{bias} [{CONFIDENCE:.0%}]"),
        alt.Tooltip("auc_group:Q", title="AUC of the group", format=".3f"),
        alt.Tooltip("auc_rest:Q", title="AUC of the rest", format=".3f"),
        alt.Tooltip("n_group:Q", title="n of the group"),
        alt.Tooltip("n:Q"),
    ]
    base = alt.Chart(drawn).encode(tooltip=tooltip)
    colored = base.encode(color=legend.color())
    clicked = alt.selection_point(name="run", fields=["run"], on="click", empty=False)
    path = (
        alt.Chart(drawn[drawn["alpha"].notna()])
        .mark_line(color=COLORS[0], strokeDash=[4, 3], strokeWidth=1, opacity=0.7)
        .encode(x=x, y=y, order="alpha:Q", detail="family:N")
    )
    across = colored.mark_rule(opacity=0.35, size=2).encode(
        x=alt.X("accuracy_low:Q"), x2="accuracy_high:Q", y=y
    )
    along = colored.mark_rule(opacity=0.35, size=2).encode(x=x, y=alt.Y(f"{low}:Q"), y2=f"{high}:Q")
    rings = (
        alt.Chart(drawn[drawn["run"] == compared])
        .mark_point(size=330, filled=False, strokeWidth=2, color=GRAY, opacity=1)
        .encode(x=x, y=y)
    )
    dots = (
        colored.mark_point(size=110, filled=True, opacity=1)
        .encode(x=x, y=y, shape=legend.shape())
        .add_params(clicked)
    )
    labels = base.mark_text(align="left", dx=9, dy=-9, color=GRAY).encode(
        x=x, y=y, text="setting:N"
    )
    layers = (path, across, along, rings, dots, labels)
    return alt.layer(*layers, height=height + legend.height)


def _marks_of_kinds() -> dict[str, tuple[str, str]]:
    """Return color and shape of the runs of each kind: gray for the plain one."""
    titles = [declared.title for declared in MITIGATIONS.values()]
    marks = zip(titles, cycle(COLORS), cycle(SHAPES), strict=False)
    return {"plain": (GRAY, "diamond")} | {title: (color, shape) for title, color, shape in marks}
