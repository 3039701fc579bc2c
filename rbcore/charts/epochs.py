"""Sigma and accuracy of every group through training, and the curves of one epoch on axes that stay where they are."""

import altair as alt
import numpy as np
import pandas as pd

from rbcore.charts.curves import TAU_TITLE
from rbcore.charts.groups import COLORS, DASHES, LEGEND_ROW, Chart
from rbcore.inference import CONFIDENCE

MEASURES = {
    "sigma": ("sigma: less robust < 0 < more", "sigma", "low", "high", "+.2f"),
    "accuracy": ("accuracy", "accuracy", "accuracy_low", "accuracy_high", ".0%"),
}
RULE = "#7F7F7F"
LEGEND_COLUMNS = 4
COMPRESSED_FROM = 1.5
"""Largest sigma up to which its axis is linear."""
COMPRESSED_TICKS = [-1, -0.5, -0.2, 0, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100]


def _encoding(table: pd.DataFrame) -> tuple[alt.Color, alt.StrokeDash]:
    """Return color and dash of every group, the same as those of `robustness_curves`."""
    groups = list(dict.fromkeys(table["group"]))
    colors = [COLORS[i % len(COLORS)] for i in range(len(groups))]
    dashes = [list(DASHES[i // len(COLORS) % len(DASHES)]) for i in range(len(groups))]
    legend = alt.Legend(
        orient="bottom",
        columns=LEGEND_COLUMNS,
        labelLimit=110,
        symbolType="stroke",
        symbolStrokeWidth=3,
        symbolOpacity=1,
    )
    return (
        alt.Color(
            "group:N", title=None, scale=alt.Scale(domain=groups, range=colors), legend=legend
        ),
        alt.StrokeDash(
            "group:N", title=None, scale=alt.Scale(domain=groups, range=dashes), legend=legend
        ),
    )


def _room(table: pd.DataFrame) -> int:
    """Return the pixels that axis and legend take below a plot: a page fits the whole chart into its height."""
    return 90 + LEGEND_ROW * -(-table["group"].nunique() // LEGEND_COLUMNS)


def through_training(
    table: pd.DataFrame, measure: str = "sigma", *, epoch: int | None = None, height: int = 230
) -> Chart:
    """Draw sigma or accuracy of every group over the epochs, each with its interval as a band.

    Parameters
    ----------
    table
        `rbcore.analyses.bias_of_epoch` of several epochs, joined, with ``epoch``; groups that are
        not ranked are left out of sigma.
    measure
        ``sigma | accuracy``.
    epoch
        Where to draw a rule.
    """
    title, value, low, high, number = MEASURES[measure]
    color, dash = _encoding(table)
    drawn = table[table["is_ranked"] & np.isfinite(table["sigma"])] if measure == "sigma" else table
    first, last = int(table["epoch"].min()), int(table["epoch"].max())
    x = alt.X(
        "epoch:Q",
        scale=alt.Scale(
            domain=[first, last] if first < last else [first - 1, last + 1], nice=False
        ),
        axis=alt.Axis(tickMinStep=1, format="d", tickCount=min(12, last - first + 1), grid=False),
    )
    axis, scale = alt.Axis(format=number), alt.Scale(zero=measure == "sigma")
    if (
        measure == "sigma" and drawn["sigma"].max() > COMPRESSED_FROM
    ):  # one wild first epoch would flatten all others
        title = "sigma (axis compressed)"
        axis, scale = (
            alt.Axis(format=number, values=COMPRESSED_TICKS),
            alt.Scale(type="symlog", constant=0.2),
        )
    y = alt.Y(f"{value}:Q", title=title, axis=axis, scale=scale)
    tooltip = [
        "group:N",
        "epoch:Q",
        alt.Tooltip(f"{value}:Q", format=number),
        alt.Tooltip(f"{low}:Q", title=f"{CONFIDENCE:.0%} from", format=number),
        alt.Tooltip(f"{high}:Q", title=f"{CONFIDENCE:.0%} to", format=number),
        "n:Q",
    ]
    base = alt.Chart(drawn).encode(x=x, color=color)
    layers: list[alt.Chart] = [
        base.mark_area(opacity=0.13).encode(y=alt.Y(f"{low}:Q", title=title), y2=f"{high}:Q"),
        base.mark_line(strokeWidth=2).encode(y=y, strokeDash=dash, tooltip=tooltip),
        base.mark_point(filled=True, size=35, opacity=1).encode(y=y, tooltip=tooltip),
    ]
    if measure == "sigma":
        layers.insert(
            0, alt.Chart(pd.DataFrame({"zero": [0.0]})).mark_rule(color=RULE).encode(y="zero:Q")
        )
    if epoch is not None:
        at = alt.Chart(pd.DataFrame({"epoch": [epoch]}))
        layers.append(at.mark_rule(color=RULE, strokeDash=[4, 4], size=2).encode(x="epoch:Q"))
    return alt.layer(*layers, height=height + _room(table))


def curves_of_epoch(table: pd.DataFrame, largest: float, *, height: int = 230) -> Chart:
    """Draw I_P(tau) of every group with its band, from 0 to a tau that does not depend on the epoch.

    Parameters
    ----------
    table
        As `rbcore.inference.curves` returns it.
    largest
        Where the axis ends, L2.
    """
    color, dash = _encoding(table)
    x = alt.X("tau:Q", title=TAU_TITLE, scale=alt.Scale(domain=[0, largest], nice=False))
    y = alt.Y(
        "share:Q",
        title="I_P(tau)",
        axis=alt.Axis(format="%"),
        scale=alt.Scale(domain=[0, 1]),
    )
    tooltip = [
        "group:N",
        alt.Tooltip("tau:Q", format=".3f"),
        alt.Tooltip("share:Q", title="I_P(tau)", format=".1%"),
        alt.Tooltip("low:Q", title=f"{CONFIDENCE:.0%} from", format=".1%"),
        alt.Tooltip("high:Q", title=f"{CONFIDENCE:.0%} to", format=".1%"),
        "n:Q",
    ]
    base = alt.Chart(table).encode(x=x, color=color)
    bands = base.mark_area(interpolate="step-after", opacity=0.13, clip=True).encode(
        y="low:Q", y2="high:Q"
    )
    lines = base.mark_line(interpolate="step-after", clip=True).encode(
        y=y, strokeDash=dash, tooltip=tooltip
    )
    return alt.layer(bands, lines, height=height + _room(table))
