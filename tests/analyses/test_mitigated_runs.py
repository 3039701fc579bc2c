import numpy as np
import pandas as pd
import pytest

import rbcore as rb
from rbcore.analyses import (
    mitigated_runs,
    mitigation_in_words,
    plain_of,
    protected_by,
    trade_off,
)
from rbcore.training import recipes
from rbcore.training.mitigations import AdversarialTraining, Regularizer, Reweighting
from rbcore.training.recipes import Recipe
from rbcore.training.train import train

MODEL = "logistic_regression"
MITIGATIONS = (
    Regularizer("class", "8", alpha=0.5),
    Regularizer("class", "8", alpha=2.0),
    AdversarialTraining(0.25, steps=1),
    Reweighting("class", "8", 0.5),
    Reweighting("class"),
)


@pytest.fixture(autouse=True)
def short_recipe(monkeypatch):
    monkeypatch.setattr(recipes, "MODERN", (("*", "*", Recipe("modern", 1, 256, 0.05)),))


@pytest.mark.slow
def test_siblings_differ_in_their_mitigation_only():
    digits = rb.load_dataset("digits")
    plain = train(MODEL, digits)
    runs = [train(MODEL, digits, mitigation=mitigation) for mitigation in MITIGATIONS]
    train(MODEL, digits, epochs=2, mitigation=MITIGATIONS[0])
    train(MODEL, rb.load_dataset("digits", seed=3), mitigation=MITIGATIONS[0])
    train("small_cnn", digits, mitigation=MITIGATIONS[0])
    found = mitigated_runs(plain)
    assert found == [runs[1], runs[0], runs[2], runs[4], runs[3]]  # the strongest first
    assert [protected_by(run) for run in found] == [
        ("class", "8"),
        ("class", "8"),
        (None, None),
        ("class", None),
        ("class", "8"),
    ]
    assert mitigation_in_words(runs[2]) == "adversarial training (epsilon 0.25, steps 1)"
    assert mitigation_in_words(runs[3]) == "group re-weighting for class = 8 (share 0.5)"
    assert mitigation_in_words(runs[4]) == "group re-weighting for all groups of class"
    assert mitigation_in_words(runs[0]).startswith(
        "fairness regularizer for class = 8 (alpha 0.5, tau 0.5, temperature 0.1, form runner_up"
    )
    assert all(plain_of(run) == plain for run in [plain, *runs])
    alone = train(MODEL, rb.load_dataset("digits", seed=5), mitigation=MITIGATIONS[3])
    assert plain_of(alone) is None


def test_the_trade_off_has_a_row_for_each_run_that_is_measured():
    digits = rb.load_dataset("digits")
    plain = train(MODEL, digits)
    fair = train(MODEL, digits, mitigation=MITIGATIONS[1])
    weighted = train(MODEL, digits, mitigation=MITIGATIONS[3])
    for run in (plain, fair):
        rb.estimate_distances(rb.load_model(MODEL, digits, run=run.name), digits, "exact")
    table, missing = trade_off([plain, fair, weighted], "class", "8", "exact", 1, tau=0.3)
    assert missing == [weighted] and list(table["run"]) == [plain.name, fair.name]
    assert list(table["kind"]) == ["plain", "fairness regularizer"] and list(table["setting"]) == [
        "plain",
        "alpha 2",
    ]
    for run, (_, row) in zip((plain, fair), table.iterrows(), strict=True):
        rows = rb.stored_distances(run, 1, "exact").rows
        bias = rb.robustness_bias(rows, "class").set_index("group").loc["8"]
        assert (row["sigma"], row["low"], row["high"]) == pytest.approx(
            (bias["sigma"], bias["low"], bias["high"])
        )
        assert (
            row["size"] == abs(row["sigma"])
            and 0 <= row["size_low"] <= row["size"] <= row["size_high"]
        )
        assert (row["n"], row["n_group"]) == (len(rows), bias["n"])
        assert (
            row["accuracy_low"]
            < row["accuracy"]
            == rows["is_correct"].mean()
            < row["accuracy_high"]
        )
        eight = rows["class"] == "8"
        far = rows["distance"] > 0.3
        sides = [
            (far & side & rows["is_correct"]).sum() / (side & rows["is_correct"]).sum()
            for side in (eight, ~eight)
        ]
        assert row["rb"] == pytest.approx(abs(sides[0] - sides[1]))
        assert row["auc_group"] == pytest.approx(
            rows["distance"].where(rows["is_correct"], 0.0)[eight].mean()
        )
        assert row["auc_rest"] == pytest.approx(
            rows["distance"].where(rows["is_correct"], 0.0)[~eight].mean()
        )
    assert trade_off([plain], "class", "8", "exact", 2)[0].empty
    assert pd.isna(table["alpha"].iloc[0]) and np.isclose(table["alpha"].iloc[1], 2.0)
