import numpy as np
import pandas as pd

import rbcore as rb
from rbcore.analyses import MissingDistances, bias_by_model, comparable_runs, verdict_over_models
from rbcore.charts import bias_heatmap
from rbcore.training import train


def test_every_model_epoch_and_group_has_its_cell():
    runs = comparable_runs("digits")
    assert [run.model for run in runs] == ["logistic_regression", "small_cnn"]
    table, missing = bias_by_model(runs, "deepfool", "class")
    assert not missing and len(table) == 2 * 3 * 10
    assert list(table["epoch_number"].unique()) == [1, 6, 12]
    cell = table[(table["model"] == "small_cnn") & (table["epoch"] == "middle")]
    expected = rb.robustness_bias(rb.stored_distances(runs[1], 6, "deepfool").rows, "class")
    np.testing.assert_allclose(cell["sigma"], expected["sigma"])


def test_missing_cells_are_empty_and_named():
    runs = comparable_runs("digits")
    digits = rb.load_dataset("digits")
    rb.estimate_distances(rb.load_model("small_cnn", digits, epoch=1), digits, "deepfool:paper")
    rb.estimate_distances(rb.load_model("small_cnn", digits, epoch=6), digits, "deepfool:paper", limit=300)
    table, missing = bias_by_model(runs[1:], "deepfool:paper", "class")
    assert missing == [MissingDistances(runs[1], epoch) for epoch in (6, 12)]  # 6 is a part only
    assert table[table["epoch"] == "middle"]["n"].sum() == 300
    holes = table[table["epoch"] == "last"]
    assert len(holes) == 10 and holes["sigma"].isna().all()
    chart = bias_heatmap(table).to_dict()
    cells = pd.concat(pd.DataFrame(rows) for rows in chart["datasets"].values())
    assert (cells["text"] == "–").sum() == 10
    assert bias_by_model(runs[:1], "deepfool:paper", "class")[0].empty


def test_methods_for_linear_models_leave_out_the_others():
    table, missing = bias_by_model(comparable_runs("digits"), "exact", "class")
    assert set(table["model"]) == {"logistic_regression"} and not missing


def test_runs_on_other_data_are_not_compared():
    other = train("logistic_regression", rb.load_dataset("digits", seed=4), epochs=1)
    shipped = rb.list_runs("digits", "small_cnn")[0]
    assert [run.name for run in comparable_runs("digits")] == [other.name]
    assert {run.model for run in comparable_runs("digits", shipped)} == {"small_cnn", "logistic_regression"}
    assert other not in comparable_runs("digits", shipped)


def cells(sigma_first, sigma_last, high_last):
    rows = []
    for model, firsts, lasts, highs in zip("AB", sigma_first, sigma_last, high_last, strict=True):
        for group, first, last, high in zip(("x", "y"), firsts, lasts, highs, strict=True):
            rows.append(
                {
                    "model": model,
                    "group": group,
                    "epoch": "first",
                    "epoch_number": 1,
                    "is_ranked": True,
                    "sigma": first,
                    "low": -9.0,
                    "high": 9.0,
                    "n": 50,
                }
            )
            rows.append(
                {
                    "model": model,
                    "group": group,
                    "epoch": "last",
                    "epoch_number": 9,
                    "is_ranked": True,
                    "sigma": last,
                    "low": -9.0,
                    "high": high,
                    "n": 50,
                }
            )
    return pd.DataFrame(rows)


def test_the_sentence_counts_models_and_kept_signs():
    text = verdict_over_models(cells([[-1, 1], [1, 1]], [[-0.5, 0.5], [-0.5, 0.4]], [[-0.1, 0.9], [-0.2, 0.9]]))
    assert text.startswith("At the last epoch x is less robust than the rest in 2 of 2 models")
    assert text.endswith("sigma keeps its sign in 3 of 4 cells.")
    text = verdict_over_models(cells([[1, 1], [1, 1]], [[1, 1], [1, 1]], [[2, 2], [2, 2]]))
    assert "no group is shown to be less robust, in any of 2 models" in text
