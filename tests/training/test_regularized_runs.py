"""Runs trained with the fairness term: beside the plain run, from the same start and
the same batches.
"""

from dataclasses import replace

import numpy as np
import pytest
import torch

from rbcore.cli import training as commands
from rbcore.datasets import load_dataset
from rbcore.errors import Cancelled, CheckpointError, TrainingError, UnknownNameError
from rbcore.runs.checkpoints import find_run
from rbcore.runs.loading import load_model
from rbcore.training import recipes
from rbcore.training import train as training
from rbcore.training.mitigations import Regularizer, regularizer_term
from rbcore.training.mitigations.regularizer_term import linearized_distances
from rbcore.training.recipes import Recipe
from rbcore.training.train import train
from tests.cli.test_main import run, table_of
from tests.training.test_train import without_seconds

EIGHT = Regularizer("class", "8", alpha=1.0, tau=0.5)
N_STEPS = 45


@pytest.fixture(scope="module")
def digits():
    return load_dataset("digits")


@pytest.fixture(autouse=True)
def short_recipe(monkeypatch):
    """Two epochs of 45 steps, mirrored and shifted at random."""
    recipe = Recipe(
        "modern", 2, 32, 0.05, weight_decay=5e-4, schedule="cosine", flip=True, shift=1 / 8
    )
    monkeypatch.setattr(recipes, "MODERN", (("*", "*", recipe),))


def test_a_regularized_run_lies_beside_the_plain_one(digits):
    plain, fair = train("small_cnn", digits), train("small_cnn", digits, mitigation=EIGHT)
    assert fair.name == plain.name + "+class=8-a1-t0.5-runner_up"
    assert (
        fair.is_complete and not fair.is_plain and find_run("digits", "small_cnn").name != fair.name
    )
    assert fair.mitigation == {
        "kind": "regularizer",
        "by": "class",
        "group": "8",
        "alpha": 1.0,
        "tau": 0.5,
        "temperature": 0.1,
        "form": "runner_up",
        "over": None,
        "clip": 1.0,
    }
    differing = {
        name
        for name in type(plain.facts).model_fields
        if getattr(plain.facts, name) != getattr(fair.facts, name)
    }
    assert {"mitigation", "run", "sha256", "train_loss"} <= differing
    assert not differing & {
        "recipe",
        "seed",
        "dataset_fingerprint",
        "weights",
        "n_train",
        "n_test",
        "n_epochs",
    }
    for epoch, record in enumerate(fair.facts.history, start=1):
        said = record.of_mitigation
        assert record.epoch == epoch and 0 < said["regularizer_term"] < 1
        assert said["regularizer_clipped"] <= said["regularizer_steps"]
        assert said["regularizer_steps"] + said["regularizer_skipped"] == N_STEPS
    load_model("small_cnn", digits, run=fair.name, epoch=1)
    calls = []
    train("small_cnn", digits, mitigation=EIGHT, progress=lambda *call: calls.append(call))
    assert not calls


@pytest.mark.parametrize("model", ["small_cnn", "utk_classifier", "resnet20"])
def test_with_alpha_0_the_weights_are_those_of_the_plain_run(digits, model):
    """Same start, batches, augmentation, dropout and batch statistics: the term, though computed,
    leaves no other trace.
    """
    rows = np.r_[digits.rows("train")[:320], digits.rows("test")[:20]]
    images = digits.images[rows]
    if model == "utk_classifier":  # takes no less than 16 pixels
        images = images.repeat(2, axis=2).repeat(2, axis=3)
    few = replace(digits, images=images, samples=digits.samples.iloc[rows].reset_index(drop=True))
    everyone = Regularizer("class", over="worst", tau=0.5)
    plain = train(model, few)
    none = train(model, few, mitigation=replace(everyone, alpha=0.0))
    assert none.facts.history[-1].of_mitigation["regularizer_steps"] > 0
    assert none.facts.sha256 == plain.facts.sha256
    some = train(model, few, mitigation=everyone)
    assert some.facts.sha256 != plain.facts.sha256


@pytest.mark.slow
def test_the_term_makes_the_sides_more_alike(digits):
    """After training with the term, the shares beyond tau lie closer together than after
    training without.
    """
    everyone = Regularizer("class", over="mean", alpha=1.0, tau=0.5)
    gaps = []
    for regularizer in (replace(everyone, alpha=0.0), everyone):
        found = train("small_cnn", digits, epochs=4, mitigation=regularizer)
        rows = digits.rows("train")
        network = load_model("small_cnn", digits, run=found.name).network
        images, labels = torch.as_tensor(digits.pixels(rows)), torch.as_tensor(digits.labels(rows))
        is_correct = network(images).argmax(1) == labels
        distances = linearized_distances(
            network, images[is_correct], labels[is_correct], "runner_up"
        ).detach()
        shares = [
            (distances[labels[is_correct] == k] > 0.5).float().mean().item() for k in range(10)
        ]
        gaps.append(np.std(shares))
        assert found.facts.test_accuracy > 0.8
    assert gaps[1] < 0.8 * gaps[0], gaps


def test_a_killed_regularized_run_ends_with_the_same_bits(digits):
    whole = train("small_cnn", digits, mitigation=EIGHT, run="whole")
    calls = []
    with pytest.raises(Cancelled):
        train(
            "small_cnn",
            digits,
            mitigation=EIGHT,
            run="cut",
            progress=lambda *call: calls.append(call),
            cancel=lambda: len(calls) > N_STEPS + 5,
        )
    again = []
    resumed = train(
        "small_cnn",
        digits,
        mitigation=EIGHT,
        run="cut",
        progress=lambda *call: again.append(call[0]),
    )
    assert again[0] == N_STEPS + 1
    assert resumed.facts.sha256 == whole.facts.sha256 and without_seconds(
        resumed
    ) == without_seconds(whole)


