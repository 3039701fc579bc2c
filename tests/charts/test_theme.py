from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from rbcore import charts
from rbcore.analyses import fooled_at, paired_distances
from rbcore.charts import (
    curves_grid,
    curves_of_epoch,
    distance_scatter,
    fooled_bars,
    robustness_curves,
)
from rbcore.charts.legend import LEGEND_ROW, Legend, line_legend
from rbcore.charts.theme import rule_at
from rbcore.inference import curves
from tests.measures.test_robustness import PAPER_EXAMPLE

LOOKS = {"legend.py", "theme.py"}
FIGURES = [path for path in Path(charts.__file__).parent.glob("*.py") if path.name not in LOOKS]


@pytest.mark.parametrize("path", FIGURES, ids=lambda path: path.name)
def test_how_a_figure_looks_stands_in_theme_and_legend_alone(path):
    text = path.read_text(encoding="utf-8")
    assert "%} from" not in text and "#7F7F7F" not in text and "#D55E00" not in text
    assert text.count("alt.Legend(") == (path.name == "heatmap.py")  # the bar of its colors


@pytest.mark.parametrize(("length", "n_columns"), [(1, 7), (10, 3), (17, 2), (40, 1), (400, 1)])
def test_a_legend_has_the_columns_that_fit_a_narrow_chart(length, n_columns):
    names = [f"{i:x}" * length for i in range(8)]
    legend = line_legend("group", names)
    drawn = legend.color().to_dict()["legend"]
    assert drawn["columns"] == n_columns and drawn["orient"] == "bottom"
    assert legend.height == LEGEND_ROW * -(-8 // n_columns)


def test_a_legend_of_nothing_takes_no_room():
    legend = Legend("verdict", ["a", "b"], ["red", "blue"], title="verdict", shown=[])
    assert legend.color().to_dict()["legend"] is None and legend.height == 0
    assert Legend("verdict", ["a"], ["red"], title="verdict").height == 2 * LEGEND_ROW


def test_a_group_has_one_color_and_dash_in_every_figure():
    rows = pd.concat([PAPER_EXAMPLE.assign(group=f"g{i}") for i in range(10)])
    rows["sample_id"] = np.arange(len(rows)).astype(str)
    table = curves(rows, "group", taus=np.array([0.0, 1.0]))
    panels = table.assign(panel="one", n_panel=1)
    whole = robustness_curves(rows, "group").to_dict()["layer"][2]["encoding"]
    of_epoch = curves_of_epoch(table, 1.0).to_dict()["layer"][1]["encoding"]
    small = curves_grid(panels).to_dict()["spec"]["layer"][0]["encoding"]
    for channel in ("color", "strokeDash"):
        first, second, third = (
            encoding[channel]["scale"]["range"][:10] for encoding in (whole, of_epoch, small)
        )
        assert first == second == third
    pairs = zip(
        whole["color"]["scale"]["range"][:10],
        map(tuple, whole["strokeDash"]["scale"]["range"][:10]),
        strict=True,
    )
    assert len(set(pairs)) == 10


def test_a_rule_is_drawn_once():
    drawn = rule_at(x=0.25).to_dict()
    (rows,) = drawn["datasets"].values()
    assert rows == [{"x": 0.25}] and drawn["encoding"] == {
        "x": {"field": "x", "type": "quantitative"}
    }


def test_axes_name_the_norm_of_the_table():
    in_linf = PAPER_EXAMPLE.assign(norm="linf")
    title = "tau: {} distance in [0, 1] pixel space"
    for rows, symbol in ((PAPER_EXAMPLE, "L2"), (in_linf, "L∞")):
        whole = robustness_curves(rows, "group").to_dict()["layer"][2]["encoding"]["x"]["title"]
        table = curves(rows, "group", taus=np.array([0.0, 1.0]))
        of_epoch = curves_of_epoch(table, 1.0).to_dict()["layer"][1]["encoding"]["x"]["title"]
        assert whole == of_epoch == title.format(symbol)
        bars = fooled_bars(fooled_at(rows, "group")).to_dict()["layer"][0]["encoding"]["x"]
        assert bars["title"].startswith(f"fooled within {symbol} 0.5")
        pairs = paired_distances(rows, rows, "group")
        scatter = distance_scatter(pairs, "a", "b").to_dict()["layer"][1]["encoding"]
        assert scatter["y"]["title"] == f"{symbol} by b"


def test_a_rule_adds_nothing_to_the_titles_of_axes():
    rows = [
        {"group": group, "epoch": epoch, "n": 9, "sigma": 0.1, "low": 0.0, "high": 0.2}
        | {"is_ranked": True}
        for group in "ab"
        for epoch in (1, 2)
    ]
    drawn = charts.through_training(pd.DataFrame(rows), epoch=1).to_dict()
    for channel in "xy":
        named = [
            layer["encoding"][channel] for layer in drawn["layer"] if channel in layer["encoding"]
        ]
        assert all("title" in axis for axis in named if axis["field"] not in "xy")
