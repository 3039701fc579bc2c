"""What a mitigation changed, drawn: curves before and after, every change with its paired interval, and what it cost."""

import altair as alt
import numpy as np
import pandas as pd

from rbcore.charts.curves import TAU_TITLE
from rbcore.charts.groups import AXES_HEIGHT, COLORS, LEGEND_ROW, Chart
from rbcore.inference import CONFIDENCE

GRAY = "#7F7F7F"
UP, DOWN, NEITHER = "went up", "went down", "no change shown"
CHANGE_COLORS = {UP: "#0571B0", DOWN: "#CA0020", NEITHER: GRAY}
MEASURES = {
    "auc": ("area under the curve, L2", ".3f"),
    "distance": ("mean distance of correct images, L2", ".3f"),
    "accuracy": ("accuracy", ".1%"),
}
KIND_SHAPES = {
    "plain": "diamond",
    "fairness term": "circle",
    "adversarial training": "square",
    "re-weighting": "triangle-up",
}
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
    table: pd.DataFrame,
    when: str,
    *,
    tau: float | None = None,
    height: int = 260 + AXES_HEIGHT + LEGEND_ROW,
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
        In pixels.
    """
    sizes = table.groupby("group", sort=False)["n"].max()
    legend = {side: f"{side} (n = {n:,})" for side, n in sizes.items()}
    base = alt.Chart(
        table[table["when"] == when].assign(side=lambda rows: rows["group"].map(legend))
    )
    color = alt.Color(
        "side:N",
        title=None,
        scale=alt.Scale(domain=list(legend.values()), range=[COLORS[1], COLORS[0]]),
        legend=alt.Legend(
            orient="bottom",
            columns=1,
            symbolType="stroke",
            symbolSize=400,
            symbolStrokeWidth=3,
            symbolOpacity=1,
            labelLimit=280,
        ),
    )
    dash = alt.StrokeDash(
        "side:N", title=None, scale=alt.Scale(domain=list(legend.values()), range=[[1, 0], [6, 2]])
    )
    x = alt.X(
        "tau:Q", title=TAU_TITLE, scale=alt.Scale(nice=False, domain=[0, float(table["tau"].max())])
    )
    y_title = "I_P(tau)"
    bands = base.mark_area(interpolate="step-after", opacity=0.15).encode(
        x=x, y=alt.Y("low:Q", title=y_title), y2="high:Q", color=color
    )
    lines = base.mark_line(interpolate="step-after", strokeWidth=2.5).encode(
        x=x,
        y=alt.Y(
            "share:Q", title=y_title, axis=alt.Axis(format="%"), scale=alt.Scale(domain=[0, 1])
        ),
        color=color,
        strokeDash=dash,
        tooltip=[
            alt.Tooltip("side:N", title="side"),
            alt.Tooltip("tau:Q", format=".3f"),
            alt.Tooltip("share:Q", title="I_P(tau)", format=".1%"),
            alt.Tooltip("low:Q", title=f"{CONFIDENCE:.0%} from", format=".1%"),
            alt.Tooltip("high:Q", title=f"{CONFIDENCE:.0%} to", format=".1%"),
            alt.Tooltip("rb:Q", title="RB(P, tau)", format=".3f"),
        ],
    )
    layers: list[alt.Chart] = [bands, lines]
    if tau is not None:
        rule = alt.Chart(pd.DataFrame({"tau": [tau]})).mark_rule(
            strokeDash=[4, 4], size=2, color=GRAY
        )
        layers.append(rule.encode(x="tau:Q"))
    return alt.layer(*layers, height=height)


def changes_chart(changes: pd.DataFrame, measure: str, *, row_height: int = 30) -> Chart:
    """Draw one measure of every side before (open) and after (filled), with the paired interval of each change.

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
    own = changes[changes["measure"] == measure]
    table = own.assign(
        name=[f"{row.who} (n = {row.n:,})" for row in own.itertuples()],
        start=own["before"] + own["low"],
        end=own["before"] + own["high"],
        shown=np.select(
            [own["is_shown"] & (own["change"] > 0), own["is_shown"]], [UP, DOWN], NEITHER
        ),
    )
    color = alt.Color(
        "shown:N",
        title=None,
        scale=alt.Scale(domain=list(CHANGE_COLORS), range=list(CHANGE_COLORS.values())),
        legend=alt.Legend(
            orient="bottom", columns=2, labelLimit=140, symbolType="circle", symbolOpacity=1
        ),
    )
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
        y=alt.Y(
            "name:N",
            title=None,
            sort=list(table["name"]),
            axis=alt.Axis(labelLimit=170, labelOverlap=False),
        ),
        tooltip=[
            alt.Tooltip("name:N", title="images"),
            alt.Tooltip("before:Q", format=form),
            alt.Tooltip("after:Q", format=form),
            alt.Tooltip("change:Q", format=f"+{form}"),
            alt.Tooltip("low:Q", title=f"{CONFIDENCE:.0%} from", format=f"+{form}"),
            alt.Tooltip("high:Q", title=f"{CONFIDENCE:.0%} to", format=f"+{form}"),
            alt.Tooltip("shown:N", title="shown"),
        ],
    )
    links = base.mark_rule(size=1.5, color=GRAY, strokeDash=[3, 2]).encode(x=x, x2="after:Q")
    whiskers = base.mark_rule(size=4, opacity=0.45).encode(
        x=alt.X("start:Q", title=title), x2="end:Q", color=color
    )
    opened = base.mark_point(size=80, filled=False, strokeWidth=2, color=GRAY, opacity=1).encode(
        x=x
    )
    filled = base.mark_point(size=90, filled=True, opacity=1).encode(
        x=alt.X("after:Q", title=title), color=color
    )
    height = row_height * len(table) + AXES_HEIGHT + LEGEND_ROW
    return alt.layer(links, whiskers, opened, filled, height=height)


