"""Curves, sigma and its heatmap for the groups of a partition, and the history of a training.

Colours are those of Okabe and Ito, told apart by colour-blind readers, with olive for their black, which a dark page would
swallow; from the ninth group on the dashes change too.
"""

import altair as alt
import numpy as np
import pandas as pd

from rbcore.inference import (
    CONFIDENCE,
    LESS_ROBUST,
    MORE_ROBUST,
    NO_DIFFERENCE,
    TOO_FEW,
    UNDEFINED,
    curves,
    robustness_bias,
    verdict_phrases,
    verdicts,
)
from rbcore.measures import DEFAULT_POLICY, Policy

Chart = alt.LayerChart | alt.FacetChart

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7F7F7F", "#999933")
DASHES = ((1, 0), (6, 2), (2, 2), (8, 2, 2, 2))
VERDICT_COLOURS = {
    LESS_ROBUST: "#CA0020",
    NO_DIFFERENCE: "#7F7F7F",
    MORE_ROBUST: "#0571B0",
    UNDEFINED: "#E69F00",
    TOO_FEW: "#C9C9C9",
}
N_TAUS = 200
AXES_HEIGHT = 125
SMALLEST_CELL, READABLE_CELL, LARGEST_CELL = 24, 36, 44
SIGMA_TITLE = "sigma: less robust < 0 < more robust than the rest"
TAU_TITLE = "tau: L2 distance in [0, 1] pixel space"


def tau_grid(distances: pd.DataFrame, policy: Policy = DEFAULT_POLICY) -> np.ndarray:
    """Return at most `N_TAUS` values of tau from 0 to where the last curve ends, shape (N_TAUS,), L2."""
    largest = policy.tau_max or float(distances["distance"].max())
    return np.linspace(0.0, largest if np.isfinite(largest) and largest > 0 else 1.0, N_TAUS)


