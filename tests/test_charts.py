import numpy as np
import pandas as pd
import pytest

from rbcore.charts import N_TAUS, bias_chart, bias_intervals, robustness_curves, tau_grid
from rbcore.inference import robustness_bias
from tests.test_measures import PAPER_EXAMPLE


def data_of(chart):
    """The tables inside a chart, by their number of rows."""
    return sorted((pd.DataFrame(rows) for rows in chart.to_dict()["datasets"].values()), key=len, reverse=True)


def test_curves_hold_every_group_at_every_tau():
    table = data_of(robustness_curves(PAPER_EXAMPLE, "group", tau=1.5))[0]
    assert len(table) == 3 * N_TAUS and set(table["legend"]) == {"a (n = 3)", "b (n = 2)", "c (n = 1)"}
    start = table[table["tau"] == 0].set_index("group")["share"]
    np.testing.assert_allclose(start[["a", "b", "c"]], [2 / 3, 1, 1])
    assert tau_grid(PAPER_EXAMPLE)[-1] == 4


def test_the_highlighted_group_alone_has_a_band():
    bands = data_of(robustness_curves(PAPER_EXAMPLE, "group", highlight="b"))[1]
    assert set(bands["group"]) == {"b"} and len(bands) == N_TAUS


def test_intervals_are_coloured_by_what_they_show():
    bias = pd.DataFrame(
        {
            "group": ["x", "y", "z"],
            "n": 99,
            "n_counted": 99,
            "p_holm": [0.001, 0.7, 0.01],
            "is_ranked": [True, True, True],
            "sigma": [-0.5, 0.1, 0.5],
            "low": [-0.6, -0.1, 0.4],
            "high": [-0.4, 0.3, 0.6],
        }
    )
    table = max(data_of(bias_intervals(bias)), key=lambda rows: rows.shape[1])
    assert list(table["verdict"]) == ["less robust", "no difference shown", "more robust"]
    few = max(data_of(bias_intervals(bias.assign(is_ranked=[False, True, True]))), key=lambda rows: rows.shape[1])
    assert list(few["verdict"]) == ["too few images", "no difference shown", "more robust"]


def test_a_notebook_gets_the_chart_in_one_call():
    table = max(data_of(bias_chart(PAPER_EXAMPLE, "group")), key=lambda rows: rows.shape[1])
    np.testing.assert_allclose(table["sigma"], robustness_bias(PAPER_EXAMPLE, "group")["sigma"])


@pytest.mark.parametrize("group", ["<script>alert(1)</script>", "a|b", "🙂", "x" * 200, "مرحبا", "a.b['c']"])
def test_strange_names_stay_text(group):
    rows = PAPER_EXAMPLE.assign(group=PAPER_EXAMPLE["group"].replace("a", group))
    table = data_of(robustness_curves(rows, "group"))[0]
    assert group in set(table["group"])
