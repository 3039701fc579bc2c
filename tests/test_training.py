import json

import numpy as np
import pytest
import torch

from rbcore import training
from rbcore.api import load_model
from rbcore.datasets import load_dataset
from rbcore.errors import Cancelled, CheckpointError, StoreError, TrainingError
from rbcore.models.checkpoints import list_runs
from rbcore.training import kept_epochs, recipe_for, train


@pytest.fixture(scope="module")
def digits():
    return load_dataset("digits")


def train_quickly(digits, **options):
    return train("logistic_regression", digits, **{"epochs": 3, "run": "test"} | options)


def test_a_run_learns_and_its_sidecars_say_so(digits):
    run = train_quickly(digits)
    assert run.epochs == (1, 2, 3) and run.is_complete and run.is_plain
    sidecars = [run.sidecar(epoch) for epoch in run.epochs]
    losses = [facts["train_loss"] for facts in sidecars]
    assert losses == sorted(losses, reverse=True)
    last = sidecars[-1]
    assert last["test_accuracy"] > 0.9 and last["train_accuracy"] > 0.9
    assert (last["n_train"], last["n_test"]) == (1437, 360)
    assert last["dataset_fingerprint"] == digits.fingerprint and last["seed"] == 0 and last["size"] == 8
    assert last["recipe"]["epochs"] == 3 and last["recipe"]["momentum"] == 0.9
    model = load_model("logistic_regression", digits, run="test")
    rows = digits.rows("test")
    predicted = model.network(torch.as_tensor(digits.pixels(rows))).argmax(1).numpy()
    assert np.mean(predicted == digits.labels(rows)) == pytest.approx(last["test_accuracy"])


def test_the_seed_fixes_everything_and_the_callers_randomness_is_left_alone(digits):
    torch.manual_seed(123)
    expected = torch.rand(1)
    torch.manual_seed(123)
    one = train_quickly(digits, run="one")
    assert torch.equal(torch.rand(1), expected)
    other = train_quickly(digits, run="other")
    for epoch in one.epochs:
        assert one.sidecar(epoch)["sha256"] == other.sidecar(epoch)["sha256"]
    third = train_quickly(load_dataset("digits", seed=1), run="third")
    assert third.sidecar(3)["sha256"] != one.sidecar(3)["sha256"]


def test_the_update_is_stochastic_gradient_descent_with_momentum(digits):
    """One epoch by hand, in numpy, for the linear model: same weights."""
    run = train("logistic_regression", digits, epochs=1, run="hand")
    torch.manual_seed(0)
    network = training.build_network("logistic_regression", digits.input_shape, 10, digits.mean, digits.std)
    state = {name: tensor.double().numpy().copy() for name, tensor in network.state_dict().items()}
    weights, biases = state["network.1.weight"], state["network.1.bias"]
    recipe = recipe_for("digits", "logistic_regression")
    order = np.random.default_rng(0).permutation(np.sort(digits.rows("train")))
    velocity = [np.zeros_like(weights), np.zeros_like(biases)]
    for start in range(0, len(order), recipe.batch_size):
        batch = order[start : start + recipe.batch_size]
        x = (digits.pixels(batch).reshape(len(batch), -1).astype(float) - digits.mean[0]) / digits.std[0]
        logits = x @ weights.T + biases
        probabilities = np.exp(logits - logits.max(1, keepdims=True))
        probabilities /= probabilities.sum(1, keepdims=True)
        probabilities[np.arange(len(batch)), digits.labels(batch)] -= 1
        gradients = [probabilities.T @ x / len(batch), probabilities.mean(0)]
        velocity = [recipe.momentum * v + g for v, g in zip(velocity, gradients, strict=True)]
        weights, biases = weights - recipe.learning_rate * velocity[0], biases - recipe.learning_rate * velocity[1]
    trained = load_model("logistic_regression", digits, run=run.name).network.state_dict()
    np.testing.assert_allclose(trained["network.1.weight"].numpy(), weights, atol=1e-4)
    np.testing.assert_allclose(trained["network.1.bias"].numpy(), biases, atol=1e-4)