def trade_off_chart(
    table: pd.DataFrame,
    *,
    bias: str = "sigma",
    compared: str | None = None,
    tau: float = 0.5,
    height: int = 360,
) -> Chart:
    """Draw the bias of a group against the accuracy of all images, one mark a run with both intervals.

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
        In pixels.
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
    kinds = [kind for kind in KIND_SHAPES if kind in set(table["kind"])]
    colors = dict(zip(KIND_SHAPES, ("#7F7F7F", COLORS[0], COLORS[1], COLORS[2]), strict=True))
    x = alt.X(
        "accuracy:Q",
        title="accuracy of all test images",
        axis=alt.Axis(format="%"),
        scale=alt.Scale(zero=False),
    )
    y = alt.Y(f"{value}:Q", title=title, scale=alt.Scale(zero=True))
    legend = alt.Legend(orient="bottom", columns=2, labelLimit=140, symbolOpacity=1)
    color = alt.Color(
        "kind:N",
        title=None,
        legend=legend,
        scale=alt.Scale(domain=kinds, range=[colors[kind] for kind in kinds]),
    )
    shape = alt.Shape(
        "kind:N",
        title=None,
        legend=legend,
        scale=alt.Scale(domain=kinds, range=[KIND_SHAPES[kind] for kind in kinds]),
    )
    tooltip = [
        alt.Tooltip("run:N"),
        alt.Tooltip("kind:N"),
        alt.Tooltip("setting:N"),
        alt.Tooltip("trained_tau:Q", title="trained at tau"),
        alt.Tooltip("accuracy_in_words:N", title="accuracy [95%]"),
        alt.Tooltip("bias_in_words:N", title=f"{bias} [95%]"),
        alt.Tooltip("auc_group:Q", title="AUC of the group", format=".3f"),
        alt.Tooltip("auc_rest:Q", title="AUC of the rest", format=".3f"),
        alt.Tooltip("n_group:Q", title="n of the group"),
        alt.Tooltip("n:Q"),
    ]
    base = alt.Chart(drawn).encode(tooltip=tooltip)
    clicked = alt.selection_point(name="run", fields=["run"], on="click", empty=False)
    path = (
        alt.Chart(drawn[drawn["alpha"].notna()])
        .mark_line(color=COLORS[0], strokeDash=[4, 3], strokeWidth=1, opacity=0.7)
        .encode(x=x, y=y, order="alpha:Q", detail="family:N")
    )
    across = base.mark_rule(opacity=0.35, size=2).encode(x=alt.X("accuracy_low:Q"), x2="accuracy_high:Q", y=y, color=color)  # fmt: skip
    along = base.mark_rule(opacity=0.35, size=2).encode(
        x=x, y=alt.Y(f"{low}:Q"), y2=f"{high}:Q", color=color
    )
    rings = (
        alt.Chart(drawn[drawn["run"] == compared])
        .mark_point(size=330, filled=False, strokeWidth=2, color=GRAY, opacity=1)
        .encode(x=x, y=y)
    )
    dots = (
        base.mark_point(size=110, filled=True, opacity=1)
        .encode(x=x, y=y, color=color, shape=shape)
        .add_params(clicked)
    )
    labels = base.mark_text(align="left", dx=9, dy=-9, color=GRAY).encode(
        x=x, y=y, text="setting:N"
    )
    return alt.layer(path, across, along, rings, dots, labels, height=height)
