import pytest

import rbcore as rb
from tests.pages.app import open_page, plotted, said, shipped


def test_cells_are_what_the_library_measures():
    app = open_page("heatmap")
    assert not app.exception
    cells = plotted(app, 0)
    last = cells[(cells["model"] == "small_cnn") & (cells["epoch"] == "last")].set_index("group")["sigma"]
    expected = rb.robustness_bias(shipped().rows, "class").set_index("group")["sigma"]
    for group in expected.index:
        assert last[group] == pytest.approx(expected[group])


def test_the_sentence_counts_the_models():
    app = open_page("heatmap")
    assert any("in 2 of 2 models" in text and "of 20 cells" in text for text in said(app.markdown))


def test_missing_cells_offer_their_jobs():
    app = open_page("heatmap", model="logistic_regression", method="exact")
    (info,) = said(app.info)
    assert "3 tables of distances are missing: small_cnn epoch 1, small_cnn epoch 6, small_cnn epoch 12" in info
