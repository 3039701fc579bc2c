import numpy as np
import pandas as pd
import pytest

from rbcore.analyses import ALL, REST, compare, curves_of_sides
from rbcore.charts import (
    BIASES,
    MEASURES,
    before_after_curves,
    changes_chart,
    chart_svg,
    trade_off_chart,
)
from tests.analyses.test_mitigation import other_model
from tests.charts.test_charts import data_of
from tests.inference.samples import many_groups


@pytest.fixture(scope="module")
def pair():
    first = many_groups([60, 70, 80])
    return first, other_model(first)


def test_the_panels_share_their_axes_and_hold_one_model_each(pair):
    table = curves_of_sides(*pair, "group", "g0", taus=np.linspace(0, 3, 50))
    chart = before_after_curves(table, titles=("plain", "alpha 1"), tau=0.5)
    drawn = [rows for rows in data_of(chart) if "when" in rows]
    assert [set(rows["when"]) for rows in drawn] == [{"before"}, {"after"}] and {
        len(rows) for rows in drawn
    } == {100}
    assert set(drawn[0]["side"]) == {"g0 (n = 60)", "the rest (n = 150)"}
    panels = chart.to_dict()["hconcat"]
    assert [panel["title"] for panel in panels] == ["plain", "alpha 1"]
    assert {panel["layer"][1]["encoding"]["x"]["scale"]["domain"][1] for panel in panels} == {3.0}
    assert chart_svg(chart).startswith("<svg")


@pytest.mark.parametrize("measure", MEASURES)
def test_changes_are_colored_by_what_is_shown(pair, measure):
    changes = compare(*pair, "group", "g0").changes
    chart = changes_chart(changes, measure)
    (drawn,) = data_of(chart)
    assert list(drawn["who"]) == ["g0", REST, ALL, "g1", "g2"]
    for row in drawn.itertuples():
        assert (row.start, row.end) == pytest.approx((row.before + row.low, row.before + row.high))
        expected = (
            "no change shown"
            if row.low <= 0 <= row.high
            else "went up"
            if row.change > 0
            else "went down"
        )
        assert row.shown == expected
    assert {"distance": "went up", "accuracy": "went down"}.get(measure, "went up") in set(
        drawn["shown"]
    )
    assert chart_svg(chart).startswith("<svg")


COSTS = pd.DataFrame(
    {
        "run": ["p", "p+a1", "p+a3", "p+e", "p+w"],
        "kind": [
            "plain",
            "fairness regularizer",
            "fairness regularizer",
            "adversarial training",
            "group re-weighting",
        ],
        "setting": ["plain", "alpha 1", "alpha 3", "epsilon 0.5", "share 0.5"],
        "alpha": [None, 1.0, 3.0, None, None],
        "trained_tau": [None, 0.5, 0.5, None, None],
        "family": [
            "",
            "kind regularizer",
            "kind regularizer",
            "kind adversarial",
            "kind reweighting",
        ],
        "n": 100,
        "n_group": 20,
        **{name: 0.3 for column in BIASES.values() for name in column},
        **dict.fromkeys(
            ("accuracy", "accuracy_low", "accuracy_high", "auc_group", "auc_rest"), 0.9
        ),
    }
)


@pytest.mark.parametrize("bias", BIASES)
def test_each_run_is_a_mark_and_terms_are_joined(bias):
    chart = trade_off_chart(COSTS, bias=bias, compared="p+a3", tau=0.5)
    sizes = [len(rows) for rows in data_of(chart)]
    assert sizes == [5, 2, 1]  # marks, the line over alpha, the ring
    encoding = chart.to_dict()["layer"][4]["encoding"]
    assert (
        encoding["y"]["field"] == BIASES[bias][0] and len(encoding["shape"]["scale"]["range"]) == 4
    )
    assert chart_svg(chart).startswith("<svg")
