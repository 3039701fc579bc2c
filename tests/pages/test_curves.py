import numpy as np
import pandas as pd
import pytest

import rbcore as rb
from rbcore import inference, store, wording
from tests.pages.app import open_page, plotted, said, shipped

CURVES, SIGMA = 0, 1


def test_each_curve_starts_at_the_accuracy_of_its_group_and_follows_the_distances():
    rows = shipped().rows
    curves = plotted(open_page(), CURVES)
    groups = rows.groupby("class")
    assert sorted(curves["group"].unique()) == sorted(groups.groups) and len(groups) == 10
    for group, drawn in curves.groupby("group"):
        own = groups.get_group(group)
        assert drawn["share"][drawn["tau"] == 0].item() == pytest.approx(own["is_correct"].mean())
        beyond = [(own["distance"] > tau).mean() for tau in drawn["tau"]]
        np.testing.assert_allclose(drawn["share"], beyond, atol=1e-12)


def test_the_sigma_chart_and_the_table_show_what_the_library_measures():
    app = open_page(model="logistic_regression", method="exact", epoch="3")
    expected = rb.robustness_bias(shipped("logistic_regression", 3, "exact").rows, "class")
    columns = ["group", "sigma", "low", "high"]
    pd.testing.assert_frame_equal(
        plotted(app, SIGMA)[columns], expected[columns], check_dtype=False
    )
    shown = app.dataframe[0].value
    np.testing.assert_allclose(shown["auc"], expected["auc"])
    np.testing.assert_allclose(shown["p_holm"], expected["p_holm"])
    assert list(shown["verdict"]) == list(wording.verdicts(expected))
    assert shown["interval"][0] == f"[{expected['low'][0]:+.2f}, {expected['high'][0]:+.2f}]"


def test_the_sentence_names_the_group_its_interval_and_n():
    app = open_page()
    row = wording.least_robust(rb.robustness_bias(shipped().rows, "class"))
    (sentence,) = [text for text in said(app.markdown) if text.startswith("####")]
    assert sentence.startswith(f"#### Digit {row['group']} is the least robust group")
    assert f"interval [{row['low']:+.2f}, {row['high']:+.2f}]" in sentence
    assert f"n = {row['n']}" in sentence


def test_the_sentence_and_the_caption_carry_the_tests():
    app = open_page()
    bias = rb.robustness_bias(shipped().rows, "class")
    row = wording.least_robust(bias)
    assert f"{wording.p_in_words(row['p_holm'])} after Holm" in said(app.markdown)[0]
    (caption,) = [text for text in said(app.caption) if text.startswith("n = ")]
    assert caption.endswith(
        f"Any difference between the groups: {wording.p_in_words(bias['p_global'][0])}."
    )
    assert any(expander.label == "How is this calculated?" for expander in app.expander)


def test_the_band_says_what_it_holds_for_and_widens_for_the_whole_curve():
    app = open_page()
    pointwise = plotted(app, CURVES)
    assert any("at any one tau (pointwise, Clopper-Pearson)" in text for text in said(app.caption))
    app.toggle[0].set_value(True).run()
    whole = plotted(app, CURVES)
    assert any("at all tau at once" in text for text in said(app.caption))
    assert (whole["high"] - whole["low"]).mean() > (pointwise["high"] - pointwise["low"]).mean()


def test_the_slider_moves_the_column_at_tau():
    app = open_page()
    rows = shipped().rows
    for tau in (0.0, 0.4):
        app.slider[0].set_value(tau).run()
        expected = [(own["distance"] > tau).mean() for _, own in rows.groupby("class")]
        np.testing.assert_allclose(app.dataframe[0].value["safe"], expected)


@pytest.mark.parametrize("misclassified", ["zero", "exclude"])
@pytest.mark.parametrize("rest", ["pooled", "mean", "sum"])
def test_the_definitions_change_sigma(misclassified, rest):
    app = open_page()
    app.selectbox(key="misclassified").select(misclassified)
    app.selectbox(key="rest").select(rest).run()
    expected = rb.robustness_bias(shipped().rows, "class", policy=rb.Policy(misclassified, rest))
    np.testing.assert_allclose(app.dataframe[0].value["sigma"], expected["sigma"])


