import altair as alt
import numpy as np
import pandas as pd
import pytest

from rbcore.charts import (
    N_TAUS,
    bias_chart,
    bias_intervals,
    clicked_group,
    lowest_and_highest,
    robustness_curves,
    tau_grid,
)
from rbcore.inference import curves, robustness_bias
from tests.measures.test_robustness import PAPER_EXAMPLE


def data_of(chart):
    """The tables inside a chart, by their number of rows."""
    return sorted(
        (pd.DataFrame(rows) for rows in chart.to_dict()["datasets"].values()), key=len, reverse=True
    )


def test_curves_hold_every_group_at_every_tau():
    table = data_of(robustness_curves(PAPER_EXAMPLE, "group", tau=1.5))[0]
    assert len(table) == 3 * N_TAUS and set(table["legend"]) == {
        "a (n = 3)",
        "b (n = 2)",
        "c (n = 1)",
    }
    start = table[table["tau"] == 0].set_index("group")["share"]
    np.testing.assert_allclose(start[["a", "b", "c"]], [2 / 3, 1, 1])
    assert tau_grid(PAPER_EXAMPLE)[-1] == 4


def layers_of(chart):
    """The layers of a chart of curves, with what each keeps of the table."""
    return [
        (layer["mark"]["type"], layer.get("transform", [])) for layer in chart.to_dict()["layer"]
    ]


def test_the_highlighted_group_is_drawn_last_and_alone_is_thick():
    _, _, thin, thick, _ = layers_of(robustness_curves(PAPER_EXAMPLE, "group", highlight="b"))
    assert thin == ("line", [{"filter": {"not": {"field": "group", "equal": "b"}}}])
    assert thick == ("line", [{"filter": {"field": "group", "equal": "b"}}])


def test_a_hundred_groups_are_gray_with_one_in_the_legend():
    many = pd.DataFrame(
        {"group": [f"g{i % 100:02d}" for i in range(300)], "distance": np.linspace(0.1, 2, 300)}
    )
    many = many.assign(
        sample_id=many.index.astype(str), label=0, prediction=0, is_correct=True, status="found"
    )
    chart = robustness_curves(many, "group", highlight="g07")
    with alt.data_transformers.enable("default", max_rows=None):
        assert set(data_of(chart)[0]["legend"]) == {"g07 (n = 3)", "the other 99 groups"}
        spec = chart.to_dict()["layer"][2]["encoding"]["color"]["scale"]
    assert spec["domain"] == ["g07 (n = 3)", "the other 99 groups", "mean of the 100 groups"]


def test_a_click_on_a_curve_or_its_legend_names_its_group():
    table = curves(PAPER_EXAMPLE, "group", taus=np.array([0.0, 1.0]))
    assert clicked_group([{"legend": "b (n = 2)"}], table) == "b"
    assert clicked_group([{"group": "c"}], table) == "c"
    assert clicked_group([], table) is None
    assert clicked_group([{"legend": "mean of the 3 groups"}], table) is None


def test_of_many_groups_the_ends_are_drawn():
    bias = pd.DataFrame(
        {"group": [f"g{i}" for i in range(40)], "sigma": [(i * 17 % 40) / 40 for i in range(40)]}
    )
    bias["is_ranked"] = bias["sigma"] != 0
    ends = lowest_and_highest(bias)["sigma"].tolist()
    assert ends == [i / 40 for i in [*range(1, 11), *range(30, 40)]]
    assert len(lowest_and_highest(bias.head(30))) == 30


def test_intervals_are_colored_by_what_they_show():
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
    few = max(
        data_of(bias_intervals(bias.assign(is_ranked=[False, True, True]))),
        key=lambda rows: rows.shape[1],
    )
    assert list(few["verdict"]) == ["too few images", "no difference shown", "more robust"]
    assert few["high"].isna().tolist() == [True, False, False]


def test_no_interval_stretches_the_axis_of_sigma_until_the_others_vanish():
    def domain(high, is_ranked):
        facts = {
            "group": ["x", "y"],
            "n": 99,
            "n_counted": 99,
            "p_holm": 0.7,
            "is_ranked": [True, is_ranked],
        }
        bias = pd.DataFrame(
            {**facts, "sigma": [-0.5, 1.5], "low": [-0.6, -0.1], "high": [-0.4, high]}
        )
        return bias_intervals(bias).to_dict()["layer"][1]["encoding"]["x"]["scale"]

    assert (
        domain(4.0, True) == domain(1e21, False) == {}
    )  # the one is short, the other not drawn: too few images
    assert domain(1e21, True) == {"domainMax": 4.5}


def test_a_notebook_gets_the_chart_in_one_call():
    table = max(data_of(bias_chart(PAPER_EXAMPLE, "group")), key=lambda rows: rows.shape[1])
    np.testing.assert_allclose(table["sigma"], robustness_bias(PAPER_EXAMPLE, "group")["sigma"])


@pytest.mark.parametrize(
    "group", ["<script>alert(1)</script>", "a|b", "🙂", "x" * 200, "مرحبا", "a.b['c']"]
)
def test_strange_names_stay_text(group):
    rows = PAPER_EXAMPLE.assign(group=PAPER_EXAMPLE["group"].replace("a", group))
    table = data_of(robustness_curves(rows, "group"))[0]
    assert group in set(table["group"])
