"""Legends of all figures: what they name, how wide they are, and the color, dash and shape of each.

Colors are those of Okabe and Ito, told apart by color-blind readers, with olive for their black,
which a dark page would swallow; from the ninth group on the dashes change too.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import altair as alt

COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7F7F7F", "#999933")
DASHES = ((1, 0), (6, 2), (2, 2), (8, 2, 2, 2))
SHAPES = ("circle", "cross", "triangle-up", "diamond", "square", "triangle-down")
LEGEND_ROW = 17
"""Pixels of each row of a legend."""
NARROW = 330
"""In pixels: the width into which every legend must fit, that of a chart on a phone."""
SYMBOL, LETTER = 38, 6
"""In pixels: a symbol of a legend with its gaps, and a letter."""


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
