"""How every figure looks: colors of verdicts, tooltips, axes, their titles and sizes."""

from collections.abc import Iterable
from typing import Any

import altair as alt
import pandas as pd

from rbcore.charts.legend import COLORS, Legend
from rbcore.inference import CONFIDENCE
from rbcore.norms import Norm, distance_title
from rbcore.wording import (
    LESS_ROBUST,
    MORE_ROBUST,
    NEVER_TRAINED,
    NO_DIFFERENCE,
    TOO_FEW,
    UNDEFINED,
)

Chart = alt.LayerChart | alt.FacetChart

GRAY, DARK, PALE = "#7F7F7F", "#444444", "#9A9A9A"
"""For rules and what is not compared; for what lies on a color; for what stays behind."""
LESS, MORE = "#CA0020", "#0571B0"
"""Red: less robust, or worse than before; blue: more, or better."""
VERDICT_COLORS = {
    LESS_ROBUST: LESS,
    NO_DIFFERENCE: GRAY,
    MORE_ROBUST: MORE,
    UNDEFINED: COLORS[4],
    TOO_FEW: "#C9C9C9",
    NEVER_TRAINED: "#B3A2C8",
}

AXES_HEIGHT, LEGEND_GAP = 62, 46
"""In pixels: what axes with their titles take of the height that a page fits a figure into, and
what sets a legend off.
"""

DISTANCE, SIGMA, SHARE, COUNT = ".3f", "+.3f", ".1%", ","
"""How numbers are written in tooltips."""
SIGMA_TITLE = "sigma: less robust < 0 < more robust than the rest"
SHARE_TITLE = "I_P(tau)"
SHARE_SENTENCE = "I_P(tau): correct and farther than tau"
RB_TITLE = "RB(P, tau)"


def fitted_height(plot: int, legend: Legend | None = None) -> int:
    """Return the height in pixels of a plot with its axes and its legend, as a page fits it."""
    return plot + AXES_HEIGHT + (0 if legend is None else LEGEND_GAP + legend.height)


def interval_tooltips(form: str, low: str = "low", high: str = "high") -> list[alt.Tooltip]:
    """Return the tooltips of both ends of an interval, held by two columns of the table."""
    return [
        alt.Tooltip(f"{low}:Q", title=f"{CONFIDENCE:.0%} from", format=form),
        alt.Tooltip(f"{high}:Q", title=f"{CONFIDENCE:.0%} to", format=form),
    ]


def sigma_tooltips() -> list[alt.Tooltip]:
    """Return the tooltips of sigma and its interval."""
    return [alt.Tooltip("sigma:Q", format=SIGMA), *interval_tooltips(SIGMA)]


def curve_tooltips(*, name: str = "group", has_band: bool = True) -> list[alt.Tooltip]:
    """Return the tooltips of a point of a curve: of which group, tau, I_P(tau), its interval."""
    return [
        alt.Tooltip(f"{name}:N"),
        alt.Tooltip("n:Q", format=COUNT),
        alt.Tooltip("tau:Q", format=DISTANCE),
        alt.Tooltip("share:Q", title=SHARE_TITLE, format=SHARE),
        *(interval_tooltips(SHARE) if has_band else []),
    ]


def tau_axis(norm: Norm, end: float | None = None, *, is_short: bool = False) -> alt.X:
    """Return the axis of tau, which ends where the curves do, or at an end given.

    Its title names the norm, and where it is not short the unit.
    """
    domain = alt.Undefined if end is None else [0, end]
    title = f"tau ({norm.symbol})" if is_short else f"tau: {distance_title(norm)}"
    return alt.X("tau:Q", title=title, scale=alt.Scale(nice=False, domain=domain))


def share_axis(title: str = SHARE_TITLE) -> alt.Y:
    """Return the axis of I_P(tau), from 0 to 100%."""
    return alt.Y("share:Q", title=title, axis=alt.Axis(format="%"), scale=alt.Scale(domain=[0, 1]))


def names_axis(field: str, names: Iterable[str], *, limit: int = 170, **looks: Any) -> alt.Y:
    """Return the axis of one row a name, in the order given.

    Names longer than ``limit`` pixels are cut; ``looks`` as `altair.Axis` takes them.
    """
    axis = alt.Axis(labelLimit=limit, labelOverlap=False, labelFlush=False, **looks)
    return alt.Y(f"{field}:N", title=None, sort=list(names), axis=axis)


def rule_at(*, x: float | None = None, y: float | None = None, is_dashed: bool = True) -> alt.Chart:
    """Return a gray rule across the plot at one value of x, or of y.

    Dashed at a value that was picked, thin where it only divides.
    """
    name, value = ("x", x) if y is None else ("y", y)
    rule: alt.Chart = alt.Chart(pd.DataFrame({name: [value]})).mark_rule(
        color=GRAY,
        strokeDash=[4, 4] if is_dashed else alt.Undefined,
        size=2 if is_dashed else alt.Undefined,
    )
    return rule.encode(**{name: f"{name}:Q"})  # a datum would take the grid lines of the axis


def with_count(names: Iterable[object], counts: Iterable[int]) -> list[str]:
    """Return names with their count, as axes and legends show them: "dim (n = 800)"."""
    return [f"{name} (n = {n:,})" for name, n in zip(names, counts, strict=True)]
