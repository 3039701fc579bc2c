import shutil
from dataclasses import replace

import pytest

import rbcore as rb
from pages.shell import sidebar
from pages.shell.selection import Selection
from rbcore import store
from tests.pages.app import SHIPPED_RUN, open_page, said, shipped
from tests.records import content_of, write_sealed

LINK = {"model": "logistic_regression", "method": "exact", "epoch": "3", "run": SHIPPED_RUN}


@pytest.mark.parametrize("page", ["curves", "images", "compute"])
def test_a_link_restores_every_picker(page):
    app = open_page(page, **LINK)
    assert not app.exception and not app.error and not app.warning
    assert {key: app.selectbox(key=key).value for key in LINK} == LINK


def test_a_newcomer_sees_curves_and_the_newest_plain_run_at_its_last_epoch():
    app = open_page()
    assert not app.exception and not app.info
    picked = {
        key: app.selectbox(key=key).value for key in ("dataset", "by", "model", "epoch", "method")
    }
    assert picked == {
        "dataset": "digits",
        "by": "class",
        "model": "small_cnn",
        "epoch": "12",
        "method": "deepfool",
    }
    assert shipped().provenance.epoch == 12


@pytest.mark.parametrize(
    "key",
    [
        "dataset",
        "by",
        "model",
        "run",
        "epoch",
        "method",
        "group",
        "misclassified",
        "rest",
        "correct_by",
    ],
)
def test_a_value_that_is_not_on_offer_is_named(key):
    app = open_page(**{key: "*nope*"})
    (warning,) = said(app.warning)
    assert f"{key} '*nope*'" in warning and f"showing {app.selectbox(key=key).value!r}" in warning
    assert not app.exception and len(app.get("vega_lite_chart")) == 2


def test_another_training_is_shown_at_its_own_last_epoch():
    app = open_page(dataset="toyfaces")
    assert app.selectbox(key="epoch").value == "8"
    app.selectbox(key="dataset").select("digits").run()
    assert app.selectbox(key="epoch").value == "12"
    app.selectbox(key="epoch").select("6").run()
    app.selectbox(key="model").select("logistic_regression").run()  # as many epochs
    assert app.selectbox(key="epoch").value == "6" and not app.warning


def test_another_training_does_not_change_what_a_short_link_opens(tmp_path):
    source = store.bundled_root() / "runs" / "digits" / "small_cnn"
    (shipped_run,) = source.iterdir()
    later = shutil.copytree(
        shipped_run, store.cache_root() / "runs" / "digits" / "small_cnn" / "later"
    )
    for sidecar in later.glob("*.json"):
        write_sealed(
            sidecar,
            {**content_of(sidecar), "run": "later", "created": "2999-01-01T00:00:00+00:00"},
        )
    assert rb.list_runs("digits", "small_cnn")[0].name == "later"
    app = open_page()
    assert (
        app.selectbox(key="run").value == shipped_run.name
        and "later" in app.selectbox(key="run").options
    )


def test_a_run_that_nobody_trained_is_named():
    app = open_page(dataset="utkface", run="*x*")
    assert said(app.warning) == ["The link names the run '*x*', but nothing is trained here yet."]


def test_what_leaves_the_offer_is_not_remembered():
    app = open_page(dataset="utkface", by="race")
    app.selectbox(key="dataset").select("digits").run()
    assert app.selectbox(key="by").value == "class" and "by" not in app.query_params
    assert not app.warning
    app.selectbox(key="dataset").select("utkface").run()
    assert app.selectbox(key="by").value == "class"


@pytest.mark.parametrize("page", ["curves", "images"])
def test_where_nothing_is_trained_the_page_leads_to_compute(page):
    app = open_page(page, dataset="utkface")
    assert said(app.info) == ["No small_cnn is trained on UTKFace yet."]
    (link,) = app.get("page_link")
    assert link.proto.page == "compute"


