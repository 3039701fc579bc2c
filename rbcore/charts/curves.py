"""Curves over tau: I_P(tau) and RB(P, tau) of every group (figures 4 and 5), and small ones for models and methods (figure 6).

Up to `MOST_COLORED` groups have a color and a line in the legend each; of more, all are gray but
the highlighted one.
"""

from dataclasses import dataclass
from typing import Any

import altair as alt
import numpy as np
import pandas as pd

from rbcore.charts.groups import COLORS, DASHES, LEGEND_ROW, Chart
from rbcore.inference import CONFIDENCE, curves
from rbcore.measures import DEFAULT_POLICY, Policy
from rbcore.measures.tables import checked

N_TAUS = 200
MOST_COLORED = 20
MOST_BANDS = 4
"""Groups up to which all bands are drawn at once; with more, only those of the highlighted and of
the hovered group.
"""

TAU_TITLE = "tau: L2 distance in [0, 1] pixel space"
HIGHLIGHTED, OTHER, NEUTRAL = "#D55E00", "#9A9A9A", "#808080"
NARROW, SYMBOL, LETTER = 330, 34, 6
"""In pixels: the width into which a legend must fit, and its symbols and letters."""
CLICK, BRUSH = "group", "brush"
"""Names of the selections of a chart of curves: a click on a curve or its legend, and an
interval of tau.
"""


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
    """Measure and draw I_P(tau) (eq. 4-6), one curve a group, with 95% bands and the mean of the curves.

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
    keys = _keys(table, highlight).with_mean(_mean_name(table))
    layers = _layers(
        table, keys, "share", ("low", "high"), "I_P(tau): correct and farther than tau", highlight
    )
    mean = (
        alt.Chart()
        .transform_aggregate(share="mean(share)", groupby=["tau"])
        .transform_window(
            number="row_number()", end="lead(tau)", after="lead(share)", sort=[alt.SortField("tau")]
        )
        .transform_filter(
            "datum.number % 2 == 1 && isValid(datum.end)"
        )  # every second piece: a dotted line
        .transform_calculate(legend=f"'{_mean_name(table)}'")
        .mark_rule(size=2)
        .encode(
            x=_tau(),
            x2="end",
            y="share:Q",
            y2="after",
            color=keys.color(),
            tooltip=[
                alt.Tooltip("legend:N", title="curve"),
                alt.Tooltip("tau:Q", format=".3f"),
                alt.Tooltip("share:Q", title="mean of I_P(tau)", format=".1%"),
            ],
        )
    )
    return _joined([mean, *layers], table, highlight, tau, height + keys.height)


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
    keys = _keys(table, highlight)
    layers = _layers(
        table,
        keys,
        "rb",
        ("rb_low", "rb_high"),
        "RB(P, tau), among correct images",
        highlight,
        top=None,
    )
    return _joined(layers, table, highlight, tau, height + keys.height)


@dataclass(frozen=True)
class _Keys:
    """What the legend names, and the color and dash of each."""

    names: list[str]
    colors: list[str]
    dashes: list[list[int]]

    def with_mean(self, name: str) -> "_Keys":
        return _Keys([*self.names, name], [*self.colors, NEUTRAL], [*self.dashes, [2, 2]])

    def color(self) -> alt.Color:
        legend = alt.Legend(
            orient="bottom",
            columns=self._n_columns,
            symbolType="stroke",
            symbolStrokeWidth=3,
            symbolOpacity=1,
            labelLimit=NARROW - SYMBOL,
        )
        return alt.Color(
            "legend:N",
            title=None,
            scale=alt.Scale(domain=self.names, range=self.colors),
            legend=legend,
        )

    def dash(self) -> alt.StrokeDash:
        return alt.StrokeDash(
            "legend:N", title=None, scale=alt.Scale(domain=self.names, range=self.dashes)
        )

    @property
    def _n_columns(self) -> int:
        widest = SYMBOL + LETTER * max(map(len, self.names))
        return max(1, NARROW // widest)

    @property
    def height(self) -> int:
        """The pixels that the legend takes."""
        return LEGEND_ROW * -(-len(self.names) // self._n_columns)


def legend_names(table: pd.DataFrame) -> dict[str, str]:
    """Return the group of every name in the legend of a chart of curves: "dim (n = 800)" is of "dim"."""
    sizes = table.groupby("group", sort=False)["n"].first()
    return {f"{group} (n = {n:,})": str(group) for group, n in sizes.items()}


def clicked_group(points: list[dict[str, Any]], table: pd.DataFrame) -> str | None:
    """Return the group of a click as a chart of curves reports it under `CLICK`, or None where nothing was hit."""
    if not points:
        return None
    group = points[0].get("group") or legend_names(table).get(points[0].get("legend", ""))
    return group if group in set(table["group"]) else None


def _is_colored(table: pd.DataFrame) -> bool:
    return bool(table["group"].nunique() <= MOST_COLORED)


def _keys(table: pd.DataFrame, highlight: str | None) -> _Keys:
    names = legend_names(table)
    if _is_colored(table):
        indices = range(len(names))
        return _Keys(
            list(names),
            [COLORS[i % len(COLORS)] for i in indices],
            [list(DASHES[i // len(COLORS) % len(DASHES)]) for i in indices],
        )
    others = _others(table, highlight)
    own = [name for name, group in names.items() if group == highlight]
    return _Keys(
        [*own, others], [*[HIGHLIGHTED for _ in own], OTHER], [[1, 0] for _ in [*own, others]]
    )


def _mean_name(table: pd.DataFrame) -> str:
    return f"mean of the {table['group'].nunique()} groups"


def _others(table: pd.DataFrame, highlight: str | None) -> str:
    n_groups = table["group"].nunique()
    return (
        f"the other {n_groups - 1} groups"
        if highlight in set(table["group"])
        else f"{n_groups} groups"
    )


def _with_legend(table: pd.DataFrame, highlight: str | None) -> pd.DataFrame:
    named = {group: name for name, group in legend_names(table).items()}
    legend = table["group"].map(named)
    if not _is_colored(table):
        legend = legend.where(table["group"] == highlight, _others(table, highlight))
    return table.assign(legend=legend)


def _tau() -> alt.X:
    return alt.X("tau:Q", title=TAU_TITLE, scale=alt.Scale(nice=False))


def _layers(
    table: pd.DataFrame,
    keys: _Keys,
    what: str,
    ends: tuple[str, str],
    title: str,
    highlight: str | None,
    *,
    top: float | None = 1.0,
) -> list[alt.Chart]:
    """Return bands, curves and what is clicked: one path a group, the highlighted one on top."""
    is_colored, n_groups = _is_colored(table), table["group"].nunique()
    is_highlighted = _is(highlight)
    hovered = alt.selection_point(
        name="hover", fields=["group"], on="pointerover", clear="pointerout", empty=False
    )
    clicked = (
        alt.selection_point(name=CLICK, fields=["legend"], bind="legend", on="click", toggle=False)
        if is_colored
        else alt.selection_point(name=CLICK, fields=["group"], on="click", toggle=False)
    )
    brush = alt.selection_interval(name=BRUSH, encodings=["x"], zoom=False)
    x = _tau()
    scale = alt.Scale(domain=[0, top]) if top else alt.Scale(zero=True)
    y = alt.Y(f"{what}:Q", title=title, axis=alt.Axis(format="%"), scale=scale)
    base = alt.Chart().encode(x=x, color=keys.color(), detail="group:N")
    faint = 0.10 if n_groups <= MOST_BANDS else 0.0
    bands = base.mark_area(interpolate="step-after").encode(
        y=alt.Y(f"{ends[0]}:Q"),
        y2=f"{ends[1]}:Q",
        opacity=alt.when(is_highlighted)
        .then(alt.value(0.25))
        .when(hovered)
        .then(alt.value(0.2))
        .otherwise(alt.value(faint)),
    )
    if not is_colored:  # a hundred invisible areas would only be slow
        bands = bands.transform_filter(is_highlighted)
    lines = base.mark_line(interpolate="step-after").encode(y=y, strokeDash=keys.dash())
    usual = 1.0 if is_colored else 0.35
    plain_lines = lines.encode(
        strokeWidth=alt.when(hovered)
        .then(alt.value(3.5))
        .otherwise(alt.value(2 if is_colored else 1)),
        opacity=alt.when(hovered).then(alt.value(1.0)).otherwise(alt.value(usual)),
    ).transform_filter(_is_not(highlight))
    thick_line = lines.encode(strokeWidth=alt.value(4)).transform_filter(is_highlighted)
    hits = (  # wider than the curves, so that a hand can hit them
        base.mark_trail()
        .encode(
            y=y,
            size=alt.value(9),
            opacity=alt.value(0.005),
            tooltip=[
                "group:N",
                alt.Tooltip("n:Q", format=","),
                alt.Tooltip("tau:Q", format=".3f"),
                alt.Tooltip("share:Q", title="I_P(tau)", format=".1%"),
                alt.Tooltip("low:Q", title=f"{CONFIDENCE:.0%} from", format=".1%"),
                alt.Tooltip("high:Q", title=f"{CONFIDENCE:.0%} to", format=".1%"),
                alt.Tooltip("rb:Q", title="RB(P, tau)", format=".3f"),
                alt.Tooltip("rb_low:Q", title=f"{CONFIDENCE:.0%} from", format=".3f"),
                alt.Tooltip("rb_high:Q", title=f"{CONFIDENCE:.0%} to", format=".3f"),
            ],
        )
        .add_params(hovered, clicked, brush)
    )
    return [bands, plain_lines, thick_line, hits]


def _is(group: str | None) -> alt.FieldEqualPredicate:
    return alt.FieldEqualPredicate(field="group", equal="" if group is None else group)


def _is_not(group: str | None) -> dict[str, Any]:
    return {"not": _is(group).to_dict()}


def _joined(
    layers: list[alt.Chart],
    table: pd.DataFrame,
    highlight: str | None,
    tau: float | None,
    height: int,
) -> Chart:
    rule = alt.Chart().mark_rule(strokeDash=[4, 4], size=2, color=NEUTRAL).encode(x=alt.datum(tau))
    drawn = layers if tau is None else [*layers, rule]
    return alt.layer(*drawn, data=_with_legend(table, highlight), height=height)


def curves_grid(
    table: pd.DataFrame, *, highlight: str | None = None, columns: int = 3, width: int = 220
) -> Chart:
    """Draw I_P(tau) of every group for several models and methods, small, on the same axes (figure 6).

    Parameters
    ----------
    table
        As `rbcore.analyses.curves_by_panel` returns it, with titles of the panels in ``panel``.
    highlight
        The group whose curves are thick.
    columns, width
        Panels side by side, and the width of one in pixels.
    """
    is_colored = _is_colored(table)
    groups = list(dict.fromkeys(table["group"]))
    others = _others(table, highlight)
    legend = (
        table["group"] if is_colored else table["group"].where(table["group"] == highlight, others)
    )
    if is_colored:
        names, colors = groups, [COLORS[i % len(COLORS)] for i in range(len(groups))]
        dashes = [list(DASHES[i // len(COLORS) % len(DASHES)]) for i in range(len(groups))]
    else:
        names, colors = (
            list(dict.fromkeys([*legend[legend != others], others])),
            [HIGHLIGHTED, OTHER],
        )
        dashes = [[1, 0] for _ in names]
    color = alt.Color(
        "legend:N",
        title="group",
        scale=alt.Scale(domain=names, range=colors[-len(names) :]),
        legend=alt.Legend(
            orient="bottom", columns=4, labelLimit=160, symbolType="stroke", symbolStrokeWidth=3
        ),
    )
    is_highlighted = _is(highlight)
    base = alt.Chart().mark_line(interpolate="step-after", clip=True)
    base = base.encode(
        x=alt.X("tau:Q", title="tau (L2)", scale=alt.Scale(nice=False)),
        y=alt.Y(
            "share:Q", title="I_P(tau)", axis=alt.Axis(format="%"), scale=alt.Scale(domain=[0, 1])
        ),
        color=color,
        strokeDash=alt.StrokeDash(
            "legend:N", title="group", scale=alt.Scale(domain=names, range=dashes)
        ),
        detail="group:N",
        tooltip=[
            "group:N",
            alt.Tooltip("n:Q", format=","),
            alt.Tooltip("tau:Q", format=".3f"),
            alt.Tooltip("share:Q", title="I_P(tau)", format=".1%"),
        ],
    )
    others_drawn = base.encode(
        opacity=alt.value(0.9 if is_colored else 0.35), strokeWidth=alt.value(1.3)
    )
    layered = alt.layer(
        others_drawn.transform_filter(_is_not(highlight)),
        base.encode(strokeWidth=alt.value(3)).transform_filter(is_highlighted),
        data=table.assign(legend=legend),
        width=width,
        height=round(width * 0.6),
    )
    panels = list(dict.fromkeys(table["panel"]))
    facet = alt.Facet(
        "panel:N",
        title=None,
        sort=panels,
        header=alt.Header(labelFontSize=12, labelLimit=width + 20),
    )
    return layered.facet(facet, columns=columns)
