"""Through training: loss and accuracy, sigma and accuracy of every group, curves of one epoch."""

import altair as alt
import numpy as np
import pandas as pd

from rbcore.charts.legend import line_legend
from rbcore.charts.theme import (
    DISTANCE,
    SHARE,
    Chart,
    curve_tooltips,
    fitted_height,
    interval_tooltips,
    rule_at,
    share_axis,
    tau_axis,
)
from rbcore.norms import norm_of

MEASURES = {
    "sigma": ("sigma: less robust < 0 < more", "sigma", "low", "high", "+.2f"),
    "accuracy": ("accuracy", "accuracy", "accuracy_low", "accuracy_high", ".0%"),
}
COMPRESSED_FROM = 1.5
"""Largest sigma up to which its axis is linear."""
COMPRESSED_TICKS = [-1, -0.5, -0.2, 0, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100]
BAND = 0.13
"""Opacity of a band."""


def through_training(
    table: pd.DataFrame, measure: str = "sigma", *, epoch: int | None = None, height: int = 212
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
    height
        Of the plot in pixels.
    """
    title, value, low, high, form = MEASURES[measure]
    is_sigma = measure == "sigma"
    drawn = table[table["is_ranked"] & np.isfinite(table["sigma"])] if is_sigma else table
    axis, scale = alt.Axis(format=form), alt.Scale(zero=is_sigma)
    if is_sigma and drawn["sigma"].max() > COMPRESSED_FROM:
        title = "sigma (axis compressed)"  # one wild first epoch would flatten all others
        axis = alt.Axis(format=form, values=COMPRESSED_TICKS)
        scale = alt.Scale(type="symlog", constant=0.2)
    y = alt.Y(f"{value}:Q", title=title, axis=axis, scale=scale)
    tooltip = [
        alt.Tooltip("group:N"),
        alt.Tooltip("epoch:Q"),
        alt.Tooltip(f"{value}:Q", format=form),
        *interval_tooltips(form, low, high),
        alt.Tooltip("n:Q"),
    ]
    legend = line_legend("group", list(dict.fromkeys(table["group"])))
    base = alt.Chart(drawn).encode(x=_epoch_axis(table["epoch"]), color=legend.color())
    layers: list[alt.Chart] = [
        base.mark_area(opacity=BAND).encode(y=alt.Y(f"{low}:Q", title=title), y2=f"{high}:Q"),
        base.mark_line(strokeWidth=2).encode(y=y, strokeDash=legend.dash(), tooltip=tooltip),
        base.mark_point(filled=True, size=35, opacity=1).encode(y=y, tooltip=tooltip),
    ]
    if is_sigma:
        layers.insert(0, rule_at(y=0, is_dashed=False))
    if epoch is not None:
        layers.append(rule_at(x=epoch))
    return alt.layer(*layers, height=fitted_height(height, legend))


def curves_of_epoch(table: pd.DataFrame, largest: float, *, height: int = 212) -> Chart:
    """Draw I_P(tau) of every group with its band, from 0 to a tau that no epoch moves.

    Parameters
    ----------
    table
        As `rbcore.inference.curves` returns it.
    largest
        Where the axis ends, L2.
    height
        Of the plot in pixels.
    """
    legend = line_legend("group", list(dict.fromkeys(table["group"])))
    base = alt.Chart(table).encode(x=tau_axis(norm_of(table), largest), color=legend.color())
    bands = base.mark_area(interpolate="step-after", opacity=BAND, clip=True).encode(
        y="low:Q", y2="high:Q"
    )
    lines = base.mark_line(interpolate="step-after", clip=True).encode(
        y=share_axis(), strokeDash=legend.dash(), tooltip=curve_tooltips()
    )
    return alt.layer(bands, lines, height=fitted_height(height, legend))


def training_history(history: list[dict[str, float]], *, height: int = 160) -> alt.HConcatChart:
    """Draw training loss and test accuracy after each epoch, as a run's sidecar keeps them."""
    axis = alt.Axis(tickMinStep=1, format="d")
    base = (
        alt.Chart(pd.DataFrame(history))
        .mark_line(point=True)
        .encode(x=alt.X("epoch:Q", axis=axis))
        .properties(height=height, width=300)
    )
    loss = base.encode(
        y=alt.Y("train_loss:Q", title="training loss"),
        tooltip=["epoch", alt.Tooltip("train_loss", format=DISTANCE)],
    )
    accuracy = base.encode(
        y=alt.Y(
            "test_accuracy:Q",
            title="test accuracy",
            axis=alt.Axis(format="%"),
            scale=alt.Scale(zero=False),
        ),
        tooltip=["epoch", alt.Tooltip("test_accuracy", format=SHARE)],
    )
    return alt.HConcatChart(hconcat=[loss, accuracy])


def _epoch_axis(epochs: pd.Series) -> alt.X:
    first, last = int(epochs.min()), int(epochs.max())
    domain = [first, last] if first < last else [first - 1, last + 1]
    n_ticks = min(12, last - first + 1)
    axis = alt.Axis(tickMinStep=1, format="d", tickCount=n_ticks, grid=False)
    return alt.X("epoch:Q", title="epoch", scale=alt.Scale(domain=domain, nice=False), axis=axis)