def robustness_curves(
    distances: pd.DataFrame,
    by: str,
    *,
    policy: Policy = DEFAULT_POLICY,
    tau: float | None = None,
    highlight: str | None = None,
    band: str = "pointwise",
    height: int = 380,
) -> Chart:
    """Draw I_P(tau) (eq. 4-6), one curve a group, with the 95% band of the highlighted group.

    Parameters
    ----------
    distances, by, policy
        As `robustness_bias`.
    tau
        Where to draw a rule, L2.
    highlight
        The group whose band is drawn; all groups' bands where none is named.
    band
        ``pointwise | simultaneous``, as `rbcore.inference.curves`.
    height
        In pixels.
    """
    table = curves(distances, by, taus=tau_grid(distances, policy), policy=policy, band=band)
    groups = list(table["group"].unique())
    sizes = table.groupby("group")["n"].first()
    table["legend"] = [f"{group} (n = {sizes[group]:,})" for group in table["group"]]
    legend = [f"{group} (n = {sizes[group]:,})" for group in groups]
    hovered = alt.selection_point(name="group", fields=["legend"], bind="legend", on="click")
    colour = alt.Color(
        "legend:N",
        title="group",
        scale=alt.Scale(domain=legend, range=[COLOURS[i % len(COLOURS)] for i in range(len(groups))]),
        legend=alt.Legend(
            symbolType="stroke", symbolStrokeWidth=3, symbolOpacity=1, labelLimit=220, columns=1 + len(groups) // 21
        ),
    )
    dash = alt.StrokeDash(
        "legend:N",
        title="group",
        scale=alt.Scale(
            domain=legend, range=[list(DASHES[i // len(COLOURS) % len(DASHES)]) for i in range(len(groups))]
        ),
    )
    x = alt.X("tau:Q", title=TAU_TITLE, scale=alt.Scale(nice=False))
    tooltip = [
        alt.Tooltip("legend:N", title="group"),
        alt.Tooltip("tau:Q", format=".3f"),
        alt.Tooltip("share:Q", title="I_P(tau)", format=".1%"),
        alt.Tooltip("low:Q", title="95% from", format=".1%"),
        alt.Tooltip("high:Q", title="95% to", format=".1%"),
        alt.Tooltip("rb:Q", title="RB(P, tau)", format=".3f"),
    ]
    banded = table if highlight is None else table[table["group"] == highlight]
    bands = (
        alt.Chart(banded)
        .mark_area(interpolate="step-after", opacity=0.12 if highlight is None else 0.25)
        .encode(
            x=x,
            y=alt.Y("low:Q"),
            y2="high:Q",
            color=colour,
            opacity=alt.condition(hovered, alt.value(0.12 if highlight is None else 0.25), alt.value(0.0)),
        )
    )
    lines = (
        alt.Chart(table)
        .mark_line(interpolate="step-after")
        .encode(
            x=x,
            y=alt.Y(
                "share:Q",
                title="I_P(tau): correct and farther than tau",
                axis=alt.Axis(format="%"),
                scale=alt.Scale(domain=[0, 1]),
            ),
            color=colour,
            strokeDash=dash,
            strokeWidth=alt.condition(alt.datum["group"] == highlight, alt.value(4), alt.value(2)),
            opacity=alt.condition(hovered, alt.value(1.0), alt.value(0.15)),
            tooltip=tooltip,
        )
        .add_params(hovered)
    )
    layers: list[alt.Chart] = [bands, lines]
    if tau is not None:
        layers.append(
            alt.Chart(pd.DataFrame({"tau": [tau]}))
            .mark_rule(strokeDash=[4, 4], size=2, color="#7F7F7F")
            .encode(x="tau:Q")
        )
    return alt.layer(*layers, height=height)


def bias_intervals(bias: pd.DataFrame, *, row_height: int = 26) -> Chart:
    """Draw sigma (eq. 3) of every group of a table of `robustness_bias` with its interval and a rule at 0.

    Red: shown to be less robust than the rest, by the test after Holm's correction; blue: more; grey: no difference shown;
    pale: too few images to say.
    """
    table = bias.assign(verdict=verdicts(bias), test=verdict_phrases(bias))
    y = alt.Y("group:N", title=None, sort=list(bias["group"]), axis=alt.Axis(labelLimit=160, labelOverlap=False))
    colour = alt.Color(
        "verdict:N",
        title=None,
        scale=alt.Scale(domain=list(VERDICT_COLOURS), range=list(VERDICT_COLOURS.values())),
        legend=alt.Legend(orient="bottom", labelLimit=260),
    )
    tooltip = [
        "group:N",
        alt.Tooltip("sigma:Q", format="+.3f"),
        alt.Tooltip("low:Q", title=f"{CONFIDENCE:.0%} from", format="+.3f"),
        alt.Tooltip("high:Q", title=f"{CONFIDENCE:.0%} to", format="+.3f"),
        alt.Tooltip("test:N", title="verdict"),
        alt.Tooltip("n:Q"),
    ]
    base = alt.Chart(table).encode(y=y)
    x = alt.X("sigma:Q", title=SIGMA_TITLE)
    zero = alt.Chart(pd.DataFrame({"zero": [0.0]})).mark_rule(color="#7F7F7F").encode(x="zero:Q")
    bars = base.mark_rule(size=3).encode(
        x=alt.X("low:Q", title=SIGMA_TITLE), x2="high:Q", color=colour, tooltip=tooltip
    )
    dots = base.mark_circle(size=90, opacity=1).encode(x=x, color=colour, tooltip=tooltip)
    return alt.layer(zero, bars, dots, height=row_height * len(bias) + AXES_HEIGHT)


def bias_chart(distances: pd.DataFrame, by: str, *, policy: Policy = DEFAULT_POLICY) -> Chart:
    """Measure and draw sigma with its intervals in one call, for a notebook."""
    return bias_intervals(robustness_bias(distances, by, policy=policy))


def bias_heatmap(table: pd.DataFrame, *, width: int = 560) -> alt.HConcatChart | alt.VConcatChart:
    """Draw sigma for models x groups, the epochs side by side (figures 7 and 8): red less robust, blue more robust.

    Parameters
    ----------
    table
        As `rbcore.analyses.bias_by_model` returns it. Cells whose distances are missing are empty with a dash; sigma is in
        grey where no difference is shown after Holm's correction over the groups of its cell's row and epoch.
    width
        Room for the cells in pixels; where the epochs do not fit side by side, they stand below each other.
    """
    sigma = table["sigma"].to_numpy(np.float64)
    limit = min(1.0, max(0.1, float(np.nanmax(np.abs(sigma))) if np.isfinite(sigma).any() else 1.0))
    cells = table.assign(
        text=[f"{value:+.2f}" if np.isfinite(value) else "–" for value in sigma],  # noqa: RUF001
        shown=np.where(np.isfinite(sigma), verdicts(table.assign(is_ranked=table["is_ranked"].eq(True))), "missing"),
        is_strong=np.abs(np.nan_to_num(sigma)) > 0.6 * limit,
    )
    groups, models = list(dict.fromkeys(table["group"])), list(dict.fromkeys(table["model"]))
    epochs = list(dict.fromkeys(table.sort_values("epoch_number", kind="stable")["epoch"]))
    is_side_by_side = len(groups) * len(epochs) * READABLE_CELL <= width
    n_columns = len(groups) * (len(epochs) if is_side_by_side else 1)
    cell = min(LARGEST_CELL, max(SMALLEST_CELL, width // n_columns))
    panels: list[alt.LayerChart | alt.FacetChart] = []
    for epoch in epochs:
        base = alt.Chart(cells[cells["epoch"] == epoch]).encode(
            x=alt.X(
                "group:N", title=None, sort=groups, axis=alt.Axis(labelAngle=-40, labelOverlap=False, labelLimit=110)
            ),
            y=alt.Y(
                "model:N",
                title=None,
                sort=models,
                axis=None if panels and is_side_by_side else alt.Axis(labelOverlap=False, labelLimit=160),
            ),
            tooltip=[
                "model:N",
                alt.Tooltip("epoch_number:Q", title="epoch"),
                "group:N",
                alt.Tooltip("sigma:Q", format="+.3f"),
                alt.Tooltip("low:Q", title=f"{CONFIDENCE:.0%} from", format="+.3f"),
                alt.Tooltip("high:Q", title=f"{CONFIDENCE:.0%} to", format="+.3f"),
                "n:Q",
                alt.Tooltip("shown:N", title="verdict"),
            ],
        )
        rectangles = base.mark_rect(stroke="#BBBBBB", strokeWidth=0.5).encode(
            color=alt.condition(
                "isValid(datum.sigma)",
                alt.Color(
                    "sigma:Q",
                    title="sigma",
                    scale=alt.Scale(scheme="redblue", domain=[-limit, limit], clamp=True),
                    legend=alt.Legend(format="+.1f"),
                ),
                alt.value("#00000000"),
            )
        )
        labels = base.mark_text(fontSize=11 if cell > 32 else 9).encode(
            text="text:N",
            color=alt.when("datum.is_strong")
            .then(alt.value("white"))
            .when(f"datum.shown == '{LESS_ROBUST}' || datum.shown == '{MORE_ROBUST}'")
            .then(alt.value("#111111"))
            .otherwise(alt.value("#6B6B6B")),
        )
        panels.append(alt.layer(rectangles, labels, title=f"{epoch} epoch", width=alt.Step(cell), height=alt.Step(30)))
    resolve = alt.Resolve(scale=alt.ScaleResolveMap(color="shared"))
    if is_side_by_side:
        return alt.HConcatChart(hconcat=panels, resolve=resolve)
    return alt.VConcatChart(vconcat=panels, resolve=resolve)


def training_history(history: list[dict[str, float]], *, height: int = 160) -> alt.HConcatChart:
    """Draw the mean training loss and the test accuracy after each epoch, as a run's sidecar keeps them."""
    table = pd.DataFrame(history)
    base = alt.Chart(table).mark_line(point=True).encode(x=alt.X("epoch:Q", axis=alt.Axis(tickMinStep=1, format="d")))
    loss = base.encode(
        y=alt.Y("train_loss:Q", title="training loss"), tooltip=["epoch", alt.Tooltip("train_loss", format=".3f")]
    )
    test = base.encode(
        y=alt.Y("test_accuracy:Q", title="test accuracy", axis=alt.Axis(format="%"), scale=alt.Scale(zero=False)),
        tooltip=["epoch", alt.Tooltip("test_accuracy", format=".1%")],
    )
    return alt.HConcatChart(
        hconcat=[loss.properties(height=height, width=300), test.properties(height=height, width=300)]
    )
