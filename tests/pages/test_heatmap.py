import io
import json

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import rbcore as rb
from tests.pages.app import button, open_page, said, shipped, wait_for_jobs


def cells_of(app):
    """Return what all panels of the heatmap draw."""
    datasets = app.get("vega_lite_chart")[0].proto.datasets
    return pd.concat(
        pa.ipc.open_stream(io.BytesIO(dataset.data.data)).read_pandas() for dataset in datasets
    )


def test_cells_are_what_the_library_measures():
    cells = cells_of(open_page("heatmap"))
    last = cells[(cells["model"] == "small_cnn") & (cells["epoch"] == "last")].drop_duplicates(
        "group"
    )
    expected = rb.robustness_bias(shipped().rows, "class").set_index("group")["sigma"]
    assert len(last) == 10
    for group, sigma in last.set_index("group")["sigma"].items():
        assert sigma == pytest.approx(expected[group])


def test_the_sentence_counts_the_models():
    app = open_page("heatmap")
    assert any("of 2 models" in text and "of 20 cells" in text for text in said(app.markdown))
    sizes = shipped().rows["class"].value_counts()
    assert any(
        text.startswith(f"n = {sizes.min()} to {sizes.max()} test images a cell")
        for text in said(app.caption)
    )


def test_methods_for_linear_models_leave_out_the_others_and_say_so():
    app = open_page("heatmap", model="logistic_regression", method="exact")
    assert set(cells_of(app)["model"]) == {"logistic_regression"} and not app.info
    assert any("applies to linear models only: small_cnn" in text for text in said(app.caption))


@pytest.mark.slow
def test_missing_cells_offer_their_jobs():
    app = open_page("heatmap", method="deepfool:paper")
    assert any(
        "Distances are missing" in text and "small_cnn epoch 6" in text for text in said(app.info)
    )
    wait_for_jobs(button(app, "Compute the 6 missing").click().run())
    app.run()
    assert not app.info and len(cells_of(app).drop_duplicates(["model", "epoch", "group"])) == 60


def test_the_sentence_and_the_marks_follow_the_same_verdicts():
    app = open_page("heatmap")
    cells = cells_of(app).drop_duplicates(["model", "epoch", "group"])
    last = cells[(cells["epoch"] == "last") & (cells["verdict"] == "less robust")]
    counts = last.groupby("group")["model"].nunique()
    (sentence,) = [text for text in said(app.markdown) if text.startswith("####")]
    named = " and ".join(f"digit {group}" for group in sorted(counts.index[counts == counts.max()]))
    assert sentence.startswith(f"#### At the last epoch {named} ")
    assert (
        f"in {counts.max()} of 2 models (permutation test, 5% after Holm's correction; n = 360"
        in sentence
    )


def test_methods_and_epochs_stand_in_one_sheet_in_the_order_asked_for():
    app = open_page("heatmap", sheet="methods and epochs", order="sigma")
    cells = cells_of(app).drop_duplicates(["model", "epoch", "method", "group"])
    assert set(cells["method"]) == {"deepfool", "exact", "minimal", "smoothing"}
    assert cells["method"].value_counts()[["deepfool", "exact", "minimal"]].tolist() == [60, 30, 60]
    sort = json.loads(app.get("vega_lite_chart")[0].proto.spec)["spec"]["layer"][0]["encoding"][
        "y"
    ]["sort"]
    own = cells[
        (cells["model"] == "small_cnn")
        & (cells["epoch"] == "last")
        & (cells["method"] == "deepfool")
    ]
    own = own.set_index("group")["sigma"]
    means = cells[cells["model"] == "small_cnn"].groupby("group")["sigma"].mean()
    assert sort == list(means.sort_values().index) and len(own) == 10


@pytest.mark.slow
def test_all_partitions_stand_in_one_sheet_and_a_mix_can_be_held_fixed():
    app = open_page("heatmap", dataset="toyfaces", sheet="partitions")
    assert "lighting" in set(cells_of(app)["by"]) and cells_of(app)["by"].nunique() > 1
    app.selectbox(key="sheet").select("epochs").run()
    raw = cells_of(app)
    app.selectbox(key="mix").select("class").run()
    assert not app.exception
    (sentence,) = [text for text in said(app.markdown) if text.startswith("####")]
    assert "95% interval leaves out 0, at a common mix of class; n = " in sentence
    adjusted = cells_of(app)
    assert not np.allclose(raw["sigma"], adjusted["sigma"]) and set(raw["group"]) == set(
        adjusted["group"]
    )