@pytest.mark.parametrize("value", ["abc", "-1", "nan", "inf", "1e400", "20000", ""])
def test_a_limit_of_tau_that_is_no_number_is_named(value):
    app = open_page(tau_max=value)
    (warning,) = said(app.warning)
    assert warning == (
        f"The link asks for tau_max {value!r}, which is not a number from 0 to 10,000; showing 0."
    )
    assert not app.exception and not app.error and app.number_input(key="tau_max").value == 0
    assert len(app.get("vega_lite_chart")) == 2


def test_a_limit_of_tau_comes_from_the_link():
    app = open_page(tau_max="0.25")
    assert app.number_input(key="tau_max").value == 0.25 and not app.warning
    expected = rb.robustness_bias(shipped().rows, "class", policy=rb.Policy(tau_max=0.25))
    assert app.dataframe[0].value["sigma"].to_list() == pytest.approx(expected["sigma"].to_list())


def test_a_run_that_vanished_is_said(cache):
    source = store.bundled_root() / "runs" / "digits" / "small_cnn" / "modern-8px-12ep-seed0"
    mine = shutil.copytree(source, cache / "runs" / "digits" / "small_cnn" / "mine")
    for path in mine.glob("*.json"):
        write_sealed(path, {**content_of(path), "run": "mine"})
    app = open_page(run="mine")
    assert app.selectbox(key="run").value == "mine" and not app.warning
    shutil.rmtree(mine)
    app.run()
    assert said(app.warning) == ["The run 'mine' is gone; showing 'modern-8px-12ep-seed0'."]
    assert not app.run().warning and len(app.get("vega_lite_chart")) == 2


def test_a_damaged_sidecar_of_one_epoch_leaves_the_others(cache):
    source = store.bundled_root() / "runs" / "digits" / "small_cnn" / "modern-8px-12ep-seed0"
    mine = shutil.copytree(source, cache / "runs" / "digits" / "small_cnn" / source.name)
    (mine / "epoch-0006.json").write_text("{")
    app = open_page(epoch="6")
    assert not app.exception and len(app.sidebar.selectbox) >= 6
    assert any(
        str(mine / "epoch-0006.json") in text and "Delete it" in text for text in said(app.error)
    )
    app.selectbox(key="epoch").select("12").run()
    assert not app.error and not app.warning and len(app.get("vega_lite_chart")) == 2


def test_the_report_is_made_of_what_is_picked(monkeypatch):
    made = []
    monkeypatch.setattr(sidebar, "partial", lambda make, selection: made.append(selection))
    for query in (
        {"misclassified": "exclude", "tau_max": "0.5", "correct_by": "network"},
        {"tau_max": "abc", "rest": "nope"},
    ):
        open_page(**LINK, **query)
    picked, wrong = made
    assert (picked.model, picked.epoch, picked.method) == ("logistic_regression", 3, "exact")
    assert picked.policy == rb.Policy(misclassified="exclude", tau_max=0.5, correct_by="network")
    assert wrong.policy == rb.Policy()


def test_a_report_that_cannot_be_made_is_a_page_that_says_why():
    run = rb.list_runs("digits", "small_cnn")[0]
    selection = Selection("digits", "class", "small_cnn", run, 12, "ddn")
    assert "No ddn distances are stored for epoch 12" in sidebar.report_of(selection)
    assert "Robustness curves" in sidebar.report_of(replace(selection, method="deepfool"))


def test_the_definitions_stay_from_page_to_page():
    app = open_page()
    app.selectbox(key="misclassified").select("exclude").run()
    app.switch_page("pages/images.py").run()
    app.switch_page("pages/curves.py").run()
    assert app.selectbox(key="misclassified").value == "exclude"
    expected = rb.robustness_bias(shipped().rows, "class", policy=rb.Policy("exclude"))
    assert app.dataframe[0].value["sigma"].to_list() == pytest.approx(expected["sigma"].to_list())
