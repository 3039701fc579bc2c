"""Figures 1 and 2: their claims, and distances by geometry instead of by the
library's closed form.
"""

import numpy as np
import pytest
from scipy.optimize import minimize
from sklearn.linear_model import LogisticRegression

from rbcore.analyses import budget_toys, class_toy, fooled_at
from rbcore.analyses.toys import BUDGET_TOY_TAU
from rbcore.charts import robustness_curves, toy_plane
from rbcore.inference import robustness_bias


def test_figure_1_same_points_same_accuracy_other_bias():
    unlike, like = budget_toys()
    for toy, expected in (
        (unlike, {"round": 0.7, "cross": 0.3}),
        (like, {"round": 0.3, "cross": 0.3}),
    ):
        assert toy.distances["is_correct"].all() and len(toy.distances) == 80
        fooled = fooled_at(toy.distances, "group", budget=BUDGET_TOY_TAU).set_index("group")[
            "share"
        ]
        assert fooled.to_dict() == pytest.approx(expected)
    np.testing.assert_array_equal(unlike.distances[["x", "y"]], like.distances[["x", "y"]])
    # by hand: the first boundary is the vertical line x = 1/2, the second is turned by 60 degrees
    x, y = unlike.distances["x"] - 0.5, unlike.distances["y"] - 0.5
    np.testing.assert_allclose(unlike.distances["distance"], np.abs(x))
    np.testing.assert_allclose(like.distances["distance"], np.abs(0.5 * x + np.sqrt(0.75) * y))


def test_figure_2_is_a_fitted_logistic_regression_whose_brown_class_is_closest():
    toy = class_toy()
    rows = toy.distances
    bias = robustness_bias(rows, "class").set_index("group")
    assert bias.loc["brown", "high"] < 0 and bias["sigma"].idxmin() == "brown"
    assert (
        bias["accuracy"].max() - bias["accuracy"].min() < 0.05
    )  # "all three classes achieve similar accuracy"
    points = rows[["x", "y"]].to_numpy()
    again = LogisticRegression(C=1e3, max_iter=10_000).fit(points, rows["label"])
    np.testing.assert_array_equal(again.predict(points), rows["prediction"])


def test_distances_are_those_a_search_finds():
    toy = class_toy()
    for _, row in toy.distances[toy.distances["is_correct"]].iloc[::60].iterrows():
        point, own = row[["x", "y"]].to_numpy(float), int(row["label"])
        best = np.inf
        for other in {0, 1, 2} - {own}:
            crossing = {
                "type": "eq",
                "fun": lambda z, own=own, other=other: (
                    (toy.weights[own] - toy.weights[other]) @ z
                    + toy.biases[own]
                    - toy.biases[other]
                ),
            }
            found = minimize(
                lambda z, point=point: ((z - point) ** 2).sum(), point, constraints=[crossing]
            )
            best = min(best, float(np.sqrt(found.fun)))
        assert row["distance"] == pytest.approx(best, rel=1e-3)


def test_boundaries_are_where_two_classes_are_most_likely():
    toy = class_toy()
    lines = toy.boundaries
    logits = np.sort(lines[["x", "y"]].to_numpy() @ toy.weights.T + toy.biases, axis=1)
    np.testing.assert_allclose(logits[:, -1], logits[:, -2], atol=1e-6)
    assert (lines["offset"] == 0).all() and lines["line"].nunique() >= 2
    beside = budget_toys()[0].boundaries
    np.testing.assert_allclose(beside["x"] - 0.5, -beside["offset"], atol=1e-9)


def test_toys_are_drawn():
    toy = budget_toys()[0]
    chart = toy_plane(toy.distances, toy.boundaries, tau=BUDGET_TOY_TAU).to_dict()
    (points,) = [rows for rows in chart["datasets"].values() if "state" in rows[0]]
    assert sum(row["state"] == "within tau" for row in points) == 40
    assert robustness_curves(class_toy().distances, "class").to_dict()["layer"]
