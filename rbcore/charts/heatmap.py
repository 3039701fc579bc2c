"""Sigma of groups x models as a sheet of cells, in panels (figures 7 to 16).

Red is less robust, blue more. What the color does not say is drawn: a ring where no
difference is shown, hatching where there are too few images, a dash where nothing is computed.
"""

from collections.abc import Sequence
from typing import TypeVar

import altair as alt
import numpy as np
import pandas as pd

from rbcore.charts.legend import Legend
from rbcore.charts.theme import COUNT, names_axis, sigma_tooltips
from rbcore.wording import (
    LESS_ROBUST,
    MORE_ROBUST,
    NEVER_TRAINED,
    NO_DIFFERENCE,
    TOO_FEW,
    UNDEFINED,
)

Side = TypeVar("Side", alt.Column, alt.Row)

CELL = "cell"
"""Name of the selection of a heatmap: a click on a cell."""
CELL_FIELDS = ("model", "run", "epoch_number", "method", "by", "group")

MOST_LABELED = 24
"""Groups up to which every cell holds its number, where nothing else is asked for."""
WIDEST_CELL, NARROWEST_CELL, NARROWEST_LABELED, NARROWEST_PANEL = 46, 18, 34, 96
MISSING_SHAPE = "M-0.3,0L0.3,0"
ORDERS = ("name", "sigma", "mean over models")


def bias_heatmap(
    table: pd.DataFrame,
    *,
    columns: str = "epoch",
    rows: str | None = None,
    groups: Sequence[str] | None = None,
    labels: bool | None = None,
    width: int = 560,
) -> alt.FacetChart:
    """Draw sigma for groups x models, in panels side by side and below each other.

    Parameters
    ----------
    table
        As `rbcore.analyses.bias_by_model` returns it; its ``verdict`` says which marks are drawn.
    columns, rows
        Columns of the table whose values are the panels from left to right and from top to bottom.
    groups
        Order of the groups from top to bottom, as `order_of_groups` returns it; as they come
        where none is given.
    labels
        Whether each cell holds its number; where nothing is asked for, up to `MOST_LABELED` groups.
    width
        Room for the cells in pixels, which they take up to a largest and down to a smallest size.
    """
    sigma = table["sigma"].to_numpy(np.float64)
    is_known = np.isfinite(sigma)
    limit = min(1.0, max(0.1, float(np.abs(sigma[is_known]).max()) if is_known.any() else 1.0))
    models, n_groups = list(dict.fromkeys(table["model"])), table["group"].nunique()
    is_labeled = n_groups <= MOST_LABELED if labels is None else labels
    cell_width, cell_height = _cell(
        len(models), table[columns].nunique(), n_groups, width, is_labeled=is_labeled
    )
    own = [
        *CELL_FIELDS,
        *dict.fromkeys(["epoch", columns, rows or columns, "sigma", "low", "high", "n", "verdict"]),
    ]
    cells = table[list(dict.fromkeys(own))].assign(
        text=[
            f"{value:+.2f}" if known else "" for value, known in zip(sigma, is_known, strict=True)
        ],
        across=table[columns] + " epoch" if columns == "epoch" else table[columns],
        is_strong=np.abs(np.nan_to_num(sigma)) > 0.6 * limit,
    )
    clicked = alt.selection_point(
        name=CELL, fields=list(CELL_FIELDS), on="click", toggle=False, empty=False
    )
    base = alt.Chart().encode(
        x=alt.X(
            "model:N",
            title=None,
            sort=models,
            axis=alt.Axis(orient="top", labelAngle=-40, labelOverlap=False, labelLimit=130),
        ),
        y=names_axis(
            "group",
            list(groups or dict.fromkeys(table["group"])),
            limit=130,
            labelFontSize=11 if cell_height > 15 else 9,
        ),
        tooltip=[
            "model:N",
            alt.Tooltip("epoch_number:Q", title="epoch"),
            "method:N",
            "group:N",
            *sigma_tooltips(),
            alt.Tooltip("n:Q", format=COUNT),
            "verdict:N",
        ],
    )
    color = alt.Color(
        "sigma:Q",
        title="sigma: red less, blue more robust",
        scale=alt.Scale(scheme="redblue", domain=[-limit, limit], clamp=True),
        legend=alt.Legend(format="+.1f", orient="top", gradientLength=160, titleLimit=300),
    )
    rectangles = base.mark_rect(cursor="pointer").encode(
        color=alt.when("isValid(datum.sigma)").then(color).otherwise(alt.value("#00000000")),
        stroke=alt.when(clicked).then(alt.value("black")).otherwise(alt.value("#BBBBBB")),
        strokeWidth=alt.when(clicked).then(alt.value(3)).otherwise(alt.value(0.5)),
    )
    layers = [
        rectangles.add_params(clicked),
        *_marks(base, table["verdict"], cell_width, cell_height, is_labeled),
    ]
    if is_labeled:
        layers.append(
            base.mark_text(fontSize=11 if cell_width > NARROWEST_LABELED else 10, dy=-3).encode(
                text="text:N",
                color=alt.when("datum.is_strong")
                .then(alt.value("white"))
                .otherwise(alt.value("#111111")),
            )
        )
    panel = alt.layer(*layers, data=cells, width=alt.Step(cell_width), height=alt.Step(cell_height))
    across = _facet(alt.Column, "across", cells, cell_width * len(models) + 10)
    chart: alt.FacetChart
    if rows is None:
        chart = panel.facet(column=across, spacing=14)
    else:
        chart = panel.facet(column=across, row=_facet(alt.Row, rows, cells, 400), spacing=14)
    if rows == "by":
        chart = chart.resolve_scale(y="independent")
    return chart


