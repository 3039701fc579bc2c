import numpy as np
import pandas as pd
import pytest

import rbcore as rb
from rbcore import wording
from rbcore.analyses import (
    MISSING,
    MissingDistances,
    adjusted_bias,
    bias_by_model,
    comparable_runs,
    curves_by_panel,
    find_cell,
    say_cell,
    verdict_over_models,
)
from rbcore.charts import bias_heatmap
from rbcore.inference import standardized_bias
from rbcore.training.train import train
from tests.inference.samples import joined


def test_every_model_epoch_and_group_has_its_cell():
    runs = comparable_runs("digits")
    assert [run.model for run in runs] == ["logistic_regression", "small_cnn"]
    table, missing = bias_by_model(runs, "deepfool", "class")
    assert not missing and len(table) == 2 * 3 * 10
    assert list(table["epoch_number"].unique()) == [1, 6, 12]
    cell = table[(table["model"] == "small_cnn") & (table["epoch"] == "middle")]
    expected = rb.robustness_bias(rb.stored_distances(runs[1], 6, "deepfool").rows, "class")
    np.testing.assert_allclose(cell["sigma"], expected["sigma"])


@pytest.mark.slow
def test_missing_cells_are_empty_and_named():
    runs = comparable_runs("digits")
    digits = rb.load_dataset("digits")
    rb.estimate_distances(rb.load_model("small_cnn", digits, epoch=1), digits, "deepfool:paper")
    rb.estimate_distances(
        rb.load_model("small_cnn", digits, epoch=6), digits, "deepfool:paper", limit=300
    )
    table, missing = bias_by_model(runs[1:], "deepfool:paper", "class")
    assert missing == [MissingDistances(runs[1], epoch) for epoch in (6, 12)]  # 6 is a part only
    assert table[table["epoch"] == "middle"]["n"].sum() == 300
    holes = table[table["epoch"] == "last"]
    assert len(holes) == 10 and holes["sigma"].isna().all()
    chart = bias_heatmap(table).to_dict()
    cells = pd.concat(pd.DataFrame(rows) for rows in chart["datasets"].values())
    assert (cells["verdict"] == MISSING).sum() == 10
    assert bias_by_model(runs[:1], "deepfool:paper", "class")[0].empty


def test_methods_for_linear_models_leave_out_the_others():
    table, missing = bias_by_model(comparable_runs("digits"), "exact", "class")
    assert set(table["model"]) == {"logistic_regression"} and not missing


def test_runs_on_other_data_are_not_compared():
    other = train("logistic_regression", rb.load_dataset("digits", seed=4), epochs=1)
    shipped = rb.list_runs("digits", "small_cnn")[0]
    assert [run.name for run in comparable_runs("digits")] == [other.name]
    assert {run.model for run in comparable_runs("digits", shipped)} == {
        "small_cnn",
        "logistic_regression",
    }
    assert other not in comparable_runs("digits", shipped)


def cells(sigma_first, sigma_last, verdict_last):
    """Two models A and B with groups x and y of 50 images each, at the first and last epoch."""
    rows = []
    for model, firsts, lasts, verdicts in zip(
        "AB", sigma_first, sigma_last, verdict_last, strict=True
    ):
        for group, first, last, verdict in zip("xy", firsts, lasts, verdicts, strict=True):
            own = {"model": model, "group": group, "is_ranked": True, "n": 50, "n_counted": 50}
            rows.append(
                {
                    **own,
                    "epoch": "first",
                    "epoch_number": 1,
                    "sigma": first,
                    "verdict": wording.NO_DIFFERENCE,
                }
            )
            rows.append(
                {**own, "epoch": "last", "epoch_number": 9, "sigma": last, "verdict": verdict}
            )
    return pd.DataFrame(rows)


def test_the_sentence_counts_models_and_kept_signs_by_the_verdicts_that_are_drawn():
    less, none = wording.LESS_ROBUST, wording.NO_DIFFERENCE
    table = cells([[-1, 1], [1, 1]], [[-0.5, 0.5], [-0.5, 0.4]], [[less, none], [less, none]])
    text = verdict_over_models(table)
    assert text.startswith(
        "At the last epoch x is less robust than the rest in 2 of 2 models (permutation test"
    )
    assert "n = 100 test images a model)" in text
    some = table.assign(n_counted=np.where(table["model"] == "A", 20, 50))
    assert "n = 100 test images a model, of which 40 to 100 count)" in verdict_over_models(some)
    assert text.endswith("sigma keeps its sign in 3 of 4 cells.")
    assert "kind x" not in text and "digit 7 is" in verdict_over_models(
        table.replace({"x": "7"}), kind="digit"
    )
    text = verdict_over_models(
        cells([[1, 1], [1, 1]], [[-0.5, 1], [1, 1]], [[none, none], [none, none]])
    )
    assert "no group is shown to be less robust than the rest, in any of 2 models" in text


