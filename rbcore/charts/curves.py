"""Curves over tau: I_P(tau) and RB(P, tau) of every group (figures 4 and 5).

Up to `MOST_COLORED` groups have a color and a line in the legend each; of more, all are gray but
the highlighted one.
"""

from collections.abc import Mapping, Sequence

import altair as alt
import numpy as np
import pandas as pd

from rbcore.charts.legend import COLORS, DASHES, Legend, line_legend
from rbcore.charts.theme import (
    DISTANCE,
    GRAY,
    PALE,
    RB_TITLE,
    SHARE,
    SHARE_SENTENCE,
    Chart,
    curve_tooltips,
    interval_tooltips,
    rule_at,
    share_axis,
    tau_axis,
    with_count,
)
from rbcore.inference import curves
from rbcore.measures import DEFAULT_POLICY, Policy
from rbcore.measures.tables import checked
from rbcore.norms import norm_of

N_TAUS = 200
MOST_COLORED = 20
MOST_BANDS = 4
"""Groups up to which all bands are drawn at once; with more, only those of the highlighted and of
the hovered group.
"""
CLICK, BRUSH = "group", "brush"
"""Names of the selections of a chart of curves: a click on a curve or its legend, and an
interval of tau.
"""


def tau_grid(distances: pd.DataFrame, policy: Policy = DEFAULT_POLICY) -> np.ndarray:
    """Return `N_TAUS` values of tau from 0 to where the last curve ends, shape (N_TAUS,), L2."""
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
    """Measure and draw I_P(tau) (eq. 4-6), one curve a group, with 95% bands and the mean curve.

    Parameters
    ----------
    distances, by, policy
        As `robustness_bias`.
    band
        ``pointwise | simultaneous``, as `rbcore.inference.curves`.
    tau, highlight, height
        As `curves_chart`.
    """
    distances = checked(distances)
    table = curves(distances, by, taus=tau_grid(distances, policy), policy=policy, band=band)
    return curves_chart(table, tau=tau, highlight=highlight, height=height)


def curves_chart(
    table: pd.DataFrame,
    *,
    tau: float | None = None,
    highlight: str | None = None,
    height: int = 380,
) -> Chart:
    """Draw I_P(tau) (eq. 4-6), one curve a group, with 95% bands and the mean of the curves.

    Parameters
    ----------
    table
        As `rbcore.inference.curves` returns it.
    tau
        Where to draw a rule, L2.
    highlight
        The group whose curve is thick and whose band is strong.
    height
        In pixels, without the legend.
    """
    mean = f"mean of the {table['group'].nunique()} groups"
    named, legend = _with_legend(table, highlight)
    legend = legend.with_name(mean, GRAY, DASHES[2])
    layers = _layers(named, legend, ("share", "low", "high"), share_axis(SHARE_SENTENCE), highlight)
    return _joined(
        [_mean_curve(mean, legend, tau_axis(norm_of(table))), *layers],
        named,
        tau,
        height + legend.height,
    )


def rb_chart(
    table: pd.DataFrame,
    *,
    tau: float | None = None,
    highlight: str | None = None,
    height: int = 380,
) -> Chart:
    """Draw RB(P, tau) (eq. 2), one curve a group, with its 95% interval.

    Parameters as `curves_chart`.
    """
    named, legend = _with_legend(table, highlight)
    title = f"{RB_TITLE}, among correct images"
    y = alt.Y("rb:Q", title=title, axis=alt.Axis(format="%"), scale=alt.Scale(zero=True))
    layers = _layers(named, legend, ("rb", "rb_low", "rb_high"), y, highlight)
    return _joined(layers, named, tau, height + legend.height)


def legend_names(table: pd.DataFrame) -> dict[str, str]:
    """Return the group of each name in the legend of curves: "dim (n = 800)" is of "dim"."""
    sizes = table.groupby("group", sort=False)["n"].first()
    return dict(zip(with_count(sizes.index, sizes), map(str, sizes.index), strict=True))


def clicked_group(points: Sequence[Mapping[str, str]], table: pd.DataFrame) -> str | None:
    """Return the group of a click as a chart of curves reports it under `CLICK`.

    None where nothing was hit.
    """
    if not points:
        return None
    group = points[0].get("group") or legend_names(table).get(points[0].get("legend", ""))
    return group if group in set(table["group"]) else None


def curves_legend(names: dict[str, str], highlight: str | None, *, title: str = "") -> Legend:
    """Return the legend of curves: of all groups, or of the highlighted one and all others.

    Parameters
    ----------
    names
        The group of every name, as `legend_names` returns it.
    highlight
        The group that keeps its name where there are more than `MOST_COLORED`.
    title
        Above the legend; none where it is empty.
    """
    if len(names) <= MOST_COLORED:
        return line_legend("legend", list(names), title=title)
    own = [name for name, group in names.items() if group == highlight]
    others = f"the other {len(names) - 1} groups" if own else f"{len(names)} groups"
    colors = [*[COLORS[1] for _ in own], PALE]
    return Legend("legend", [*own, others], colors, dashes=[DASHES[0] for _ in colors], title=title)