def test_a_name_taken_by_another_regularizer_is_refused(digits):
    train("logistic_regression", digits, run="mine", epochs=1)
    with pytest.raises(CheckpointError, match="exists with another mitigation"):
        train("logistic_regression", digits, run="mine", epochs=1, mitigation=EIGHT)


def test_skipped_steps_are_counted(digits, monkeypatch):
    monkeypatch.setattr(
        regularizer_term, "oversampled_rows", lambda codes, batch, rows, random: batch[:0]
    )
    small = replace(EIGHT, form="logit")
    recipe = Recipe("modern", 1, 8, 0.02)
    monkeypatch.setattr(recipes, "MODERN", (("*", "*", recipe),))
    record = train("logistic_regression", digits, mitigation=small).facts.history[0].of_mitigation
    n_steps = -(-1437 // 8)
    assert record["regularizer_steps"] + record["regularizer_skipped"] == n_steps
    n_without = sum(
        not (digits.labels(batch) == 8).any()
        for batch in np.split(_order(digits), range(8, 1437, 8))
    )
    assert n_without > 50 and record["regularizer_skipped"] >= n_without


def _order(digits):
    stream = np.random.SeedSequence([0, 1]).spawn(2)[0]
    return np.random.default_rng(stream).permutation(np.sort(digits.rows("train")))


def test_a_term_that_does_not_fit_is_split_and_counts_the_same(digits, monkeypatch):
    train("small_cnn", digits, epochs=1, run="roomy", mitigation=EIGHT)
    build, sizes = training.build_network, set()

    def build_cramped(*arguments):
        network = build(*arguments)

        def refuse(module, inputs):
            if not module.training and torch.is_grad_enabled():
                sizes.add(len(inputs[0]))
                if len(inputs[0]) > 6:
                    raise torch.OutOfMemoryError("no room")

        network.register_forward_pre_hook(refuse)
        return network

    monkeypatch.setattr(training, "build_network", build_cramped)
    train("small_cnn", digits, epochs=1, run="cramped", mitigation=EIGHT)
    assert max(sizes) > 6
    one, other = (
        load_model("small_cnn", digits, run=name).network.state_dict()
        for name in ("roomy", "cramped")
    )
    for name in one:
        torch.testing.assert_close(one[name], other[name], rtol=1e-3, atol=1e-4)


def test_a_group_that_does_not_exist_is_said_before_anything_is_written(digits, cache):
    with pytest.raises(UnknownNameError, match="no group of class '11'"):
        train("small_cnn", digits, mitigation=Regularizer("class", "11"))
    with pytest.raises(TrainingError, match="nobody to compare"):
        one = digits.samples.assign(**{"class": "digit"})
        train(
            "small_cnn", replace(digits, samples=one), mitigation=Regularizer("class", over="mean")
        )
    assert not (cache / "runs").exists()


@pytest.fixture
def few_toyfaces(monkeypatch):
    """Toy faces as the command line loads them, but 256 for training and 64 for the test: four
    steps an epoch.
    """
    whole = load_dataset("toyfaces")
    rows = np.r_[whole.rows("train")[:256], whole.rows("test")[:64]]
    few = replace(
        whole, images=whole.images[rows], samples=whole.samples.iloc[rows].reset_index(drop=True)
    )
    monkeypatch.setattr(commands, "open_dataset", lambda *arguments, **options: few)
    monkeypatch.setattr(recipes, "MODERN", (("*", "*", Recipe("modern", 1, 64, 0.02)),))


@pytest.mark.slow
def test_the_command_line_trains_one_run_and_a_grid_that_goes_on(few_toyfaces):
    table = table_of(
        *(
            "train",
            "toyfaces",
            "small_cnn",
            "--regularize",
            "lighting=dim",
            "--alpha",
            1,
            "--tau",
            0.5,
        ),
        *("--form", "logit", "--temperature", 0.2),
    )
    assert list(table["run"]) == ["modern-64px-1ep-seed0+lighting=dim-a1-t0.5-logit-temp0.2"]
    assert (table["regularizer_steps"] + table["regularizer_skipped"]).item() == 4
    grid = (
        "grid",
        "toyfaces",
        "small_cnn",
        "--regularize",
        "lighting",
        "--alphas",
        "0.1,1",
        "--taus",
        "0.25",
    )
    done = run(*grid, "--over", "mean", "--format", "csv")
    assert done.returncode == 0 and "training epoch 1 of 1" in done.stderr
    assert "run 3 of 3 is ready" in done.stderr
    names = [line.split(",")[0] for line in done.stdout.splitlines()[1:]]
    plain = "modern-64px-1ep-seed0"
    assert names == [plain] + [
        f"{plain}+lighting-mean-a{alpha}-t0.25-runner_up" for alpha in (0.1, 1)
    ]
    again = run(*grid, "--over", "mean", "--format", "csv")
    assert again.stdout == done.stdout and "training" not in again.stderr


def test_a_grid_of_no_numbers_or_of_an_unknown_group_trains_nothing(cache):
    done = run("grid", "digits", "small_cnn", "--regularize", "class=8", "--alphas", "0.1;1")
    assert done.returncode == 2 and "--alphas 0.1;1 is not a list of numbers" in done.stderr
    done = run("grid", "digits", "small_cnn", "--regularize", "class=11")
    assert done.returncode == 2 and "no group of class '11'" in done.stderr
    assert not (cache / "runs").exists()
