"""Sigma of the groups of a partition with its intervals: as measured, and at one mix of others."""

import altair as alt
import numpy as np
import pandas as pd

from rbcore.charts.legend import COLORS, SHAPES, Legend
from rbcore.charts.theme import (
    GRAY,
    SIGMA_TITLE,
    VERDICT_COLORS,
    Chart,
    fitted_height,
    names_axis,
    rule_at,
    sigma_tooltips,
)
from rbcore.inference import robustness_bias
from rbcore.measures import DEFAULT_POLICY, Policy
from rbcore.wording import verdict_phrases, verdicts

FARTHEST = 3
"""The axis of sigma ends where this many times the largest |sigma| does, or 1: an interval may
reach much farther.
"""
AS_MEASURED, AT_ONE_MIX = "as measured", "at one mix"


def bias_intervals(bias: pd.DataFrame, *, row_height: int = 26) -> Chart:
    """Draw sigma (eq. 3) of every group with its interval and a rule at 0.

    Red: shown to be less robust than the rest, by the test after Holm's correction; blue: more;
    gray: no difference shown; pale: too few images to say, or a group that was never trained, so
    that their intervals, which may reach beyond any axis, are not drawn. A very long interval runs
    into the edge of the chart (see `FARTHEST`).

    Parameters
    ----------
    bias
        As `rbcore.robustness_bias` returns it.
    row_height
        Pixels a group.
    """
    is_drawn = bias["is_ranked"] & np.isfinite(bias["high"] - bias["low"])
    ends = bias[["low", "high"]].where(is_drawn)
    table = bias.assign(verdict=verdicts(bias), test=verdict_phrases(bias), **ends)
    legend = Legend(
        "verdict",
        list(VERDICT_COLORS),
        list(VERDICT_COLORS.values()),
        shown=[verdict for verdict in VERDICT_COLORS if (table["verdict"] == verdict).any()],
    )
    limit = FARTHEST * float(np.nanmax([1.0, *bias["sigma"].abs()]))
    scale = alt.Scale(domainMax=limit) if (ends["high"] > limit).any() else alt.Scale()
    base = alt.Chart(table).encode(
        y=names_axis("group", bias["group"], limit=230),
        color=legend.color(),
        tooltip=[
            alt.Tooltip("group:N"),
            *sigma_tooltips(),
            alt.Tooltip("test:N", title="verdict"),
            alt.Tooltip("n:Q"),
        ],
    )
    bars = base.mark_rule(size=3, clip=True).encode(
        x=alt.X("low:Q", title=SIGMA_TITLE, scale=scale), x2="high:Q"
    )
    dots = base.mark_circle(size=90, opacity=1).encode(
        x=alt.X("sigma:Q", title=SIGMA_TITLE, scale=scale)
    )
    height = fitted_height(row_height * len(bias), legend)
    return alt.layer(rule_at(x=0, is_dashed=False), bars, dots, height=height)


def lowest_and_highest(bias: pd.DataFrame, each: int = 10) -> pd.DataFrame:
    """Return the rows with the lowest and the highest sigma, by rising sigma.

    Where there are no more than three times as many groups as are asked for of each, all rows come
    back, as they are.

    Parameters
    ----------
    bias
        As `rbcore.robustness_bias` returns it.
    each
        How many of the lowest, and of the highest.
    """
    ranked = bias[bias["is_ranked"] & bias["sigma"].notna()].sort_values("sigma")
    if len(bias) <= 3 * each or len(ranked) <= 2 * each:
        return bias
    return pd.concat([ranked.head(each), ranked.tail(each)])


def bias_chart(distances: pd.DataFrame, by: str, *, policy: Policy = DEFAULT_POLICY) -> Chart:
    """Measure and draw sigma with its intervals in one call, for a notebook."""
    return bias_intervals(robustness_bias(distances, by, policy=policy))


def mix_intervals(table: pd.DataFrame, *, row_height: int = 44) -> Chart:
    """Draw sigma of every group raw and re-weighted to a common mix, with intervals.

    How much of a difference is composition.

    Parameters
    ----------
    table
        As `rbcore.analyses.raw_and_standardized` returns it.
    row_height
        Pixels a group.
    """
    names = ["sigma", "low", "high"]
    raw = table[["group", "n", *names]].assign(kind=AS_MEASURED)
    standardized = ["standardized", "standardized_low", "standardized_high"]
    mixed = table[["group", "n", *standardized]].rename(
        columns=dict(zip(standardized, names, strict=True))
    )
    both = pd.concat([raw, mixed.assign(kind=AT_ONE_MIX)], ignore_index=True)
    kinds = [AS_MEASURED, AT_ONE_MIX]
    legend = Legend("kind", kinds, [GRAY, COLORS[2]], shapes=[SHAPES[0], SHAPES[3]])
    base = alt.Chart(both).encode(
        y=names_axis("group", table["group"]),
        yOffset=alt.YOffset("kind:N", sort=kinds),
        color=legend.color(),
        tooltip=[
            alt.Tooltip("group:N"),
            alt.Tooltip("kind:N"),
            *sigma_tooltips(),
            alt.Tooltip("n:Q"),
        ],
    )
    bars = base.mark_rule(size=3).encode(x=alt.X("low:Q", title=SIGMA_TITLE), x2="high:Q")
    dots = base.mark_point(size=90, filled=True, opacity=1).encode(
        x=alt.X("sigma:Q", title=SIGMA_TITLE), shape=legend.shape()
    )
    height = fitted_height(row_height * len(table), legend)
    return alt.layer(rule_at(x=0, is_dashed=False), bars, dots, height=height)
