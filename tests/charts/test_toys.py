import numpy as np
import pandas as pd
import pytest
import vl_convert

from rbcore.analyses import class_toy, raw_and_standardized
from rbcore.charts import chart_svg, mix_intervals, toy_explorer

POINTS = pd.DataFrame(
    {
        "x": [0.1, 0.3, 0.6, 0.9],
        "y": [0.5, 0.5, 0.5, 0.5],
        "class": ["left", "left", "right", "right"],
        "group": ["left", "left", "right", "right"],
        "distance": [0.4, 0.2, 0.1, np.nan],
        "is_correct": [True, True, True, False],
        "classifier": "",
    }
)
LINES = pd.DataFrame({"line": "0-1", "x": [0.5, 0.5], "y": [0.0, 1.0], "classifier": ""})


def words(tau: float) -> str:
    chart = toy_explorer(POINTS, LINES, tau=tau, tau_max=0.5)
    return vl_convert.vegalite_to_svg(chart.to_dict())


@pytest.mark.parametrize(
    ("tau", "left", "right"),
    [
        (0.0, "100% (2 of 2)", "50% (1 of 2)"),
        (0.15, "100% (2 of 2)", "0% (0 of 2)"),
        (0.2, "50% (1 of 2)", "0% (0 of 2)"),
        (0.45, "0% (0 of 2)", "0% (0 of 2)"),
    ],
)
def test_the_bars_count_what_is_correct_and_farther_than_tau(tau, left, right):
    svg = words(tau)
    assert svg.count(f">{left}<") >= 1 and svg.count(f">{right}<") >= 1
    assert svg.count(" of 2)<") == 2


def test_the_band_is_one_path_with_gaps_between_the_lines():
    toy = class_toy()
    chart = toy_explorer(
        toy.distances.assign(classifier=""),
        toy.boundaries.assign(classifier=""),
        tau=0.1,
        tau_max=0.3,
    )
    path = next(
        pd.DataFrame(rows)
        for rows in chart.to_dict()["datasets"].values()
        if "position" in pd.DataFrame(rows)
    )
    assert path["x"].isna().sum() == 3 and len(path) == len(toy.boundaries) + 3
    assert "NaN" not in chart_svg(chart)


def test_sigma_at_one_mix_stands_below_sigma_as_measured():
    random = np.random.default_rng(0)
    n = 400
    site, age = random.choice(["a", "b"], n), random.choice(["old", "young"], n)
    rows = pd.DataFrame(
        {
            "sample_id": [str(i) for i in range(n)],
            "label": 0,
            "is_correct": True,
            "status": "found",
            "distance": random.uniform(0.5, 1, n),
            "site": site,
            "age": age,
        }
    )
    table = raw_and_standardized(rows, "site", ["age"])
    drawn = max(
        (pd.DataFrame(rows) for rows in mix_intervals(table).to_dict()["datasets"].values()),
        key=len,
    )
    assert list(drawn["kind"]) == ["as measured"] * 2 + ["at one mix"] * 2
    np.testing.assert_allclose(drawn["sigma"], [*table["sigma"], *table["standardized"]])
