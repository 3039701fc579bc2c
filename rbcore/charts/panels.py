"""Small curves over tau of several models and methods, on the same axes (figure 6)."""

import altair as alt
import pandas as pd

from rbcore.charts.curves import MOST_COLORED, curves_legend, in_legend, is_group, is_not_group
from rbcore.charts.theme import Chart, curve_tooltips, share_axis, tau_axis
from rbcore.norms import norm_of


def curves_grid(
    table: pd.DataFrame, *, highlight: str | None = None, columns: int = 3, width: int = 220
) -> Chart:
    """Draw I_P(tau) of every group for several models and methods, small, on the same axes.

    Parameters
    ----------
    table
        As `rbcore.analyses.curves_by_panel` returns it, with titles of the panels in ``panel``.
    highlight
        The group whose curves are thick.
    columns, width
        Panels side by side, and the width of one in pixels.
    """
    names = {str(group): str(group) for group in dict.fromkeys(table["group"])}
    legend = curves_legend(names, highlight, title="group")
    base = (
        alt.Chart()
        .mark_line(interpolate="step-after", clip=True)
        .encode(
            x=tau_axis(norm_of(table), is_short=True),
            y=share_axis(),
            color=legend.color(),
            strokeDash=legend.dash(),
            detail="group:N",
            tooltip=curve_tooltips(has_band=False),
        )
    )
    others = base.encode(
        opacity=alt.value(0.9 if len(names) <= MOST_COLORED else 0.35), strokeWidth=alt.value(1.3)
    )
    layered = alt.layer(
        others.transform_filter(is_not_group(highlight)),
        base.encode(strokeWidth=alt.value(3)).transform_filter(is_group(highlight)),
        data=table.assign(legend=in_legend(table["group"], names, legend)),
        width=width,
        height=round(width * 0.6),
    )
    facet = alt.Facet(
        "panel:N",
        title=None,
        sort=list(dict.fromkeys(table["panel"])),
        header=alt.Header(labelFontSize=12, labelLimit=width + 20),
    )
    return layered.facet(facet, columns=columns)
