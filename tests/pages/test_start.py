import json

import pandas as pd
import pytest

import rbcore as rb
from rbcore import wording
from rbcore.analyses import budget_toys, class_toy
from rbcore.runs.checkpoints import find_run
from tests.pages.app import open_page, plotted, said


def spec_of(app) -> dict:
    return json.loads(app.get("vega_lite_chart")[0].proto.spec)


def test_a_newcomer_sees_the_toy_and_what_the_shipped_faces_show():
    app = open_page("start", dataset="toyfaces")
    rows = rb.stored_distances(find_run("toyfaces", "small_cnn"), "last", "deepfool").rows
    assert rb.verdict(rb.robustness_bias(rows, "lighting")) in said(app.markdown)
    assert any("n = 1,600 test images" in text for text in said(app.caption))
    assert any(text.startswith("Synthetic: drawn by code") for text in said(app.caption))
    assert [link.proto.label for link in app.get("page_link")] == [
        "The curves behind this",
        "A lesson in five steps",
    ]
    points = plotted(app, 0)
    pd.testing.assert_series_equal(points["distance"], class_toy().distances["distance"])


def test_the_slider_of_tau_is_in_the_chart_and_the_second_toy_brings_a_choice_of_classifiers():
    app = open_page("start")
    assert [param["name"] for param in spec_of(app)["params"] if "bind" in param] == ["tau"]
    app.button_group[0].set_value("Two classifiers").run()
    assert [param["name"] for param in spec_of(app)["params"] if "bind" in param] == [
        "tau",
        "classifier",
    ]
    points = plotted(app, 0)
    first, second = budget_toys()
    assert list(points["distance"]) == [*first.distances["distance"], *second.distances["distance"]]


@pytest.mark.parametrize("query", [{"dataset": "utkface"}, {"method": "deepfool:paper"}])
def test_what_is_not_measured_yet_is_said_calmly_with_the_way_to_compute(query):
    app = open_page("start", **query)
    assert not app.exception and not app.error and not app.info
    assert any(text.startswith("Nothing is measured yet for ") for text in said(app.markdown))
    assert app.get("page_link")[0].proto.page == "compute" and len(app.get("vega_lite_chart")) == 1


def test_the_definitions_reach_the_sentence():
    app = open_page("start", dataset="toyfaces", misclassified="exclude")
    rows = rb.stored_distances(find_run("toyfaces", "small_cnn"), "last", "deepfool").rows
    bias = rb.robustness_bias(rows, "lighting", policy=rb.Policy("exclude"))
    assert f"sigma = {wording.least_robust(bias)['sigma']:+.2f}" in " ".join(said(app.markdown))