def in_legend(groups: pd.Series, names: dict[str, str], legend: Legend) -> pd.Series:
    """Return the name of every group in the legend; its last for those that it does not name."""
    named = groups.map({group: name for name, group in names.items()})
    return named.where(named.isin(list(legend.names)), legend.names[-1])


def is_group(group: str | None) -> alt.FieldEqualPredicate:
    """Return the filter that keeps a group; no group where none is given."""
    return alt.FieldEqualPredicate(field="group", equal="" if group is None else group)


def is_not_group(group: str | None) -> dict[str, object]:
    """Return the filter that keeps all other groups."""
    return {"not": is_group(group).to_dict()}


def _with_legend(table: pd.DataFrame, highlight: str | None) -> tuple[pd.DataFrame, Legend]:
    names = legend_names(table)
    legend = curves_legend(names, highlight)
    return table.assign(legend=in_legend(table["group"], names, legend)), legend


def _mean_curve(name: str, legend: Legend, x: alt.X) -> alt.Chart:
    """Return the mean of the curves as every second of its pieces: a dotted line."""
    mean: alt.Chart = (
        alt.Chart()
        .transform_aggregate(share="mean(share)", groupby=["tau"])
        .transform_window(
            number="row_number()", end="lead(tau)", after="lead(share)", sort=[alt.SortField("tau")]
        )
        .transform_filter("datum.number % 2 == 1 && isValid(datum.end)")
        .transform_calculate(legend=f"'{name}'")
        .mark_rule(size=2)
        .encode(
            x=x,
            x2="end",
            y="share:Q",
            y2="after",
            color=legend.color(),
            tooltip=[
                alt.Tooltip("legend:N", title="curve"),
                alt.Tooltip("tau:Q", format=DISTANCE),
                alt.Tooltip("share:Q", title="mean of I_P(tau)", format=SHARE),
            ],
        )
    )
    return mean


def _layers(
    table: pd.DataFrame,
    legend: Legend,
    columns: tuple[str, str, str],
    y: alt.Y,
    highlight: str | None,
) -> list[alt.Chart]:
    """Return bands, curves and what is clicked: one path a group, the highlighted one on top.

    The columns hold the value that ``y`` draws and both ends of its interval.
    """
    _, low, high = columns
    n_groups = table["group"].nunique()
    has_colors = n_groups <= MOST_COLORED
    is_highlighted = is_group(highlight)
    hovered = alt.selection_point(
        name="hover", fields=["group"], on="pointerover", clear="pointerout", empty=False
    )
    clicked = alt.selection_point(
        name=CLICK,
        fields=["legend" if has_colors else "group"],
        bind="legend" if has_colors else alt.Undefined,
        on="click",
        toggle=False,
    )
    brush = alt.selection_interval(name=BRUSH, encodings=["x"], zoom=False)
    x = tau_axis(norm_of(table))
    base = alt.Chart().encode(x=x, color=legend.color(), detail="group:N")
    bands = base.mark_area(interpolate="step-after").encode(
        y=alt.Y(f"{low}:Q"),
        y2=f"{high}:Q",
        opacity=alt.when(is_highlighted)
        .then(alt.value(0.25))
        .when(hovered)
        .then(alt.value(0.2))
        .otherwise(alt.value(0.10 if n_groups <= MOST_BANDS else 0.0)),
    )
    if not has_colors:  # a hundred invisible areas would only be slow
        bands = bands.transform_filter(is_highlighted)
    lines = base.mark_line(interpolate="step-after").encode(y=y, strokeDash=legend.dash())
    plain_lines = lines.encode(
        strokeWidth=alt.when(hovered)
        .then(alt.value(3.5))
        .otherwise(alt.value(2 if has_colors else 1)),
        opacity=alt.when(hovered)
        .then(alt.value(1.0))
        .otherwise(alt.value(1.0 if has_colors else 0.35)),
    ).transform_filter(is_not_group(highlight))
    thick_line = lines.encode(strokeWidth=alt.value(4)).transform_filter(is_highlighted)
    hits = (  # wider than the curves, so that a hand can hit them
        base.mark_trail()
        .encode(
            y=y,
            size=alt.value(9),
            opacity=alt.value(0.005),
            tooltip=[
                *curve_tooltips(),
                alt.Tooltip("rb:Q", title=RB_TITLE, format=DISTANCE),
                *interval_tooltips(DISTANCE, "rb_low", "rb_high"),
            ],
        )
        .add_params(hovered, clicked, brush)
    )
    return [bands, plain_lines, thick_line, hits]


def _joined(layers: list[alt.Chart], table: pd.DataFrame, tau: float | None, height: int) -> Chart:
    drawn = layers if tau is None else [*layers, rule_at(x=tau)]
    return alt.layer(*drawn, data=table, height=height)