def test_groups_with_too_few_images_that_lie_lower_are_named():
    less, none = wording.LESS_ROBUST, wording.NO_DIFFERENCE
    table = cells([[-1, 1], [1, 1]], [[-0.5, 0.5], [-0.5, 0.4]], [[less, none], [none, none]])
    tiny = table[(table["group"] == "y") & (table["epoch"] == "last")].assign(
        group="z", n=5, is_ranked=False, sigma=[-0.4, -0.9], verdict=wording.TOO_FEW
    )
    assert (
        " With too few images to test, z (in 1 of 2) lies no higher. From"
        in verdict_over_models(pd.concat([table, tiny], ignore_index=True))
    )


def test_models_measured_by_fallbacks_are_named():
    less = wording.LESS_ROBUST
    table = cells(
        [[-1, 1], [1, 1]], [[-0.5, 0.5], [-0.5, 0.4]], [[less, less], [less, less]]
    ).assign(n_correct=40)
    table["n_fallback"] = np.where(table["model"] == "B", 9, 4)  # 18 and 8 of 80
    assert "fallbacks, which no attack found, for B." in verdict_over_models(table)


def test_a_cell_is_found_and_said_with_its_interval_and_n():
    row = {
        "model": "A",
        "group": "7",
        "epoch_number": 9,
        "method": "deepfool",
        "sigma": -0.5,
        "low": -0.7,
        "high": -0.2,
    }
    table = pd.DataFrame([row | {"verdict": "less robust", "n": 1050.0, "n_counted": 1050.0}])
    cell = find_cell(table, {"model": "A", "epoch_number": 9})
    assert say_cell(cell, kind="digit") == (
        "digit 7 · A, epoch 9, deepfool: sigma -0.50 [-0.70, -0.20], less robust, n = 1,050."
    )
    excluded = say_cell(pd.Series({**cell, "n_counted": 400.0}), kind="digit")
    assert excluded.endswith("less robust, n = 1,050, of which 400 count.")
    assert find_cell(table, {"model": "B"}) is None and find_cell(table, {"other": 1}) is None
    assert say_cell(cell.replace({-0.5: np.nan, "less robust": MISSING})).endswith(
        "deepfool: not computed."
    )


def distances(values, groups, **attributes):
    return pd.DataFrame(
        {
            "sample_id": [str(i) for i in range(len(values))],
            "label": 0,
            "prediction": 0,
            "is_correct": True,
            "distance": values,
            "bound": "upper",
            "status": "found",
            "group": list(groups),
            **attributes,
        }
    )


def test_small_curves_share_one_grid_of_tau():
    near, far = distances([1.0, 2.0], "ab"), distances([10.0] * 4, "aabb")
    table = curves_by_panel({("A", "deepfool"): near, ("B", "deepfool"): far}, "group", n_taus=11)
    np.testing.assert_allclose(sorted(set(table["tau"])), range(11))
    share = table.set_index(["model", "group", "tau"])["share"]
    assert share["A", "a", 0.0] == 1 and share["A", "a", 1.0] == 0 and share["A", "b", 1.0] == 1
    assert share["B", "a", 9.0] == 1 and share["B", "b", 10.0] == 0
    assert set(table.loc[table["model"] == "B", "n_panel"]) == {4}


def test_adjusting_says_by_the_interval_and_refuses_small_cells():
    # young images lie far, old ones near; a is mostly young, and as far as b among the
    # young and among the old
    spread = np.linspace(0.9, 1.1, 30)
    young, old = 4 * spread, spread[:10]
    values = np.concatenate([young, old, young[:10], np.tile(old, 3)])
    rows = distances(
        values,
        "a" * 40 + "b" * 40,
        age=["young"] * 30 + ["old"] * 10 + ["young"] * 10 + ["old"] * 30,
    )
    found = adjusted_bias(rows, "group", "age").set_index("group")
    raw = rb.robustness_bias(rows, "group").set_index("group")
    assert raw.loc["a", "sigma"] > 0.5 and abs(found.loc["a", "sigma"]) < 0.1
    assert found["n"].tolist() == [40, 40]
    for group, row in found.iterrows():
        shows = (row["low"] > 0) - (row["high"] < 0)
        assert row["verdict"] == ["no difference shown", "more robust", "less robust"][shows], group
    lonely = joined(rows, distances([1.0] * 30, "c" * 30, age=["old"] * 30))
    refused = adjusted_bias(lonely, "group", "age").set_index("group")
    assert np.isnan(refused.loc["c", "sigma"]) and refused.loc["c", "verdict"] == wording.TOO_FEW
    one = standardized_bias(lonely, "group", "age", groups=["a"]).iloc[0]
    assert refused.loc["a", "sigma"] == pytest.approx(one["sigma"]) and refused.loc[
        "a", "low"
    ] == pytest.approx(one["low"])
