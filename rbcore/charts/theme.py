"""How every figure looks: colors, shapes, dashes, legends, tooltips, axes, their titles, sizes.

Colors are those of Okabe and Ito, told apart by color-blind readers, with olive for their black,
which a dark page would swallow; from the ninth group on the dashes change too.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import altair as alt
import pandas as pd

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

COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7F7F7F", "#999933")
DASHES = ((1, 0), (6, 2), (2, 2), (8, 2, 2, 2))
SHAPES = ("circle", "cross", "triangle-up", "diamond", "square", "triangle-down")
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

AXES_HEIGHT, LEGEND_GAP, LEGEND_ROW = 62, 46, 17
"""In pixels: what axes with their titles take of the height that a page fits a figure into, what
sets a legend off, and each of its rows.
"""
NARROW = 330
"""In pixels: the width into which every legend must fit, that of a chart on a phone."""
SYMBOL, LETTER = 38, 6
"""In pixels: a symbol of a legend with its gaps, and a letter."""

DISTANCE, SIGMA, SHARE, COUNT = ".3f", "+.3f", ".1%", ","
"""How numbers are written in tooltips."""
SIGMA_TITLE = "sigma: less robust < 0 < more robust than the rest"
SHARE_TITLE = "I_P(tau)"
SHARE_SENTENCE = "I_P(tau): correct and farther than tau"
RB_TITLE = "RB(P, tau)"


Channel = TypeVar("Channel", alt.Color, alt.StrokeDash, alt.Shape)


@dataclass(frozen=True)
class Legend:
    """What a figure's legend names, and the color, dash and shape of each name.

    It stands below the plot, in as many columns as fit into its width; longer names are cut there.

    Parameters
    ----------
    field
        The column of the table that holds the names.
    names, colors
        In their order.
    dashes, shapes
        Of each name, where lines are dashed or points have shapes.
    title
        Above the legend; none where it is empty.
    shown
        The names that the legend holds, where not all; there is no legend if these are none.
    width
        In pixels.
    """

    field: str
    names: Sequence[str]
    colors: Sequence[str]
    dashes: Sequence[Sequence[int]] | None = None
    shapes: Sequence[str] | None = None
    title: str = ""
    shown: Sequence[str] | None = None
    width: int = NARROW

    def color(self) -> alt.Color:
        """Return the encoding of the color."""
        return self._channel(alt.Color, self.colors)

    def dash(self) -> alt.StrokeDash:
        """Return the encoding of the dash, in the legend of the color."""
        return self._channel(alt.StrokeDash, [list(dash) for dash in self.dashes or ()])

    def shape(self) -> alt.Shape:
        """Return the encoding of the shape, in the legend of the color."""
        return self._channel(alt.Shape, self.shapes or ())

    def with_name(self, name: str, color: str, dash: Sequence[int]) -> "Legend":
        """Return this legend of lines with one more name at its end."""
        return replace(
            self,
            names=[*self.names, name],
            colors=[*self.colors, color],
            dashes=[*(self.dashes or ()), dash],
        )

    @property
    def height(self) -> int:
        """The pixels that all rows take."""
        if not self._shown:
            return 0
        return LEGEND_ROW * (-(-len(self._shown) // self._n_columns) + bool(self.title))

    @property
    def _shown(self) -> Sequence[str]:
        return self.names if self.shown is None else self.shown

    @property
    def _n_columns(self) -> int:
        widest = SYMBOL + LETTER * max(map(len, self._shown), default=1)
        return max(1, self.width // widest)

    def _channel(
        self, channel: type[Channel], values: Sequence[str] | Sequence[list[int]]
    ) -> Channel:
        legend = (
            None
            if not self._shown
            else alt.Legend(
                orient="bottom",
                columns=self._n_columns,
                labelLimit=self.width - SYMBOL,
                symbolOpacity=1,
                values=alt.Undefined if self.shown is None else list(self.shown),
                symbolType="stroke" if self.dashes else alt.Undefined,
                symbolStrokeWidth=3 if self.dashes else alt.Undefined,
                symbolSize=150 if self.dashes else alt.Undefined,
            )
        )
        return channel(
            f"{self.field}:N",
            title=self.title or None,
            scale=alt.Scale(domain=list(self.names), range=list(values)),
            legend=legend,
        )


def line_legend(field: str, names: Sequence[str], *, title: str = "") -> Legend:
    """Return the legend of one line a name, each with a color and a dash of its own."""
    indices = range(len(names))
    colors = [COLORS[i % len(COLORS)] for i in indices]
    dashes = [DASHES[i // len(COLORS) % len(DASHES)] for i in indices]
    return Legend(field, names, colors, dashes=dashes, title=title)


def point_legend(field: str, names: Sequence[str], *, title: str = "") -> Legend:
    """Return the legend of points, each name with a color and a shape of its own."""
    indices = range(len(names))
    colors = [COLORS[i % len(COLORS)] for i in indices]
    shapes = [SHAPES[i % len(SHAPES)] for i in indices]
    return Legend(field, names, colors, shapes=shapes, title=title)


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
