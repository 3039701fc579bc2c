"""Sigma as it is beside sigma at one mix of something else: how much of a difference is composition."""

import altair as alt
import pandas as pd

from rbcore.charts.groups import AXES_HEIGHT, COLORS, SIGMA_TITLE, Chart
from rbcore.inference import CONFIDENCE

AS_MEASURED, AT_ONE_MIX = "as measured", "at one mix"


def mix_intervals(table: pd.DataFrame, *, row_height: int = 44) -> Chart:
    """Draw sigma of every group raw and re-weighted to a common mix, with intervals and a rule at 0.

    Parameters
    ----------
    table
        As `rbcore.analyses.raw_and_standardized` returns it.
    row_height
        Pixels a group.
    """
    names = ["sigma", "low", "high"]
    raw = table[["group", "n", *names]].assign(kind=AS_MEASURED)
    mixed = table[["group", "n"]].assign(
        **{
            name: table[column]
            for name, column in zip(
                names, ("standardized", "standardized_low", "standardized_high"), strict=True
            )
        },
        kind=AT_ONE_MIX,
    )
    both = pd.concat([raw, mixed], ignore_index=True)
    kinds = [AS_MEASURED, AT_ONE_MIX]
    scale = alt.Scale(domain=kinds, range=[COLORS[6], COLORS[2]])
    legend = alt.Legend(orient="bottom", title=None)
    color = alt.Color("kind:N", scale=scale, legend=legend)
    shape = alt.Shape(
        "kind:N", scale=alt.Scale(domain=kinds, range=["circle", "diamond"]), legend=legend
    )
    tooltip = [
        alt.Tooltip("group:N"),
        alt.Tooltip("kind:N"),
        alt.Tooltip("sigma:Q", format="+.3f"),
        alt.Tooltip("low:Q", title=f"{CONFIDENCE:.0%} from", format="+.3f"),
        alt.Tooltip("high:Q", title=f"{CONFIDENCE:.0%} to", format="+.3f"),
        alt.Tooltip("n:Q"),
    ]
    base = alt.Chart(both).encode(
        y=alt.Y(
            "group:N",
            title=None,
            sort=list(table["group"]),
            axis=alt.Axis(labelLimit=160, labelOverlap=False),
        ),
        yOffset=alt.YOffset("kind:N", sort=kinds),
        color=color,
        tooltip=tooltip,
    )
    x = alt.X("sigma:Q", title=SIGMA_TITLE)
    zero = alt.Chart(pd.DataFrame({"zero": [0.0]})).mark_rule(color="#7F7F7F").encode(x="zero:Q")
    bars = base.mark_rule(size=3).encode(x=alt.X("low:Q", title=SIGMA_TITLE), x2="high:Q")
    dots = base.mark_point(size=90, filled=True, opacity=1).encode(x=x, shape=shape)
    return alt.layer(zero, bars, dots, height=row_height * len(table) + AXES_HEIGHT)
