import pytest

from tests.pages.app import SHIPPED_RUN, open_page, said, shipped

LINK = {"model": "logistic_regression", "method": "exact", "epoch": "3", "run": SHIPPED_RUN}


@pytest.mark.parametrize("page", ["curves", "images", "compute"])
def test_a_link_restores_every_picker(page):
    app = open_page(page, **LINK)
    assert not app.exception and not app.error and not app.warning
    assert {key: app.selectbox(key=key).value for key in LINK} == LINK


def test_a_newcomer_sees_curves_and_the_newest_plain_run_at_its_last_epoch():
    app = open_page()
    assert not app.exception and not app.info
    picked = {key: app.selectbox(key=key).value for key in ("dataset", "by", "model", "epoch", "method")}
    assert picked == {"dataset": "digits", "by": "class", "model": "small_cnn", "epoch": "12", "method": "deepfool"}
    assert shipped().provenance["epoch"] == 12


@pytest.mark.parametrize("key", ["dataset", "by", "model", "run", "epoch", "method", "group", "misclassified", "rest"])
def test_a_value_that_is_not_on_offer_is_named(key):
    app = open_page(**{key: "*nope*"})
    (warning,) = said(app.warning)
    assert f"{key} '*nope*'" in warning and f"showing {app.selectbox(key=key).value!r}" in warning
    assert not app.exception and len(app.get("vega_lite_chart")) == 2


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
