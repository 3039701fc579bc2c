import os
import shutil
from pathlib import Path

import numpy as np
import pytest

import rbcore as rb
from rbcore import analyses
from rbcore.runs.checkpoints import find_run
from rbcore.training.mitigations import AdversarialTraining, Regularizer, Reweighting
from rbcore.training.train import train
from tests.pages.app import SHIPPED_RUN, button, open_page, plotted, said, wait_for_jobs

MODEL = "logistic_regression"
WEIGHTED = f"{SHIPPED_RUN}+weight-class=8-s0.5"
ATTACKED = f"{SHIPPED_RUN}+adversarial-e0.25-steps1"
FAIR = "two+fair"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Beside the shipped run one with more weight on the eights, measured, and an attacked one,
    not; one without a plain run.
    """
    root = tmp_path_factory.mktemp("made") / "cache"
    before = os.environ.get("RBCORE_CACHE")
    os.environ["RBCORE_CACHE"] = str(root)
    digits = rb.load_dataset("digits")
    weighted = train(MODEL, digits, mitigation=Reweighting("class", "8", 0.5), keep="3")
    attacked = train(MODEL, digits, mitigation=AdversarialTraining(0.25, steps=1), keep="1")
    train(MODEL, digits, epochs=2, mitigation=Regularizer("class", "8"), run=FAIR)
    assert (weighted.name, attacked.name) == (WEIGHTED, ATTACKED)
    for method in ("exact", "deepfool"):
        rb.estimate_distances(rb.load_model(MODEL, digits, run=weighted.name), digits, method)
    if before is None:
        del os.environ["RBCORE_CACHE"]
    else:
        os.environ["RBCORE_CACHE"] = before
    return root


@pytest.fixture(autouse=True)
def with_runs(made: Path, cache: Path) -> None:
    shutil.copytree(made, cache)


def open_mitigation(**query: str):
    return open_page(
        "mitigation", **{"model": MODEL, "method": "exact", "run": SHIPPED_RUN, **query}
    )


def effect_of(group: str = "8") -> analyses.Effect:
    rows = [
        rb.stored_distances(find_run("digits", MODEL, name), 12, "exact").rows
        for name in (SHIPPED_RUN, WEIGHTED)
    ]
    return analyses.compare(*rows, "class", group)


@pytest.mark.slow
def test_the_sentence_and_the_charts_are_what_the_library_says():
    app = open_mitigation(mitigated=WEIGHTED)
    effect = effect_of()
    assert app.selectbox("group").value == "8"  # the group that the run protects
    assert f"#### {analyses.verdict_on_mitigation(effect)}" in said(app.markdown)
    assert analyses.parts_in_words(effect) in said(app.markdown)
    assert not app.exception and not [
        text for text in said(app.info) if "Distances by exact" not in text
    ]
    changes = plotted(app, 2)
    expected = effect.changes.set_index(["who", "measure"])
    for row in changes.itertuples():
        assert row.change == pytest.approx(expected.loc[(row.who, row.measure), "change"])
    costs = plotted(app, 3).set_index("run")
    assert set(costs.index) == {SHIPPED_RUN, WEIGHTED}
    np.testing.assert_allclose(costs.loc[WEIGHTED, "sigma"], effect.sigma["sigma_second"])


@pytest.mark.slow
def test_another_group_can_be_looked_at_and_the_page_says_that_it_is_not_the_protected_one():
    app = open_mitigation(mitigated=WEIGHTED)
    app.selectbox("group").select("3").run()
    assert f"#### {analyses.verdict_on_mitigation(effect_of('3'))}" in said(app.markdown)
    assert any(
        "It protects class = 8, which is not the group shown here." in text
        for text in said(app.caption)
    )


def test_a_mitigated_run_of_the_sidebar_is_compared_with_its_plain_one():
    app = open_mitigation(run=WEIGHTED)
    assert any(
        f"{WEIGHTED}, is compared with its plain one, {SHIPPED_RUN}" in text
        for text in said(app.caption)
    )
    assert f"#### {analyses.verdict_on_mitigation(effect_of())}" in said(app.markdown)
    assert "mitigated" not in [box.key for box in app.selectbox]


def test_an_attack_by_linearization_is_said_to_be_no_check():
    app = open_mitigation(mitigated=WEIGHTED, method="deepfool")
    assert any("Check them with minimal" in text for text in said(app.info))
    assert not any(
        "Check them with" in text for text in said(open_mitigation(mitigated=WEIGHTED).info)
    )


def test_missing_distances_of_the_pair_offer_their_jobs():
    app = open_mitigation(mitigated=ATTACKED)
    assert f"Distances by exact at epoch 12 are not computed yet for: {ATTACKED}." in said(app.info)
    wait_for_jobs(button(app, "Compute the 1 missing").click().run())
    app.run()
    assert any(text.startswith("#### ") and "sigma of" in text for text in said(app.markdown))
    assert set(plotted(app, 3)["run"]) == {SHIPPED_RUN, WEIGHTED, ATTACKED}


def test_a_method_that_is_computed_for_both_is_offered():
    app = open_mitigation(mitigated=WEIGHTED, method="deepfool:paper")
    assert any(WEIGHTED in text and SHIPPED_RUN in text for text in said(app.info))
    button(app, "Show exact, computed for both").click().run()
    assert f"#### {analyses.verdict_on_mitigation(effect_of())}" in said(app.markdown)


def test_an_epoch_that_one_run_lacks_is_said():
    app = open_mitigation(mitigated=WEIGHTED, epoch="5")
    assert said(app.info) == [
        "One of the two runs has no checkpoint of epoch 5. Epochs that both have: 1, 6, 12."
    ]


def test_runs_without_a_counterpart_are_said_with_the_command_that_makes_one():
    app = open_mitigation(run=FAIR)
    assert any(
        "its plain run, of the same images" in text and FAIR in text for text in said(app.info)
    )
    app = open_page("mitigation", model="small_cnn")
    assert any("there is no mitigated one" in text for text in said(app.info))
    assert (
        "train digits small_cnn --regularize class=GROUP --alpha 1 --tau 0.5" in app.code[0].value
    )
