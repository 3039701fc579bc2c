"""Tables to Altair charts.

Nothing here knows Streamlit: the same calls serve a notebook, a page and the report. How all
figures look stands in `rbcore.charts.theme`.

Examples
--------
>>> import rbcore as rb
>>> (run,) = rb.list_runs("digits", "small_cnn")
>>> distances = rb.stored_distances(run, "last", "minimal").rows
>>> chart = rb.charts.robustness_curves(distances, by="class")
>>> rb.charts.chart_svg(chart).startswith("<svg")
True
"""

from rbcore.charts.agreement import (
    MOST_POINTS,
    agreement_scatter,
    certificate_segments,
    distance_scatter,
    evenly,
    thinned,
)
from rbcore.charts.bias import bias_chart, bias_intervals, lowest_and_highest, mix_intervals
from rbcore.charts.curves import (
    BRUSH,
    CLICK,
    MOST_COLORED,
    N_TAUS,
    clicked_group,
    curves_chart,
    rb_chart,
    robustness_curves,
    tau_grid,
)
from rbcore.charts.export import AnyChart, chart_png, chart_svg
from rbcore.charts.heatmap import CELL, MOST_LABELED, ORDERS, bias_heatmap, order_of_groups
from rbcore.charts.images import class_probabilities, fooled_bars
from rbcore.charts.mitigation import (
    BIASES,
    MEASURES,
    before_after_curves,
    changes_chart,
    side_curves,
    trade_off_chart,
)
from rbcore.charts.panels import curves_grid
from rbcore.charts.theme import Chart
from rbcore.charts.toys import toy_explorer, toy_plane
from rbcore.charts.training import curves_of_epoch, through_training, training_history

__all__ = [
    "BIASES",
    "BRUSH",
    "CELL",
    "CLICK",
    "MEASURES",
    "MOST_COLORED",
    "MOST_LABELED",
    "MOST_POINTS",
    "N_TAUS",
    "ORDERS",
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