@pytest.mark.parametrize("correct_by", ["own", "network"])
def test_of_certificates_it_is_picked_whose_class_must_be_the_label(correct_by):
    digits = rb.load_dataset("digits")
    model = rb.load_model("small_cnn", digits)
    rows = rb.estimate_distances(model, digits, "smoothing", n0=10, n=40, noise=0.3)
    is_right = rows["network_prediction"] == rows["label"]
    assert (rows["is_correct"] != is_right).any()
    app = open_page(method="smoothing noise=0.3 n0=10 n=40", correct_by=correct_by)
    expected = rb.robustness_bias(rows, "class", policy=rb.Policy(correct_by=correct_by))
    np.testing.assert_allclose(app.dataframe[0].value["sigma"], expected["sigma"])
    whose = (
        f"{rows['is_correct'].mean():.1%} classified correctly by the smoothed classifier g, "
        f"{is_right.mean():.1%} by the network f"
    )
    assert any(whose in text for text in said(app.caption))


def test_groups_without_any_distance_are_told_and_not_drawn_wrong(cache):
    stored = shipped()
    rows = stored.rows.assign(is_correct=False, distance=np.nan, status="misclassified")
    store.write_table(rows, stored.key, stored.provenance)
    app = open_page()
    assert not app.exception and not app.error
    assert "No group can be ranked" in said(app.markdown)[0]
    assert (app.dataframe[0].value["safe"] == 0).all()


def test_a_table_of_some_images_says_how_many(cache):
    stored = shipped()
    store.write_table(stored.rows.head(100), stored.key, stored.provenance)
    (caption,) = [text for text in said(open_page().caption) if text.startswith("n = ")]
    assert caption.startswith("n = 100 of 360 test images;")


def test_a_damaged_table_is_one_calm_sentence_with_its_file_and_the_remedy(cache):
    stored = shipped()
    copy = cache / "distances" / stored.path.name
    copy.parent.mkdir(parents=True)
    copy.write_bytes(stored.path.read_bytes()[:2000])
    for page in ("curves", "images"):
        app = open_page(page)
        assert not app.exception
        (error,) = said(app.error)
        assert str(copy) in error and "Delete it" in error and "Traceback" not in error


def test_a_damaged_run_is_one_calm_sentence_with_its_file_and_the_remedy_and_the_curves_stay(cache):
    folder = cache / "runs" / "digits" / "small_cnn" / "mine"
    folder.mkdir(parents=True)
    (folder / "epoch-0001.safetensors").touch()
    (folder / "epoch-0001.json").write_text("{")
    app = open_page()
    assert not app.exception and not app.error and len(app.get("vega_lite_chart")) == 2
    (warning,) = said(app.warning)
    assert str(folder / "epoch-0001.json") in warning and "Delete it" in warning


def test_the_other_figures_show_what_the_library_measures():
    rows = shipped().rows
    app = open_page(figure="RB(P, tau)")
    drawn = plotted(app, CURVES)
    expected = inference.curves(rows, "class", taus=np.unique(drawn["tau"]))
    np.testing.assert_allclose(drawn["rb"], expected["rb"])
    np.testing.assert_allclose(drawn["rb_high"], expected["rb_high"])
    app.selectbox(key="figure").select("all models and methods").run()
    drawn = plotted(app, CURVES)
    assert set(drawn["panel"]) == {
        "logistic_regression · deepfool (n = 360)",
        "logistic_regression · exact (n = 360)",
        "logistic_regression · minimal (n = 360)",
        "small_cnn · deepfool (n = 360)",
        "small_cnn · minimal (n = 360)",
        "small_cnn · smoothing (n = 72)",
    }
    own = drawn[drawn["panel"].str.startswith("small_cnn · deepfool") & (drawn["group"] == "8")]
    beyond = [(rows.loc[rows["class"] == "8", "distance"] > tau).mean() for tau in own["tau"]]
    np.testing.assert_allclose(own["share"], beyond)
    assert any(
        text.startswith("Computed: 6 panels of 2 models and 4 methods")
        for text in said(app.caption)
    )


def test_a_stale_group_in_a_link_is_named():
    app = open_page(group="nobody")
    assert any("group 'nobody', which is not available here" in text for text in said(app.warning))
