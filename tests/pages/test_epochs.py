import numpy as np
import pytest

import rbcore as rb
from pages.shell import jobs
from tests.pages.app import button, open_page, plotted, said, shipped, wait_for_jobs


def test_sigma_of_each_group_is_drawn_at_every_epoch():
    app = open_page("epochs")
    drawn = plotted(app, 0)
    assert len(drawn) == 12 * 10
    expected = rb.robustness_bias(shipped(epoch=3).rows, "class").set_index("group")
    at_third = drawn[drawn["epoch"] == 3].set_index("group")
    for column in ("sigma", "low", "high", "n"):
        np.testing.assert_allclose(at_third[column], expected.loc[at_third.index, column])
    assert any("is least robust at epoch 12" in text for text in said(app.markdown))


def test_the_epoch_in_the_address_is_the_one_shown():
    app = open_page("epochs", played="3")
    accuracy = shipped(epoch=3).rows["is_correct"].mean()
    assert any(f"Epoch 3 of 12: accuracy {accuracy:.1%}" in text for text in said(app.markdown))
    curves = plotted(app, 1)
    start = curves[curves["tau"] == 0].set_index("group")["share"]
    expected = shipped(epoch=3).rows.groupby("class")["is_correct"].mean()
    assert all(start[group] == pytest.approx(expected[group]) for group in start.index)


@pytest.mark.slow
def test_playing_goes_from_epoch_to_epoch_and_stops_after_the_last():
    app = open_page("epochs", played="10")
    button(app, "Play").click().run()
    shown = [app.select_slider(key="played").value]
    while any(widget.label == "Pause" for widget in app.button):
        app.run()
        shown.append(app.select_slider(key="played").value)
        assert len(shown) < 9
    assert list(dict.fromkeys(shown)) == [11, 12]
    button(app, "Play").click().run()
    assert app.select_slider(key="played").value < 12  # from the start again


def test_signs_are_compared_with_those_of_the_last_epoch():
    (table,) = [frame.value for frame in open_page("epochs").dataframe]
    signs = [
        np.sign(rb.robustness_bias(shipped(epoch=epoch).rows, "class")["sigma"])
        for epoch in (1, 12)
    ]
    first = table[table["epoch"] == 1].iloc[0]
    assert first["same"] == f"{int((signs[0] == signs[1]).sum())} of 10"
    assert list(table["epoch"]) == list(range(1, 12))


@pytest.mark.slow
def test_missing_epochs_are_computed_from_here():
    query = {"model": "logistic_regression", "method": "deepfool:paper"}
    data = rb.load_dataset("digits")
    rb.estimate_distances(rb.load_model(query["model"], data, epoch=1), data, query["method"])
    app = open_page("epochs", **query)
    assert any("at epoch 2, 3, 4" in text for text in said(app.info)) and len(plotted(app, 0)) == 10
    button(app, "Compute the 11 missing").click().run()
    assert not any("are missing" in text for text in said(app.info))
    queued = [job for job in jobs.runner().jobs.values() if job.title.startswith(query["method"])]
    assert [job.title.rsplit(" ", 1)[1] for job in queued] == [str(epoch) for epoch in range(2, 13)]
    for job in queued[1:]:
        jobs.runner().cancel(job)
    wait_for_jobs(app)
    app.run()
    assert any("at epoch 3, 4" in text for text in said(app.info)) and len(plotted(app, 0)) == 20