@pytest.mark.parametrize(
    ("keep", "n_epochs", "expected"),
    [
        ("all", 4, (1, 2, 3, 4)),
        ("3", 50, (1, 25, 50)),
        ("3", 5, (1, 3, 5)),
        ("3", 2, (1, 2)),
        ("1", 9, (9,)),
        ("2", 9, (1, 9)),
        ("5", 9, (1, 3, 5, 7, 9)),
        ("99", 3, (1, 2, 3)),
    ],
)
def test_which_epochs_are_kept(keep, n_epochs, expected):
    assert kept_epochs(keep, n_epochs) == expected


@pytest.mark.parametrize("keep", ["0", "some", "-1", "2.5"])
def test_a_keep_without_meaning_is_refused(keep):
    with pytest.raises(TrainingError, match=f"keep='{keep}'"):
        kept_epochs(keep, 10)


def test_only_the_kept_epochs_lie_on_disk(digits, cache):
    run = train_quickly(digits, keep="1")
    assert run.epochs == (3,)
    assert len(list(cache.rglob("*.safetensors"))) == 1


def test_announced_bytes_are_about_what_is_written(digits, cache):
    run = train_quickly(digits)
    written = sum(path.stat().st_size for path in run.folder.iterdir())
    recipe = recipe_for("digits", "logistic_regression", 3)
    assert written <= training.announced_bytes(digits, "logistic_regression", recipe, "all") <= 3 * written


def test_a_finished_run_is_not_trained_again(digits):
    train_quickly(digits)
    calls = []
    train_quickly(digits, progress=lambda *call: calls.append(call))
    assert not calls


def test_a_name_that_is_taken_by_another_run_is_refused(digits):
    train_quickly(digits)
    with pytest.raises(CheckpointError, match="exists with another recipe .*Choose another name"):
        train_quickly(digits, epochs=2)
    with pytest.raises(CheckpointError, match="exists with another dataset fingerprint"):
        train_quickly(load_dataset("digits", seed=5))


def test_progress_counts_steps_and_cancel_keeps_finished_epochs(digits):
    calls = []
    with pytest.raises(Cancelled):
        train_quickly(digits, progress=lambda *call: calls.append(call), cancel=lambda: len(calls) >= 100)
    assert len(calls) == 100 and calls[-1][:2] == (100, 3 * 45)
    (run,) = [run for run in list_runs("digits", "logistic_regression") if run.name == "test"]
    assert run.epochs == (1, 2) and not run.is_complete
    assert train_quickly(digits).is_complete


def test_a_loss_that_explodes_is_said(digits, monkeypatch):
    recipe = training.Recipe("wild", epochs=1, batch_size=32, learning_rate=1e30, momentum=0.9)
    monkeypatch.setitem(training.RECIPES, ("digits", "small_cnn"), recipe)
    with pytest.raises(TrainingError, match="no longer finite in epoch 1; lower the learning rate"):
        train("small_cnn", digits, run="wild")


@pytest.mark.parametrize("epochs", [0, -1, 10_001])
def test_an_impossible_number_of_epochs_is_refused(digits, epochs):
    with pytest.raises(TrainingError, match=f"{epochs} epochs"):
        train_quickly(digits, epochs=epochs)


def test_a_cache_that_cannot_be_written_is_said_before_training(digits, tmp_path, monkeypatch):
    (tmp_path / "blocked").write_text("")
    monkeypatch.setenv("RBCORE_CACHE", str(tmp_path / "blocked"))
    calls = []
    with pytest.raises(StoreError, match="Cannot write .*blocked"):
        train_quickly(digits, progress=lambda *call: calls.append(call))
    assert not calls


def test_the_papers_recipe_is_the_default():
    assert recipe_for("somewhere", "small_cnn") == training.PAPER
    assert (training.PAPER.epochs, training.PAPER.batch_size, training.PAPER.learning_rate) == (50, 28, 5e-4)


def test_sidecars_hold_no_path(digits, cache):
    run = train_quickly(digits)
    assert str(cache) not in json.dumps(run.sidecar(1))