def order_of_groups(table: pd.DataFrame, by: str, *, model: str | None = None) -> list[str]:
    """Return the groups in an order of `ORDERS`, the least robust first.

    Parameters
    ----------
    table
        As `rbcore.analyses.bias_by_model` returns it.
    by
        ``name``: as they come; ``sigma``: of one model; ``mean over models``. Groups without
        any sigma come last.
    model
        The model of ``sigma``; where it has none in the table, the mean counts.
    """
    groups = list(dict.fromkeys(table["group"]))
    if by == "name":
        return groups
    own = table[(table["model"] == model) & table["sigma"].notna()] if by == "sigma" else table
    means = (table if own.empty else own).groupby("group")["sigma"].mean()
    return sorted(
        groups,
        key=lambda group: (
            means.get(group, np.nan) if np.isfinite(means.get(group, np.nan)) else np.inf
        ),
    )


def _cell(
    n_models: int, n_panels: int, n_groups: int, width: int, *, is_labeled: bool
) -> tuple[int, int]:
    """Return width and height of a cell in pixels."""
    narrowest = max(
        NARROWEST_LABELED if is_labeled else NARROWEST_CELL, -(-NARROWEST_PANEL // n_models)
    )
    height = 30 if is_labeled else 22 if n_groups <= MOST_LABELED else 14
    return max(narrowest, min(WIDEST_CELL, width // (n_models * n_panels))), height


def _marks(
    base: alt.Chart, verdicts: pd.Series, width: int, height: int, is_labeled: bool
) -> list[alt.Chart]:
    """Return the marks on the cells of all verdicts but a difference, with their legend."""
    shown = [
        verdict for verdict in dict.fromkeys(verdicts) if verdict not in (LESS_ROBUST, MORE_ROBUST)
    ]
    if not shown:
        return []
    side = width / height
    hatching = "".join(
        f"M{max(-side, at - 1):.3f},{min(1, at + side):.3f}"
        f"L{min(side, at + 1):.3f},{max(-1, at - side):.3f}"
        for at in np.linspace(-side, side, 2 * round(width / 12) + 1)
    )
    shapes = {
        NO_DIFFERENCE: "circle",
        TOO_FEW: hatching,
        UNDEFINED: "cross",
        NEVER_TRAINED: "square",
    }
    shown_as = [shapes.get(verdict, MISSING_SHAPE) for verdict in shown]
    legend = Legend("verdict", shown, [], shapes=shown_as)
    layers = []
    for verdict in shown:
        is_ring = verdict == NO_DIFFERENCE
        size = (22 if height > 15 else 14) if is_ring else height**2
        points = base.mark_point(
            filled=False,
            strokeWidth=1.2,
            stroke="#4D4D4D",
            size=size,
            yOffset=9 if is_ring and is_labeled else 0,
        )
        layers.append(
            points.encode(shape=legend.shape()).transform_filter(
                alt.FieldEqualPredicate(field="verdict", equal=verdict)
            )
        )
    return layers


def _facet(kind: type[Side], field: str, cells: pd.DataFrame, limit: int) -> Side:
    header = alt.Header(
        title=None, labelFontSize=12, labelFontWeight="bold", labelLimit=limit, labelPadding=4
    )
    return kind(f"{field}:N", sort=list(dict.fromkeys(cells[field])), header=header)
