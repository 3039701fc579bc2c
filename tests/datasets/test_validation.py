"""A validation split: of the training images, stratified by label, seeded, and kept
apart by content.
"""

import numpy as np
import pandas as pd
import pytest

import rbcore as rb
from rbcore import store
from rbcore.datasets import load_dataset
from rbcore.datasets.base import Dataset, make_dataset
from rbcore.datasets.validation import with_validation
from rbcore.distances.cost import estimate_cost
from rbcore.distances.stored import stored_distances
from rbcore.errors import DatasetError, UnknownNameError
from rbcore.runs.loading import load_model, open_run
from rbcore.store.verify import verify
from rbcore.training.train import train
from tests.cli.test_main import run, table_of

PLAIN_DIGITS = "a8316b794495defc03b28e8ceb250e807585b18f270615a20f8faf9cf9facb0b"


@pytest.fixture(scope="module")
def digits():
    return load_dataset("digits", validation=0.2)


def test_it_takes_the_share_of_every_label_from_the_training_images(digits):
    whole = load_dataset("digits")
    before, after = whole.samples, digits.samples
    assert after.drop(columns="split").equals(before.drop(columns="split"))
    assert set(after.loc[before["split"] == "train", "split"]) == {"train", "validation"}
    assert (after.loc[before["split"] == "test", "split"] == "test").all()
    for label, rows in after[before["split"] == "train"].groupby("label"):
        assert (rows["split"] == "validation").sum() == round(0.2 * len(rows)), label
    splits = [set(digits.rows(split)) for split in digits.splits]
    assert len(set.union(*splits)) == sum(map(len, splits)) == len(after)
    assert np.array_equal(digits.rows("test"), whole.rows("test"))


def test_the_seed_draws_it_and_the_fingerprint_tells_it_apart(digits):
    again = load_dataset("digits", validation=0.2)
    assert np.array_equal(again.rows("validation"), digits.rows("validation"))
    fingerprints = [
        load_dataset("digits", validation=share).fingerprint for share in (0, 0.2, 0.25)
    ]
    assert (
        fingerprints[0] == PLAIN_DIGITS
        and fingerprints[1] == digits.fingerprint == again.fingerprint
    )
    assert len({*fingerprints, load_dataset("digits", seed=1, validation=0.2).fingerprint}) == 4
    faces = [
        set(load_dataset("digits", seed=seed, validation=0.2).rows("validation")) for seed in (0, 1)
    ]
    assert faces[0] != faces[1]


def tiny(labels):
    n = len(labels)
    samples = pd.DataFrame(
        {
            "sample_id": np.arange(n).astype(str),
            "split": ["test"] + ["train"] * (n - 1),
            "label": labels,
        }
    )
    return make_dataset(
        Dataset(
            name="tiny",
            images=np.zeros((n, 1, 2, 2), np.uint8),
            samples=samples,
            classes=("a", "b"),
            mean=(0.5,),
            std=(0.5,),
            seed=0,
        )
    )


def test_the_last_training_image_of_a_label_stays():
    found = with_validation(tiny([0, 0, 1, 1, 1]), 0.9)
    assert found.samples.loc[found.samples["split"] == "train", "label"].tolist() == [0, 1]
    with pytest.raises(
        DatasetError, match=r"validation=0\.9 of the 2 training images of 'tiny' sets none aside"
    ):
        with_validation(tiny([0, 0, 1]), 0.9)


@pytest.mark.parametrize("share", [-0.1, 1, float("nan")])
def test_a_share_without_meaning_is_refused(share):
    with pytest.raises(DatasetError, match=f"validation={share:g} is not a valid share"):
        load_dataset("digits", validation=share)


def test_a_dataset_without_one_says_how_to_get_it():
    whole = load_dataset("digits")
    with pytest.raises(
        DatasetError, match=r"without a validation split; load it with validation=0\.2"
    ):
        whole.rows("validation")
    with pytest.raises(UnknownNameError, match="no split 'trian'. Did you mean 'train'"):
        whole.rows("trian")


def test_runs_and_distances_of_it_are_kept_apart(digits):
    found = train("logistic_regression", digits, epochs=2)
    assert found.name == "modern-8px-2ep-seed0-val0.2"
    assert (found.facts.validation, found.facts.n_validation, found.facts.n_train) == (
        0.2,
        287,
        1150,
    )
    model = load_model("logistic_regression", digits)
    rows = rb.estimate_distances(model, digits, "exact", split="validation")
    assert set(rows["sample_id"]) == set(
        digits.samples["sample_id"].iloc[digits.rows("validation")]
    )
    assert found.facts.validation_accuracy == pytest.approx(rows["is_correct"].mean())
    assert found.facts.history[-1].validation_accuracy == found.facts.validation_accuracy
    assert stored_distances(found, "last", "exact") is None
    assert stored_distances(found, "last", "exact", split="validation").rows.equals(rows)
    test = rb.estimate_distances(model, digits, "exact")
    assert not set(test["sample_id"]) & set(rows["sample_id"])
    attacked = rb.estimate_distances(model, digits, "minimal:fast", split="validation", limit=20)
    best = rb.estimate_distances(model, digits, "best", split="validation")
    assert best["distance"].equals(attacked["distance"]) and len(best) == 20
    assert estimate_cost(model, digits, "smoothing", split="validation", limit=10).n_images == 10
    with pytest.raises(DatasetError, match="trained on other content"):
        load_model("logistic_regression", load_dataset("digits"), run=found.name)
    loaded, _ = open_run("digits", "logistic_regression", run=found.name)
    assert loaded.fingerprint == digits.fingerprint


@pytest.mark.slow
def test_the_command_line_estimates_and_verifies_on_it(cache, monkeypatch):
    name = table_of("train", "digits", "logistic_regression", "--validation", 0.25, "--epochs", 1)[
        "run"
    ].item()
    on_it = ("digits", "logistic_regression", "exact", "--run", name, "--split", "validation")
    done = run("bias", *on_it, "--by", "class")
    assert done.returncode == 2 and done.stderr.strip().endswith(f"--run {name} --split validation")
    estimated = table_of("estimate", *on_it)
    n = len(load_dataset("digits", validation=0.25).rows("validation"))
    assert estimated["n"].item() == n
    done = run("bias", *on_it, "--by", "class")
    assert done.returncode == 0 and f"{n} of {n} validation images" in done.stderr
    with monkeypatch.context() as patch:
        patch.setattr(store.files, "bundled_root", lambda: cache / "nothing")
        findings = verify(rows=3)
    assert findings["ok"].all() and findings["recomputed"].tolist() == [3]
    done = run(
        "estimate",
        "digits",
        "logistic_regression",
        "exact",
        "--split",
        "validation",
        "--run",
        "modern-8px-12ep-seed0",
    )
    assert done.returncode == 2 and "without a validation split" in done.stderr
