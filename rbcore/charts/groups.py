"""Sigma of the groups of a partition with its intervals, the history of a training, and the colors of all charts.

Colors are those of Okabe and Ito, told apart by color-blind readers, with olive for their black,
which a dark page would swallow; from the ninth group on the dashes change too.
"""

import altair as alt
import numpy as np
import pandas as pd

from rbcore.inference import CONFIDENCE, robustness_bias
from rbcore.measures import DEFAULT_POLICY, Policy
from rbcore.wording import (
    LESS_ROBUST,
    MORE_ROBUST,
    NEVER_TRAINED,
    NO_DIFFERENCE,
    TOO_FEW,
    UNDEFINED,
    verdict_phrases,
    verdicts,
)

Chart = alt.LayerChart | alt.FacetChart

COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7F7F7F", "#999933")
DASHES = ((1, 0), (6, 2), (2, 2), (8, 2, 2, 2))
VERDICT_COLORS = {
    LESS_ROBUST: "#CA0020",
    NO_DIFFERENCE: "#7F7F7F",
    MORE_ROBUST: "#0571B0",
    UNDEFINED: "#E69F00",
    TOO_FEW: "#C9C9C9",
    NEVER_TRAINED: "#B3A2C8",
}
AXES_HEIGHT, LEGEND_ROW = 125, 17
FARTHEST = 3
"""The axis of sigma ends where this many times the largest |sigma| does, or 1: an interval may
reach much farther.
"""
SIGMA_TITLE = "sigma: less robust < 0 < more robust than the rest"


def bias_intervals(bias: pd.DataFrame, *, row_height: int = 26) -> Chart:
    """Draw sigma (eq. 3) of every group of a table of `robustness_bias` with its interval and a rule at 0.

    Red: shown to be less robust than the rest, by the test after Holm's correction; blue: more;
    gray: no difference shown; pale: too few images to say, or a group that was never trained, so
    that their intervals, which may reach beyond any axis, are not drawn. A very long interval runs
    into the edge of the chart (see `FARTHEST`).
    """
    is_drawn = bias["is_ranked"] & np.isfinite(bias["high"] - bias["low"])
    ends = bias[["low", "high"]].where(is_drawn)
    table = bias.assign(verdict=verdicts(bias), test=verdict_phrases(bias), **ends)
    y = alt.Y(
        "group:N",
        title=None,
        sort=list(bias["group"]),
        axis=alt.Axis(labelLimit=230, labelOverlap=False, labelFlush=False),
    )
    shown = [verdict for verdict in VERDICT_COLORS if (table["verdict"] == verdict).any()]
    color = alt.Color(
        "verdict:N",
        title=None,
        scale=alt.Scale(domain=list(VERDICT_COLORS), range=list(VERDICT_COLORS.values())),
        legend=alt.Legend(orient="bottom", columns=2, labelLimit=140, values=shown),
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
    limit = FARTHEST * float(np.nanmax([1.0, *bias["sigma"].abs()]))
    scale = alt.Scale(domainMax=limit) if (ends["high"] > limit).any() else alt.Scale()
    x = alt.X("sigma:Q", title=SIGMA_TITLE, scale=scale)
    zero = alt.Chart(pd.DataFrame({"zero": [0.0]})).mark_rule(color="#7F7F7F").encode(x="zero:Q")
    bars = base.mark_rule(size=3, clip=True).encode(
        x=alt.X("low:Q", title=SIGMA_TITLE, scale=scale), x2="high:Q", color=color, tooltip=tooltip
    )
    dots = base.mark_circle(size=90, opacity=1).encode(x=x, color=color, tooltip=tooltip)
    return alt.layer(
        zero,
        bars,
        dots,
        height=row_height * len(bias) + AXES_HEIGHT + LEGEND_ROW * (len(shown) > 2),
    )


def lowest_and_highest(bias: pd.DataFrame, each: int = 10) -> pd.DataFrame:
    """Return the rows of a table of `robustness_bias` with the lowest and the highest sigma, by rising sigma.

    Where there are no more than three times as many groups as are asked for of each, all rows come
    back, as they are.
    """
    ranked = bias[bias["is_ranked"] & bias["sigma"].notna()].sort_values("sigma")
    if len(bias) <= 3 * each or len(ranked) <= 2 * each:
        return bias
    return pd.concat([ranked.head(each), ranked.tail(each)])


def bias_chart(distances: pd.DataFrame, by: str, *, policy: Policy = DEFAULT_POLICY) -> Chart:
    """Measure and draw sigma with its intervals in one call, for a notebook."""
    return bias_intervals(robustness_bias(distances, by, policy=policy))


def training_history(history: list[dict[str, float]], *, height: int = 160) -> alt.HConcatChart:
    """Draw the mean training loss and the test accuracy after each epoch, as a run's sidecar keeps them."""
    table = pd.DataFrame(history)
    base = (
        alt.Chart(table)
        .mark_line(point=True)
        .encode(x=alt.X("epoch:Q", axis=alt.Axis(tickMinStep=1, format="d")))
    )
    loss = base.encode(
        y=alt.Y("train_loss:Q", title="training loss"),
        tooltip=["epoch", alt.Tooltip("train_loss", format=".3f")],
    )
    test = base.encode(
        y=alt.Y(
            "test_accuracy:Q",
            title="test accuracy",
            axis=alt.Axis(format="%"),
            scale=alt.Scale(zero=False),
        ),
        tooltip=["epoch", alt.Tooltip("test_accuracy", format=".1%")],
    )
    return alt.HConcatChart(
        hconcat=[
            loss.properties(height=height, width=300),
            test.properties(height=height, width=300),
        ]
    )
