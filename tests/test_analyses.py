import numpy as np
import pandas as pd

import rbcore as rb
from rbcore.analyses import MissingDistances, bias_by_model, default_runs, verdict_over_models
from rbcore.charts import bias_heatmap


def test_every_model_epoch_and_group_has_its_cell():
    runs = default_runs("digits")
    assert [run.model for run in runs] == ["logistic_regression", "small_cnn"]
    table, missing = bias_by_model(runs, "deepfool", "class")
    assert not missing and len(table) == 2 * 3 * 10
    assert list(table["epoch_number"].unique()) == [1, 6, 12]
    cell = table[(table["model"] == "small_cnn") & (table["epoch"] == "middle")]
    expected = rb.robustness_bias(rb.stored_distances(runs[1], 6, "deepfool").rows, "class")
    np.testing.assert_allclose(cell["sigma"], expected["sigma"])


def test_missing_cells_are_empty_and_named():
    runs = default_runs("digits")
    table, missing = bias_by_model(runs, "exact", "class")
    assert missing == [MissingDistances(runs[1], epoch) for epoch in (1, 6, 12)]
    holes = table[table["model"] == "small_cnn"]
    assert len(holes) == 30 and holes["sigma"].isna().all()
    chart = bias_heatmap(table).to_dict()
    cells = pd.concat(pd.DataFrame(rows) for rows in chart["datasets"].values())
    assert (cells["text"] == "–").sum() == 30
    assert bias_by_model(runs, "deepfool:paper", "class")[0].empty


def cells(sigma_first, sigma_last, high_last):
    rows = []
    for model, firsts, lasts, highs in zip("AB", sigma_first, sigma_last, high_last, strict=True):
        for group, first, last, high in zip(("x", "y"), firsts, lasts, highs, strict=True):
            rows.append(
                {"model": model, "group": group, "epoch": "first", "sigma": first, "low": -9.0, "high": 9.0, "n": 50}
            )
            rows.append(
                {"model": model, "group": group, "epoch": "last", "sigma": last, "low": -9.0, "high": high, "n": 50}
            )
    return pd.DataFrame(rows)


def test_the_sentence_counts_models_and_kept_signs():
    text = verdict_over_models(cells([[-1, 1], [1, 1]], [[-0.5, 0.5], [-0.5, 0.4]], [[-0.1, 0.9], [-0.2, 0.9]]))
    assert text.startswith("At the last epoch x is less robust than the rest in 2 of 2 models")
    assert text.endswith("sigma keeps its sign in 3 of 4 cells.")
    text = verdict_over_models(cells([[1, 1], [1, 1]], [[1, 1], [1, 1]], [[2, 2], [2, 2]]))
    assert "no group is shown to be less robust, in any of 2 models" in text
