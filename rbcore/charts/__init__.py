"""Tables to Altair charts.

Nothing here knows Streamlit: the same calls serve a notebook, a page and the report.
"""

from rbcore.charts.agreement import (
    MOST_POINTS,
    certificate_segments,
    distance_scatter,
    evenly,
    thinned,
)
from rbcore.charts.composition import mix_intervals
from rbcore.charts.curves import (
    BRUSH,
    CLICK,
    MOST_COLORED,
    N_TAUS,
    TAU_TITLE,
    clicked_group,
    curves_chart,
    curves_grid,
    rb_chart,
    robustness_curves,
    tau_grid,
)
from rbcore.charts.epochs import curves_of_epoch, through_training
from rbcore.charts.export import AnyChart, chart_png, chart_svg
from rbcore.charts.figures import agreement_scatter, fooled_bars, toy_plane
from rbcore.charts.groups import (
    AXES_HEIGHT,
    COLORS,
    DASHES,
    SIGMA_TITLE,
    VERDICT_COLORS,
    Chart,
    bias_chart,
    bias_intervals,
    lowest_and_highest,
    training_history,
)
from rbcore.charts.heatmap import CELL, MOST_LABELED, ORDERS, bias_heatmap, order_of_groups
from rbcore.charts.images import class_probabilities
from rbcore.charts.mitigation import (
    BIASES,
    MEASURES,
    before_after_curves,
    changes_chart,
    side_curves,
    trade_off_chart,
)
from rbcore.charts.toys import toy_explorer

__all__ = [
    "AXES_HEIGHT",
    "BIASES",
    "BRUSH",
    "CELL",
    "CLICK",
    "COLORS",
    "DASHES",
    "MEASURES",
    "MOST_COLORED",
    "MOST_LABELED",
    "MOST_POINTS",
    "N_TAUS",
    "ORDERS",
    "SIGMA_TITLE",
    "TAU_TITLE",
    "VERDICT_COLORS",
    "AnyChart",
    "Chart",
    "agreement_scatter",
    "before_after_curves",
    "bias_chart",
    "bias_heatmap",
    "bias_intervals",
    "certificate_segments",
    "changes_chart",
    "chart_png",
    "chart_svg",
    "class_probabilities",
    "clicked_group",
    "curves_chart",
    "curves_grid",
    "curves_of_epoch",
    "distance_scatter",
    "evenly",
    "fooled_bars",
    "lowest_and_highest",
    "mix_intervals",
    "order_of_groups",
    "rb_chart",
    "robustness_curves",
    "side_curves",
    "tau_grid",
    "thinned",
    "through_training",
    "toy_explorer",
    "toy_plane",
    "trade_off_chart",
    "training_history",
]
